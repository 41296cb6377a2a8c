"""What bytes tell before they are read, against the standard library's decoder, `bytes.find` and `bytes.count`."""

from __future__ import annotations

import codecs

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.extract.page import page_title
from pipelines.kernels.jit import BYTES, pointer
from pipelines.kernels.pages import find_title, scan_page
from pipelines.kernels.search import count, find, find_high


@numba.njit(f"Tuple((int64, int64, int64))({BYTES}, int64, int64, int64)")
def search_all(data, at, end, byte):
    place = pointer(data)
    return find(place, at, end, byte), find_high(place, at, end), count(place, at, end, byte)


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def first_at_or_end(data: bytes, at: int, end: int, wanted) -> int:
    return next((i for i in range(at, end) if wanted(data[i])), max(at, end))


longer = st.lists(st.binary(max_size=3) | st.sampled_from([b"a" * 31, b"<", b"x" * 64]), max_size=8).map(
    b"".join
)


@settings(deadline=None)  # the first call compiles
@given(longer, st.integers(0, 80), st.integers(0, 200), st.sampled_from(b"<a\x00\xff"))
def test_a_byte_is_found_and_counted_wherever_the_search_begins_and_ends(data, at, end, byte) -> None:
    end = min(end, len(data))
    at = min(at, end)
    expected = (
        first_at_or_end(data, at, end, lambda b: b == byte),
        first_at_or_end(data, at, end, lambda b: b > 127),
        data[at:end].count(byte),
    )
    assert search_all(as_array(data), at, end, byte) == expected


def n_valid(data: bytes) -> int:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        return len(decoder.decode(data).encode())
    except UnicodeDecodeError:
        return -1


pieces = st.one_of(
    st.text(max_size=40).map(str.encode),
    st.binary(max_size=4),
    st.sampled_from([b"\xe0\xa0", b"\xed\xa0\x80", b"\xf0\x90\x80", b"\xf4\x90", b"\xc0\x80", b"\xf5", b"a" * 40]),
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.lists(pieces, max_size=6).map(b"".join))
@example(b"\xf0\x80")
@example(b"\xf0\x9f\x92")
@example(b"\xe2\x82<")
def test_bytes_are_utf8_as_far_as_the_standard_librarys_decoder_reads_them(data: bytes) -> None:
    assert scan_page(as_array(data)) == (data.count(b"<"), n_valid(data))


@pytest.mark.parametrize(
    ("page", "at"),
    [
        ("<html><TiTle>x", 6),
        ("<titles>", 0),
        ("a<b<c<title", 5),
        ("<bodyguard><title>", 11),
        ("<body><title>", -1),
        ("<svg\n><title>", -1),
        ("<svgs><title>", 6),
        ("<body", -1),
        ("<titl", -1),
        ("", -1),
    ],
)
def test_the_title_is_found_before_the_body_and_before_drawings(page: str, at: int) -> None:
    assert find_title(as_array(page.encode())) == at


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<title>", "</title>", "<body>", "<svg ", "<BODY", ">", "Tea", "é", " ", "<TITLE a=b>"]
        )
    ).map("".join)
)
def test_where_no_title_is_found_none_is_read(page: str) -> None:
    if find_title(as_array(page.encode())) < 0:
        assert page_title(page) is None
