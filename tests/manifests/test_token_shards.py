"""Token shards: what is written is read, and no flipped byte is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import DamageError, FormatError
from manifests.shards import BLOCK, Shard, ShardHeader, TokenStream, token_dtype, write_shard

TOKENIZER = "ab" * 16


def make_shard(folder, lengths, *, vocab_size=1000, name="x.tok", seed=0):
    rng = np.random.default_rng(seed)
    ends = np.cumsum(lengths).astype(np.uint64)
    n = int(ends[-1]) if len(ends) else 0
    tokens = rng.integers(1, vocab_size, n).astype(token_dtype(vocab_size))
    tokens[ends.astype(int) - 1] = 0
    header = ShardHeader(n, len(lengths), 4 * n, vocab_size, 0, TOKENIZER)
    ref, root = write_shard(folder, name, header, tokens=np.array_split(tokens, 3), ends=ends)
    return folder / name, root, tokens, ref


@pytest.mark.parametrize("vocab_size", [2, 1000, 1 << 16, (1 << 16) + 1])
@pytest.mark.parametrize("lengths", [[], [1], [3, 1, 1], [40_000, 7, 30_000]])
def test_a_shard_reads_back_as_written(tmp_path, lengths, vocab_size):
    path, root, tokens, ref = make_shard(tmp_path, lengths, vocab_size=vocab_size)
    with Shard.open(path, root=root) as shard:
        shard.verify()
        assert np.array_equal(shard.read(0, len(tokens)), tokens)
        assert shard.doc_ends().tolist() == np.cumsum(lengths).tolist()
        assert shard.header.size == path.stat().st_size == ref.size
        assert shard.header.dtype.itemsize == (2 if vocab_size <= 1 << 16 else 4)


def test_every_flipped_byte_of_a_small_shard_is_found_before_use(tmp_path):
    path, root, _, _ = make_shard(tmp_path, [30, 1, 200])
    data = path.read_bytes()
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 1 << i % 8
        path.write_bytes(damaged)
        with pytest.raises(DamageError, match=r"x\.tok"), Shard.open(path, root=root) as shard:
            shard.verify()


def test_a_damaged_block_does_not_stop_reading_of_the_others(tmp_path):
    path, root, tokens, _ = make_shard(tmp_path, [3 * BLOCK])
    data = bytearray(path.read_bytes())
    data[128 + 2 * BLOCK + 5] ^= 1
    path.write_bytes(data)
    with Shard.open(path, root=root) as shard:
        assert np.array_equal(shard.read(0, BLOCK), tokens[:BLOCK])
        with pytest.raises(DamageError, match="bytes"):
            shard.read(BLOCK - 1, 10)


def test_a_cut_shard_and_another_root_are_refused(tmp_path):
    path, root, _, _ = make_shard(tmp_path, [10])
    with pytest.raises(DamageError):
        Shard.open(path, root=root[::-1])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"expected \d+ bytes, found"):
        Shard.open(path, root=root)


def test_a_token_outside_the_vocabulary_is_never_written(tmp_path):
    header = ShardHeader(2, 1, 5, 10, 0, TOKENIZER)
    with pytest.raises(ValueError, match="outside"):
        write_shard(
            tmp_path, "x", header, tokens=[np.array([11, 0], np.uint16)], ends=np.array([2], np.uint64)
        )
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("lengths", [[5, 5], [4]])
def test_verify_names_a_document_that_does_not_end_with_end_of_text(tmp_path, lengths):
    n = sum(lengths)
    header = ShardHeader(n, len(lengths), n, 100, 0, TOKENIZER)
    ends = np.cumsum(lengths).astype(np.uint64)
    write_shard(tmp_path, "x", header, tokens=[np.full(n, 7, np.uint16)], ends=ends)
    with Shard.open(tmp_path / "x") as shard, pytest.raises(FormatError, match="ends with end-of-text"):
        shard.verify()


@given(st.data())
def test_a_stream_reads_across_shards_as_one_sequence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("stream")
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    made = [make_shard(folder, [n], name=f"{i}.tok", seed=i) for i, n in enumerate(sizes)]
    whole = np.concatenate([tokens for _, _, tokens, _ in made])
    stream = TokenStream([Shard.open(path) for path, _, _, _ in made])
    start = data.draw(st.integers(0, len(whole)))
    n = data.draw(st.integers(0, len(whole) - start))
    assert np.array_equal(stream.read(start, n), whole[start : start + n])
    with pytest.raises(IndexError):
        stream.read(len(whole), 1)
