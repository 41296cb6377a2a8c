"""Words as spans of bytes, by either of two ways to cut them: what rules over words other than runs read.

words "spacy"    spaCy's English tokens, punctuation among them       `spacy_words`
words "light"    letters and numbers of any script, grams in some     `light_words`
(words "spaces" are cut where they are counted, by each kernel itself)

"It's 5."    light: It's | 5    starts [0, 5], ends [4, 6], offsets [0, 2]
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.lanes import readable
from pipelines.kernels.light_words import cut_light_words, light_classes
from pipelines.kernels.spacy_tables import spacy_tables
from pipelines.kernels.spacy_words import cut_words

__all__ = ["CUTTERS", "CutWords", "WordSpans", "word_groups", "word_spans"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
CutWords = Literal["spacy", "light"]

CUTTERS: dict[str, tuple[str, ...]] = {
    "spacy": ("spacy_words.cut_words",),
    "light": ("light_words.cut_light_words",),
    "spaces": (),
}
"""The kernels that cut words in each way, by the name that a rule's `words` has for it."""

_GROUP_BYTES = 1 << 16


class WordSpans(NamedTuple):
    """Word w is `data[starts[w]:ends[w]]`; document d has words `offsets[d]` to `offsets[d + 1]`. All int64."""

    starts: Offsets
    ends: Offsets
    offsets: Offsets


def _cut(data: Bytes, offsets: Offsets, words: CutWords, starts: Offsets, ends: Offsets) -> WordSpans:
    word_offsets = np.empty(len(offsets), np.int64)
    if words == "spacy":
        n_words = cut_words(readable(data), offsets, *spacy_tables(), starts, ends, word_offsets)
    else:
        n_words = cut_light_words(readable(data), offsets, light_classes(), starts, ends, word_offsets)
    return WordSpans(starts[:n_words], ends[:n_words], word_offsets)


def word_spans(data: Bytes, offsets: Offsets, words: CutWords) -> WordSpans:
    """The words of every document in order; one pass. `data[starts[w]:ends[w]]` is word w's UTF-8."""
    room = int(offsets[-1] - offsets[0]) + 1  # no word is empty; one may be written behind the last
    return _cut(data, offsets, words, np.empty(room, np.int64), np.empty(room, np.int64))


def word_groups(data: Bytes, offsets: Offsets, words: CutWords) -> Iterator[tuple[Offsets, WordSpans]]:
    """Consecutive documents, as their own `offsets`, and their words, which the next group overwrites.

    A group is 64 kB of text or one document: its words stay in the cache for the kernel that reads them,
    where those of a whole batch would be new memory for every word.
    """
    n_docs = len(offsets) - 1
    cuts = [0]
    while cuts[-1] < n_docs:
        last = int(np.searchsorted(offsets, offsets[cuts[-1]] + _GROUP_BYTES, "right")) - 1
        cuts.append(min(max(last, cuts[-1] + 1), n_docs))
    room = int(np.diff(offsets[cuts]).max(initial=0)) + 1
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    for first, last in pairwise(cuts):
        group = offsets[first : last + 1]
        yield group, _cut(data, group, words, starts, ends)
