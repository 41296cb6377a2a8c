"""The order is exact, complete, invertible and the same on any number of ranks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.order import Order, OrderPhase, OrderSource, deal, permute, unpermute

SHARES = st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any)


@given(SHARES)
def test_after_any_number_of_rows_every_source_is_less_than_one_row_off(shares):
    table, period = deal(shares), sum(shares)
    counts = np.zeros(len(shares), dtype=np.int64)
    for i, source in enumerate(table.tolist(), 1):
        counts[source] += 1
        assert (np.abs(counts * period - np.array(shares) * i) < period).all()
    assert counts.tolist() == shares


@given(st.integers(1, 3000), st.integers(0, 2**40), st.text(max_size=5), st.integers(0, 5))
def test_a_permutation_is_a_bijection_with_an_inverse(n, seed, name, epoch):
    places = np.arange(n)
    windows = permute(places, n, seed, name, epoch)
    assert np.array_equal(np.sort(windows), places)
    assert np.array_equal(unpermute(windows, n, seed, name, epoch), places)


def test_permutations_differ_by_seed_name_and_epoch():
    base = permute(np.arange(100), 100, 1, "web", 0).tolist()
    for other in ((2, "web", 0), (1, "books", 0), (1, "web", 1)):
        assert permute(np.arange(100), 100, *other).tolist() != base


def make_order(**kwargs):
    sources = (OrderSource("web", 1000), OrderSource("books", 5000))
    phases = (OrderPhase(101, (7, 3)), OrderPhase(333, (1, 4)), OrderPhase(50, (0, 1)))
    return Order(**{"seed": 1, "seq_len": 16, "sources": sources, "phases": phases, **kwargs})


def test_random_access_equals_reading_in_order():
    order = make_order()
    whole = order.rows(0, order.n_rows)
    rng = np.random.default_rng(0)
    index = rng.integers(0, order.n_rows, 500)
    for some, every in zip(order.rows_at(index), whole, strict=True):
        assert np.array_equal(some, every[index])


def test_an_epoch_reads_every_window_once_and_leaves_out_fewer_than_two_rows():
    order = Order(3, 16, (OrderSource("web", 1000),), (OrderPhase(4 * 61, (1,)),))
    assert order.n_windows(0) == 61
    rows = order.rows(0, order.n_rows)
    for epoch in range(4):
        starts = np.sort(rows.start[rows.epoch == epoch])
        assert np.array_equal(np.diff(starts), np.full(60, 16))
        assert starts[0] == order.offset(0, epoch) < 16
        assert 1000 - (starts[-1] + 17) + starts[0] < 32
    assert len({order.offset(0, e) for e in range(4)}) > 1


def test_changed_weights_neither_repeat_nor_skip_rows_of_a_source():
    order = make_order()
    rows = order.rows(0, order.n_rows)
    for source in (0, 1):
        mine = rows.source == source
        seen = Counter(zip(rows.epoch[mine].tolist(), rows.window[mine].tolist(), strict=True))
        assert set(seen.values()) == {1}
        assert mine.sum() == order.rows_per_source()[source]
        epochs = rows.epoch[mine]
        assert (np.diff(epochs) >= 0).all()


def test_a_source_keeps_its_order_when_another_joins_the_mix():
    alone = Order(1, 16, (OrderSource("books", 5000),), (OrderPhase(100, (1,)),)).rows(0, 100)
    mixed = make_order(phases=(OrderPhase(500, (1, 1)),)).rows(0, 200)
    assert np.array_equal(alone.start, mixed.start[mixed.source == 1])


def test_rows_reading_agrees_with_the_rows_on_a_thousand_random_probes():
    order = make_order()
    rows = order.rows(0, order.n_rows)
    rng = np.random.default_rng(1)
    for _ in range(1000):
        source = int(rng.integers(2))
        n = order.sources[source].n_tokens
        start = int(rng.integers(n))
        stop = min(n, start + int(rng.integers(1, 100)))
        reads = (rows.source == source) & (rows.start < stop) & (rows.start + 17 > start)
        assert np.array_equal(order.rows_reading(source, start, stop), np.flatnonzero(reads))


@settings(max_examples=30)
@given(st.integers(1, 64), st.sampled_from([1, 2, 4]), st.integers(0, 400))
def test_any_number_of_ranks_reads_the_same_global_batches(batch, ranks, first):
    order = make_order()
    stop = min(order.n_rows, first + batch)
    whole = order.rows(first, stop)
    pieces = [order.rows_at(np.arange(first + r, stop, ranks)) for r in range(ranks)]
    merged = np.empty_like(whole.start)
    for r, piece in enumerate(pieces):
        merged[r::ranks] = piece.start
    assert np.array_equal(merged, whole.start)


def test_rows_outside_the_run_are_refused():
    order = make_order()
    with pytest.raises(IndexError):
        order.rows(0, order.n_rows + 1)


def test_the_order_of_a_run_never_changes():
    # Golden: a changed order breaks every run that would go on. Bump the mix's version if it must change.
    rows = make_order().rows(0, 8)
    assert rows.source.tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert rows.start.tolist() == [508, 172, 2923, 92, 364, 4955, 892, 444]
