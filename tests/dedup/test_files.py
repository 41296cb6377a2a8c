"""What passes between phases: files of arrays, buckets of keys, components."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import FormatError
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import ids_column
from pipelines.dedup.repeats import bucket_slice, gather, group_starts, repeated
from pipelines.kernels.clusters import flatten_parents, union_edges

u64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1])
key_files = st.lists(st.lists(u64, max_size=12), max_size=4).map(
    lambda files: [np.array(sorted(f), dtype=np.uint64) for f in files]
)


def stored(path, arrays, about=None):
    buffer = io.BytesIO()
    write_arrays(buffer, arrays, about=about)
    path.write_bytes(buffer.getvalue())
    return path


def test_arrays_come_back_with_their_types_shapes_and_what_was_said_of_them(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.uint32).reshape(2, 3),
        "none": np.zeros((4, 0, 8), dtype=np.uint64),
        "strided": np.arange(10)[::2],
    }
    file = read_arrays(stored(tmp_path / "f", arrays, about={"seed": 1}))
    assert file.about == {"seed": 1}
    for name, array in arrays.items():
        assert file[name].dtype == array.dtype
        assert file[name].tolist() == array.tolist()


@pytest.mark.parametrize("damage", [lambda d: b"x" + d, lambda d: d[:-80], lambda d: d[:20], lambda _: b"",
                                    lambda d: d.replace(b"<i8", b"|O8")])  # fmt: skip
def test_damaged_files_are_refused_by_name(tmp_path, damage):
    path = stored(tmp_path / "f.arrays", {"a": np.arange(40)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FormatError, match=r"f\.arrays.*build again"):
        read_arrays(path)


@given(files=key_files, n=st.integers(1, 9))
@settings(deadline=None)
def test_buckets_divide_every_file_and_repeats_are_those_of_a_counter(files, n):
    found = []
    for bucket in range(n):
        slices = [bucket_slice(keys, bucket, n) for keys in files]
        repeats = repeated(files, slices)
        assert gather(files, repeats).tolist() == [
            files[f][a] for f, a in zip(repeats.file, repeats.at, strict=True)
        ]
        found += zip(repeats.file.tolist(), repeats.at.tolist(), strict=True)
    every = [(f, a, int(k)) for f, keys in enumerate(files) for a, k in enumerate(keys)]
    counts = [k for _, _, k in every]
    assert sorted(found) == [(f, a) for f, a, k in every if counts.count(k) > 1]


@given(st.lists(st.integers(0, 3), max_size=20).map(sorted))
def test_groups_begin_where_the_key_changes(keys):
    starts = group_starts(np.array(keys, dtype=np.int64)).tolist()
    assert starts == [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]] + [len(keys)]


@given(st.integers(1, 12).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=15))
))  # fmt: skip
@settings(deadline=None)
def test_a_component_is_named_by_its_smallest_member(case):
    n, edges = case
    names = list(range(n))
    for _ in range(n):
        for a, b in edges:
            names[a] = names[b] = min(names[a], names[b])
    parent = np.arange(n)
    sides = np.array(edges, dtype=np.int64).reshape(-1, 2)
    union_edges(parent, sides[:, 0].copy(), sides[:, 1].copy())
    flatten_parents(parent)
    assert parent.tolist() == names


def test_ids_are_spelt_as_they_came():
    high, low = np.array([1, 2**63], dtype=np.uint64), np.array([2, 3], dtype=np.uint64)
    column = ids_column(high, low, np.array([True, False]))
    assert column.to_pylist() == [(1).to_bytes(8, "big") + (2).to_bytes(8, "big"), None]
