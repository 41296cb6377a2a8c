"""Two texts side by side: what is the same is folded, what differs is shown in full, and nothing drives a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from corpus_tools.compare import N_ROWS, N_WORDS, side_by_side

words = st.lists(st.sampled_from(["a", "b", "the", "end.", "x" * 70, "\x1b[2J"]), max_size=60)


def test_shared_words_are_folded_and_others_stand_beside_each_other():
    shared = " ".join(f"w{n}" for n in range(30))
    beside = side_by_side(f"CHAPTER I. {shared} end", f"Chapter One {shared}", other="keeper")
    assert beside.rows == [
        ("CHAPTER I.", "Chapter One"),
        ("w0 w1 w2 w3 w4 … w25 w26 w27 w28 w29 (30 words)", "="),
        ("end", ""),
    ]
    assert (beside.n_same, beside.n_here, beside.n_there) == (30, 33, 32)


@given(words, words)
def test_rows_count_every_word_once_and_the_page_has_two_columns(here, there):
    beside = side_by_side(" ".join(here), " ".join(there), other="other")
    assert (beside.n_here, beside.n_there) == (len(here), len(there))
    assert beside.n_same <= min(len(here), len(there))
    assert len(beside.rows) <= N_ROWS
    page = beside.text()
    assert "\x1b" not in page
    assert all(len(line) <= 52 + 2 + 52 for line in page.splitlines())


def test_equal_texts_are_one_row():
    assert side_by_side("a b c", "a b c", other="").rows == [("a b c", "=")]
    assert side_by_side("", "", other="").rows == []


def test_only_the_first_words_of_a_long_text_are_compared():
    beside = side_by_side("a " * 3 * N_WORDS, "a " * 5 * N_WORDS, other="")
    assert (beside.n_here, beside.n_there, beside.n_same) == (N_WORDS, N_WORDS, N_WORDS)
