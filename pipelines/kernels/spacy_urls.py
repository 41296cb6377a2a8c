r"""Whether a run without white space is what spaCy takes for a URL.

    https://user@www.example.com:8080/a?b    protocol and user, port and path may be absent
    8.8.8.8                                  or the host is a public IP address

The pattern is a regular expression that backtracks over where the user ends; as no host contains "@",
looking behind each "@" once finds the same, in one pass. Digits of other scripts make no IP address here.

Source: spaCy 3.8, spacy/lang/tokenizer_exceptions.py, after Diego Perini, https://gist.github.com/dperini/729294
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import inline
from pipelines.kernels.spacy_affixes import is_ascii_digit
from pipelines.kernels.spacy_tables import ALPHA, DIGIT, LOWER, WORD
from pipelines.kernels.words import byte_at, decode

__all__ = ["is_url"]

Bytes = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.uint16]


@inline
def _n_host_chars(data: Bytes, at: int, stop: int, classes: Classes) -> int:
    """The length in characters of what stands before a full stop in a host name, -1 if it is no such label."""
    n = 0
    inner = False  # the last character may stand inside a label only
    while at < stop and byte_at(data, at) != 46:
        point, at = decode(data, at, stop)
        inner = point == 45 or point == 95
        plain = 0xA1 <= point <= 0xFFFF or (point < 128 and classes[point] & (ALPHA | DIGIT))
        if not plain and (n == 0 or not inner):
            return -1
        n += 1
    return -1 if inner or n > 64 else n


@inline
def _is_host(data: Bytes, start: int, stop: int, classes: Classes) -> bool:
    """Labels with full stops behind them, then 2 to 63 letters, none of them upper case only."""
    at, n_labels = start, 0
    last_dot = stop - 1
    while last_dot >= start and byte_at(data, last_dot) != 46:
        last_dot -= 1
    while at <= last_dot:
        if _n_host_chars(data, at, stop, classes) < 1:
            return False
        n_labels += 1
        while byte_at(data, at) != 46:
            at += 1
        at += 1
    n_letters = 0
    while at < stop:
        point, at = decode(data, at, stop)
        if not classes[point] & LOWER:
            return False
        n_letters += 1
    return n_labels > 0 and 2 <= n_letters <= 63


@inline
def _is_ip(data: Bytes, start: int, stop: int) -> bool:
    """Four numbers of a public address, as the pattern for URLs has them."""
    at, first, second = start, 0, 0
    for k in range(4):
        value, begin = 0, at
        while at < stop and at - begin < 4 and is_ascii_digit(byte_at(data, at)):
            value = 10 * value + byte_at(data, at) - 48
            at += 1
        n_digits = at - begin
        outer = k == 0 or k == 3
        highest = 223 if k == 0 else 254 if k == 3 else 255
        if n_digits < 1 or n_digits > 3 or value > highest:
            return False
        if (outer or n_digits == 3) and byte_at(data, begin) == 48:
            return False
        if k < 3 and (at == stop or byte_at(data, at) != 46):
            return False
        at += k < 3
        first, second = (value if k == 0 else first), (value if k == 1 else second)
    private = first == 10 or first == 127 or (first == 172 and 16 <= second <= 31)
    private |= (first == 169 and second == 254) or (first == 192 and second == 168)
    return at == stop and not private


@inline
def _is_url_from(data: Bytes, start: int, stop: int, classes: Classes) -> bool:
    """Host, port and path, without a protocol and a user in front."""
    end = start
    while end < stop:
        byte = byte_at(data, end)
        if byte == 58 or byte == 47 or byte == 63 or byte == 35:
            break
        if byte == 64:
            return False
        end += 1
    at = end
    if at < stop and byte_at(data, at) == 58:
        n_digits, at = 0, at + 1
        while at < stop:
            point, after = decode(data, at, stop)
            if not classes[point] & DIGIT:
                break
            n_digits, at = n_digits + 1, after
        if n_digits < 2 or n_digits > 5:
            return False
        if at < stop and byte_at(data, at) != 47 and byte_at(data, at) != 63 and byte_at(data, at) != 35:
            return False
    return _is_host(data, start, end, classes) or _is_ip(data, start, end)


@inline
def _after_protocol(data: Bytes, start: int, stop: int, classes: Classes) -> int:
    """Where the text goes on behind "://"; `start` if it has no protocol."""
    at, n_chars = start, 0
    while at < stop:
        point, after = decode(data, at, stop)
        if not (classes[point] & WORD or point == 43 or point == 45 or point == 46):
            break
        at, n_chars = after, n_chars + 1
    if n_chars < 2 or at + 3 > stop or data[at] != 58 or data[at + 1] != 47 or data[at + 2] != 47:
        return start
    return at + 3


@inline
def is_url(data: Bytes, start: int, stop: int, classes: Classes) -> bool:
    """Whether spaCy's pattern for URLs matches the whole: protocol and user may be absent, the host not."""
    dot = start
    while dot < stop and byte_at(data, dot) != 46:
        dot += 1
    if dot == stop:
        return False
    host = _after_protocol(data, start, stop, classes)
    if _is_url_from(data, host, stop, classes) or (host > start and _is_url_from(data, start, stop, classes)):
        return True
    for at in range(start + 1, stop):
        if byte_at(data, at) == 64 and _is_url_from(data, at + 1, stop, classes):
            return True
    return False
