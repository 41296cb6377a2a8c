"""The language model's kernel against fastText itself, on its own model and on models made here."""

import struct

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import FormatError
from pipelines.filters.fasttext_file import _Cursor, _quantized, read_model
from pipelines.filters.language import identify, shipped_model
from pipelines.kernels.fasttext import best_labels, fnv1a, hash_table

TEXTS = (
    "The quick brown fox jumps over the lazy dog, again and again.",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "Быстрая коричневая лиса перепрыгивает через ленивую собаку.",
    "敏捷的棕色狐狸跳过了懒狗。",
    "a </s> und danach Deutsch, das niemand liest",
    "</s>",
    "__label__de the label is no word",
    "__label__",
    "tab\tand\x0bvertical\x0cfeed\rreturn\x00nul",
    "Donaudampfschifffahrtsgesellschaftskapitän " * 3,
    "sixteen-letters! seventeen-letters",
    "x" * 5000,
    "1 2 3",
    "🙂 🙂",
)


@pytest.fixture(scope="module")
def lid():
    return read_model(shipped_model()), fasttext.load_model(str(shipped_model()))


def labelled(model, texts):
    data = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64)
    joined = np.frombuffer(b"".join(data), np.uint8)
    numbers, scores = best_labels(joined, np.arange(len(ends)), ends[:-1], ends[1:], model.tables)
    return [model.labels[n] if n >= 0 else None for n in numbers], scores


def check(model, library, texts):
    labels, scores = labelled(model, texts)
    for text, label, score in zip(texts, labels, scores, strict=True):
        expected, value = identify(library, text)
        assert label == expected, text
        assert min(score, 1) == pytest.approx(value, abs=2e-5), text


def test_labels_and_scores_are_the_librarys(lid):
    check(*lid, [*TEXTS, *TEXTS])


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], min_codepoint=33), min_size=1),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=200, deadline=None)
def test_labels_and_scores_are_the_librarys_for_any_text(lid, texts):
    check(*lid, [text for text in texts if text.strip()])


def test_a_text_in_pieces_is_the_text_with_spaces_between_them(lid):
    model, _ = lid
    whole = "une phrase en français et une autre phrase encore"
    data = np.frombuffer(whole.replace(" ", "_").encode(), np.uint8)
    cuts = [i for i, c in enumerate(whole.encode()) if c == 32]
    starts, stops = np.array([0, *(c + 1 for c in cuts)]), np.array([*cuts, len(data)])
    found = best_labels(data, np.array([0, len(starts)]), starts, stops, model.tables)
    assert (model.labels[found[0][0]], found[1][0]) == tuple(x[0] for x in labelled(model, [whole]))


@pytest.mark.parametrize("size", range(1, 20))
def test_a_word_at_the_end_of_the_buffer_is_read_as_one_in_its_middle(lid, size):
    text = "eine Zeile vor dem langen Wort am Ende, das keiner kennt: ß" + "Überseedampfschiff"[:size]
    (label, *_), (score, *_) = labelled(lid[0], [text])
    assert (label, score) == tuple(found[0] for found in labelled(lid[0], [text, TEXTS[2] * 2]))


def test_a_text_without_words_has_no_label(lid):
    labels, scores = labelled(lid[0], ["", " \n\t", "\x00"])
    assert labels == [None] * 3
    assert scores.tolist() == [0, 0, 0]


def write_model(path, *, loss, word_ngrams=1, n_labels=5, dim=7, n_buckets=101, n_chars=(2, 3)):
    """A small unpruned model with random matrices, as fastText writes it."""
    rng = np.random.default_rng(loss)
    words = ["</s>", "tea", "zwei", "дом"]
    args = (dim, 5, 5, 1, 5, word_ngrams, loss, 3, n_buckets, *n_chars, 100)
    out = struct.pack("<ii12id", 793712314, 12, *args, 1e-4)
    out += struct.pack("<3iqq", len(words) + n_labels, len(words), n_labels, 99, -1)
    for k, word in enumerate(words):
        out += word.encode() + b"\0" + struct.pack("<qb", 50 - k, 0)
    for k in range(n_labels):
        out += f"__label__l{k}".encode() + b"\0" + struct.pack("<qb", 40 - 7 * k, 1)
    for n_rows in (len(words) + n_buckets, n_labels):
        values = rng.normal(size=(n_rows, dim)).astype("<f4")
        out += struct.pack("<bqq", 0, n_rows, dim) + values.tobytes()
    path.write_bytes(out)
    return path


@pytest.mark.parametrize("loss", [1, 3], ids=["hierarchical", "softmax"])
@pytest.mark.parametrize("grams", [{}, {"n_buckets": 0, "n_chars": (0, 0)}], ids=["n-grams", "words"])
def test_dense_models_of_both_losses_are_the_librarys(tmp_path, loss, grams):
    path = write_model(tmp_path / "m.bin", loss=loss, **grams)
    texts = ["tea for two", "zwei дом", "unknown words only", "tea", *TEXTS]
    check(read_model(path), fasttext.load_model(str(path)), texts)


@pytest.mark.parametrize(("dim", "width"), [(6, 2), (5, 2), (3, 3), (7, 3)])
def test_a_quantized_matrix_is_multiplied_out_part_by_part(dim, width):
    rng = np.random.default_rng(dim)
    n_rows, n_parts, n_last = 9, -(-dim // width), dim % width or width
    codes = rng.integers(0, 256, (n_rows, n_parts), np.uint8)
    centroids = rng.normal(size=256 * dim).astype("<f4")
    stored = struct.pack("<bqqi", 0, n_rows, dim, codes.size) + codes.tobytes()
    stored += struct.pack("<4i", dim, n_parts, width, n_last) + centroids.tobytes()
    for row, found in zip(codes.tolist(), _quantized(_Cursor(memoryview(stored))), strict=True):
        sizes = [width] * (n_parts - 1) + [n_last]
        starts = [
            256 * width * k + code * size for k, (code, size) in enumerate(zip(row, sizes, strict=True))
        ]
        parts = [centroids[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        assert found.tolist() == np.concatenate(parts).tolist()


def test_models_the_kernel_does_not_run_are_left_to_the_library(tmp_path):
    assert read_model(write_model(tmp_path / "bigrams.bin", loss=3, word_ngrams=2)) is None
    assert read_model(write_model(tmp_path / "negative.bin", loss=2)) is None


@pytest.mark.parametrize("n_bytes", [0, 7, 60, 200, 2000])
def test_a_file_cut_short_or_of_another_kind_is_refused(tmp_path, n_bytes):
    path = write_model(tmp_path / "m.bin", loss=3)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(FormatError, match="fastText model"):
        read_model(path)


def test_every_word_is_found_from_the_slot_of_its_hash():
    words = [b"tea", "дом".encode(), b"\xff", b"a", b"", *(str(n).encode() for n in range(99))]
    slots = hash_table(words)
    for number, word in enumerate(words):
        at = fnv1a(word) % len(slots)
        while slots[at] != number:
            assert slots[at] >= 0
            at = (at + 1) % len(slots)
    assert (slots >= 0).sum() == len(words)
    assert (hash_table([]) == -1).all()


def test_hashes_take_bytes_as_signed():
    assert fnv1a(b"a") == 0xE40C292C
    assert fnv1a("é".encode()) != 0
    assert fnv1a(b"\xff") == ((2166136261 ^ 0xFFFFFFFF) * 16777619) & 0xFFFFFFFF
