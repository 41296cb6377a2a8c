"""Canonical JSON, digests, sealed files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.digest import canonical, digest_file, digest_value, doc_id, plain, read_sealed, seal, unseal
from manifests.errors import DamageError, FormatError, MissingFileError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_json_reads_back_as_the_same_value(value):
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_change_a_digest(value):
    assert digest_value(value) == digest_value(dict(reversed(value.items())))


def test_floats_have_no_canonical_spelling():
    with pytest.raises(TypeError, match="float"):
        canonical({"a": [0.5]})


def test_plain_turns_floats_into_the_shortest_decimal_that_reads_back():
    assert plain({"x": (0.1, {"y": 1e-7})}) == {"x": ["0.1", {"y": "1e-07"}]}


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda k: k != "digest"), VALUES)
)
def test_a_sealed_value_is_unsealed_with_its_digest(value):
    data = seal(value)
    found = unseal(data, "here")
    assert found.pop("digest") == digest_value(value)
    assert found == value


def test_every_flipped_bit_of_a_sealed_file_is_found():
    data = seal({"name": "corpus", "parts": [1, 2, 3], "text": "déjà vu"})
    for i in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[i] ^= 1 << bit
            with pytest.raises(DamageError):
                unseal(bytes(damaged), "here")


def test_another_spelling_of_the_same_value_is_refused():
    data = seal({"a": 1, "b": 2})
    spaced = data.replace(b",", b", ")
    with pytest.raises(FormatError, match="canonical"):
        unseal(spaced, "here")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"gone\.json"):
        read_sealed(tmp_path / "gone.json")
    with pytest.raises(MissingFileError, match=r"gone\.bin"):
        digest_file(tmp_path / "gone.bin")


def test_a_file_digest_is_the_digest_of_its_bytes(tmp_path):
    path = Path(tmp_path / "x")
    path.write_bytes(b"abc" * 1_000_000)
    import xxhash

    assert digest_file(path) == xxhash.xxh3_128_hexdigest(path.read_bytes())


def test_parts_of_a_document_id_do_not_run_together():
    assert doc_id("a", "bc", 1) != doc_id("ab", "c", 1)
    assert len(doc_id("web", "x.warc.gz", 463)) == 16
