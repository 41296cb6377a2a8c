"""Payloads of one batch after another stand in the same memory, and never in that of a batch somebody still holds."""

import ctypes
from collections.abc import Callable

import pyarrow as pa
import pytest

from pipelines.batch import Batch, BatchBuilder, Record, text_view

SIZE = 1000


@pytest.fixture
def builder() -> BatchBuilder:
    return BatchBuilder("web", with_payload=True, max_bytes=3 * SIZE)


def one_batch(builder: BatchBuilder, *payloads: bytes | None) -> Batch:
    records = [Record("a.warc", k, k, 1, payload=payload) for k, payload in enumerate(payloads)]
    (batch,) = [*(batch for record in records for batch in builder.add(record)), *builder.flush()]
    assert batch.column("payload").to_pylist() == [*payloads]
    return batch


def pages(letter: bytes) -> tuple[bytes | None, ...]:
    """Three pages, one of them shorter and one empty, and a record that is no page."""
    return letter * SIZE, None, b"", letter * (SIZE - 1)


def address(batch: Batch) -> int:
    return int(batch.column("payload").buffers()[2].address)


def test_a_batch_that_nobody_holds_leaves_its_memory_to_the_next(builder: BatchBuilder) -> None:
    batch = one_batch(builder, *pages(b"a"))
    first = address(batch)
    del batch
    assert address(one_batch(builder, *pages(b"b"))) == first


@pytest.mark.parametrize(
    "hold",
    [
        lambda batch: batch,
        lambda batch: batch.column("payload").slice(2),
        lambda batch: pa.Table.from_batches([batch.rows]).slice(1),
        lambda batch: text_view(batch.column("payload")).data[:SIZE],
        lambda batch: memoryview(batch.column("payload").buffers()[2])[:SIZE],
    ],
    ids=["batch", "slice", "table", "bytes", "memoryview"],
)
def test_whoever_holds_a_piece_of_a_batch_keeps_its_bytes(
    builder: BatchBuilder, hold: Callable[[Batch], object]
) -> None:
    batch = one_batch(builder, *pages(b"a"))
    held, place, n_bytes = hold(batch), address(batch), 2 * SIZE - 1
    del batch
    for letter in (b"b", b"c"):
        assert address(one_batch(builder, *pages(letter))) != place
    assert ctypes.string_at(place, n_bytes) == b"a" * n_bytes
    del held


def test_a_record_far_above_a_batchs_size_leaves_no_memory_behind(builder: BatchBuilder) -> None:
    small = address(one_batch(builder, *pages(b"a")))
    one_batch(builder, b"b" * 100 * SIZE)
    assert builder._room._memory.nbytes < 10 * SIZE
    assert address(one_batch(builder, *pages(b"c"))) == small


@pytest.mark.parametrize("payloads", [[b""], [None], [b"", None], [None, b"a", b""]])
def test_payloads_of_no_bytes_and_none_at_all_stay_what_they_are(
    builder: BatchBuilder, payloads: list[bytes | None]
) -> None:
    one_batch(builder, *payloads)
    one_batch(builder, *pages(b"a"))
    one_batch(builder, *payloads)


def test_memory_that_is_not_there_is_told_as_such(
    builder: BatchBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("pipelines.batch.mmap", no_memory)
    with pytest.raises(MemoryError, match="no memory for 3 bytes of payloads"):
        one_batch(builder, b"abc")
