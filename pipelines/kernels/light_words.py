r"""Words of any language by Unicode's classes alone: no dictionary, no model; grams where nobody writes spaces.

    "Don't pay 1,000 for well-known U.S. wine."     Don't | pay | 1,000 | for | well | known | U.S | wine
    "我们是1998年来的。Tシャツ"                          我们 | 是 | 1998 | 年来 | 的 | Tシャツ   (about so, see below)

A word is a run of letters and numbers (L*, N*) with the marks behind them (M*, joiners of width zero, the long mark
of kana). One of ' ’ . · _ between two of them stays inside, a comma between two digits does, a hyphen does not.
Punctuation and symbols are no words and part of none: what a rule counts of them (`#`, `...`) it counts in the text.

Scripts without spaces are cut into grams, which never part a letter from its marks nor leave a run of such letters:

    script                           letters in a gram          characters in a gram, over sentences of the web
    Han, hiragana                    1 or 2, bonded at 5/8      1.56 Chinese, 1.58 Japanese
    Thai, Lao, Khmer, Burmese, Tai   1 to 4, bonded at 7/8      3.57 Thai, its marks among them
    katakana                         runs are words, as in Unicode's default rules; Tibetan's marks end syllables

Two neighbours are bonded where a hash of the two says so. Grams then have the length of words (Chinese corpora cut by
hand have 1.5 to 1.7 characters a word; for Thai no such count was at hand) and a repeated phrase is cut alike wherever
it stands, but for a gram or two where it begins. Other ways were weighed: pairs from the run's start miss a phrase
repeated at an odd place; overlapping pairs count every character twice, so that shares of characters pass 1; single
characters are 1.6 times as many words, and five of them in a row come again in good prose.

Of Unicode's default word boundaries (UAX #29) this leaves out: joins that hold between letters only or digits only
("3.x" is one word here), semicolons and Hebrew's quotation mark, emoji, and regional rules. The scripts are the
blocks of UAX #14's class SA, Han and hiragana; `minhash` makes each character of them, and of katakana, a word.

Price: 730 MB/s of English, 180 to 270 of Chinese. 16 bytes of address space for each byte of text;
`word_spans.word_groups` has them for 64 kB.

Source: Unicode Standard Annex #29, section 4, https://www.unicode.org/reports/tr29/; UAX #14, table 1; Emerson 2005,
The Second International Chinese Word Segmentation Bakeoff, table 1.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.kernels import unicode_data
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit
from pipelines.kernels.words import byte_at, decode

__all__ = ["CHAINED_BLOCKS", "PAIRED", "PAIRED_BLOCKS", "cut_light_words", "light_classes"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

# 々 and 〇 with Han; hiragana; Han. What is no letter in a block (marks, digits, punctuation) stays what it is.
PAIRED_BLOCKS = "3005-3007 3041-309F 3400-4DBF 4E00-9FFF F900-FAFF 1B001-1B11F 1B150-1B152 20000-323AF"
# Thai, Lao; Myanmar; Khmer; Tai Le, New Tai Lue; Tai Tham; Myanmar's extensions, Tai Viet; Ahom.
CHAINED_BLOCKS = "E00-EFF 1000-109F 1780-17FF 1950-19DF 1A20-1AAF A9E0-A9FF AA60-AADF 11700-1174F"
EXTENDING = (
    "AD-AD 200C-200D 2060-2060 30FC-30FC FF70-FF70 FF9E-FF9F"  # beside marks: continues a word, begins none
)
JOINING = "'’.·_"

_LETTER, _EXTEND, _JOIN, _DIGIT, PAIRED, _CHAINED = 1, 2, 4, 8, 16, 32
_COMMA = 44
_COENG, _VIRAMA, _SAKOT = 0x17D2, 0x1039, 0x1A60  # the next letter stands below the one before

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio: Knuth's multiplicative hash


def _mark(classes: Bytes, ranges: str, bits: int) -> None:
    for first, last in (item.split("-") for item in ranges.split()):
        classes[int(first, 16) : int(last, 16) + 1] = bits


@cache
def light_classes() -> Bytes:
    """What every code point is to these words, `uint8[0x110000]`: one of six kinds, a decimal digit a letter too."""
    classes = np.zeros(0x110000, np.uint8)
    _mark(classes, unicode_data.ALPHABETIC, _LETTER)
    _mark(classes, unicode_data.NUMBER, _LETTER)
    for blocks, kind in ((PAIRED_BLOCKS, PAIRED), (CHAINED_BLOCKS, _CHAINED)):
        for first, last in (item.split("-") for item in blocks.split()):
            block = classes[int(first, 16) : int(last, 16) + 1]
            block[block == _LETTER] = kind
    _mark(classes, unicode_data.DECIMAL, _LETTER | _DIGIT)
    _mark(classes, unicode_data.MARK, _EXTEND)
    _mark(classes, EXTENDING, _EXTEND)
    classes[[*map(ord, JOINING)]] = _JOIN
    classes.flags.writeable = False
    return classes


@inline
def _is_bonded(before: int, point: int, kind: int) -> bool:
    """Whether two letters side by side are in one gram: 5 pairs of 8 in Han and hiragana, 7 of 8 in the others."""
    mixed = (np.uint64(before) << np.uint64(21) | np.uint64(point)) * _MIX >> np.uint64(61)
    return bool(mixed < np.uint64(5 if kind & PAIRED else 7))


@inline
def _gram_end(data: Bytes, at: int, stop: int, classes: Bytes) -> int:
    """Where the gram ends that begins with the letter at byte `at`."""
    before, end = decode(data, at, stop)
    kind = byte_at(classes, before)
    room = 2 if kind & PAIRED else 4
    while end < stop:
        point, after = decode(data, end, stop)
        found = byte_at(classes, point)
        if found == kind:
            if before != _COENG and before != _VIRAMA and before != _SAKOT:
                room -= 1
                if room == 0 or not _is_bonded(before, point, kind):
                    break
        elif found != _EXTEND:
            break
        before, end = point, after
    return end


@inline
def _word_end(data: Bytes, at: int, stop: int, classes: Bytes) -> int:
    """Where the word ends that begins with the letter or digit at byte `at`."""
    end = at
    digit = False
    while at < stop:
        point, after = decode(data, at, stop)
        kind = byte_at(classes, point)
        if kind & (_LETTER | _EXTEND):
            digit = kind & _DIGIT != 0
            end = after
        elif (kind & _JOIN or (point == _COMMA and digit)) and after < stop:
            follows = byte_at(classes, decode(data, after, stop)[0])
            if not follows & (_DIGIT if point == _COMMA else _LETTER):
                break
        else:
            break
        at = after
    return end


@inline
def _cut_run(data: Bytes, at: int, stop: int, classes: Bytes, starts: Offsets, ends: Offsets, n: int) -> int:
    """Writes the words between two bytes that no word goes across; returns where the next word goes."""
    while at < stop:
        point, after = decode(data, at, stop)
        kind = byte_at(classes, point)
        if kind & (_LETTER | PAIRED | _CHAINED):
            starts[n] = at
            at = _word_end(data, at, stop, classes) if kind & _LETTER else _gram_end(data, at, stop, classes)
            ends[n] = at
            n += 1
        else:
            at = after
    return n


@inline
def _window(data: Bytes, at: int, end: int, n_readable: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Of the 64 bytes from `at` on, and before `end`: those inside words, of other scripts, and that end no run.

    Inside words are letters and digits of ASCII, all bytes of other scripts, and joins and commas between them.
    """
    place = min(at, n_readable - N_LANES)
    n_before, one = np.uint64(at - place), np.uint64(1)
    within = ALL >> np.uint64(max(N_LANES - (end - at), 0))
    letters = between(data, place, 97, 122) | between(data, place, 65, 90)
    joins = between(data, place, 39, 39) | between(data, place, 46, 46) | between(data, place, 95, 95)
    commas = between(data, place, _COMMA, _COMMA) >> n_before & within
    digits = between(data, place, 48, 57) >> n_before & within
    others = between(data, place, 0x80, 0xFF) >> n_before & within
    letters, joins = letters >> n_before & within, joins >> n_before & within
    numeric, solid = digits | others, letters | digits | others
    inner = joins & solid << one & solid >> one | commas & numeric << one & numeric >> one
    return solid | inner, others, solid | joins | commas


@inline
def _run_stop(data: Bytes, at: int, end: int, n_readable: int) -> int:
    """The first byte from `at` on that is in no word whatever stands beside it."""
    while at < end:
        n_whole = first_bit(~_window(data, at, end, n_readable)[2])
        if n_whole < N_LANES:
            return min(at + n_whole, end)
        at += N_LANES
    return end


@kernel(f"int64({BYTES}, {OFFSETS}, {BYTES}, int64[::1], int64[::1], int64[::1])")
def cut_light_words(
    data: Bytes, offsets: Offsets, classes: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets
) -> int:
    """Writes the words' starts and ends and where each document's begin; returns how many words there are.

    data: at least 64 bytes. classes: `light_classes()`. No more words than bytes.
    """
    n_readable = len(data)
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    n: int = np.int64(0)  # type: ignore[assignment]  # of a 0 numba would compile all helpers once more
    for doc in range(len(offsets) - 1):
        word_offsets[doc] = n
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            base = at
            solid, others, _ = _window(data, base, end, n_readable)
            at = base + N_LANES
            left = solid
            while left:
                first = first_bit(left)
                rest = ALL << np.uint64(first)
                stop = first_bit(~solid & rest)
                if stop >= N_LANES - 1 and base + N_LANES < end:
                    if first > 0:
                        at = (
                            base + first
                        )  # the run may go on behind the window: once more from where it starts
                    else:
                        at = _run_stop(data, base, end, n_readable)
                        n = _cut_run(data, base, at, classes, starts, ends, n)
                    break
                behind = ALL << np.uint64(stop) if stop < N_LANES else np.uint64(0)
                if others & rest & ~behind:
                    n = _cut_run(data, base + first, base + stop, classes, starts, ends, n)
                else:
                    starts[n], ends[n] = base + first, base + stop
                    n += 1
                left &= behind
    word_offsets[len(offsets) - 1] = n
    return n
