"""The committed tables against the interpreter's, where the versions agree."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from pipelines.kernels import generate_unicode, unicode_data
from pipelines.kernels.unicode import ALPHA, PUNCT, SPACE, UNSPACED, character_classes, lower_deltas

same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unicode_data.UNICODE_VERSION, reason="another Unicode version"
)
assigned = [point for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]


@same_version
def test_generating_the_tables_again_gives_the_committed_file_byte_for_byte() -> None:
    assert Path(unicode_data.__file__).read_text("utf-8") == generate_unicode.render()


@same_version
def test_a_character_is_alphabetic_where_isalpha_says_so_and_lower_case_is_lowers() -> None:
    classes, deltas = character_classes(), lower_deltas()
    for point in assigned:
        char = chr(point)
        assert bool(classes[point] & ALPHA) == char.isalpha()
        assert chr(point + deltas[point]) == (char.lower() if point != 0x130 else "i")


def test_white_space_is_the_property_and_not_what_split_takes() -> None:
    found = {chr(point) for point in range(0x110000) if character_classes()[point] & SPACE}
    assert len(found) == 25
    assert {chr(p) for p in assigned if chr(p).isspace()} - found == set("\x1c\x1d\x1e\x1f")


def test_ascii_punctuation_is_string_punctuation_and_han_is_unspaced() -> None:
    classes = character_classes()
    punctuation = {chr(point) for point in range(128) if classes[point] & PUNCT}
    assert punctuation == set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
    assert classes[ord("中")] & UNSPACED
    assert not classes[ord("한")] & UNSPACED


def test_the_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        character_classes()[0] = 1
