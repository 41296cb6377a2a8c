"""Numbers as people write them in a recipe, a mix or a training file, read exactly.

    tokens: 2M       ->  2_000_000           k, M, B, T are decimal
    batch: 512Ki     ->  524_288             Ki, Mi, Gi, Ti are binary
    holdout: 0.5%    ->  Fraction(1, 200)    never a float, so it has one canonical form

Three pydantic types carry them: `Count` (whole, 0 or more), `Share` (0 to 1, with or without a percent
sign) and `Percent` (0 to 1, the sign obligatory unless it is 0). A manifest holds no floats, so a share
leaves a model as a string that reads back as the same fraction: `0.3`, `0.5%`, `1/3`.

Not here: units of memory or time, and negative numbers.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

__all__ = [
    "Count",
    "Percent",
    "Share",
    "parse_count",
    "parse_percent",
    "parse_share",
    "percent_text",
    "share_text",
]

_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "B": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_COUNT = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?) ?([kMBT]|[KMGT]i)?", re.ASCII)
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,2})?|[0-9]+/[0-9]+) ?(%?)", re.ASCII)


def parse_count(value: str | float) -> int:
    """Returns the whole number meant by `2M`, `512Ki`, `1_000`, `1.5k` or a plain number.

    >>> parse_count("2M"), parse_count("4Ki"), parse_count("1.5k"), parse_count(3e9)
    (2000000, 4096, 1500, 3000000000)

    Raises: ValueError if it is negative, not whole, or not a number.
    """
    exact = _exact_count(value)
    if exact is None or exact < 0 or exact.denominator != 1:
        raise ValueError("expected a whole number, 0 or more, such as 2000, 2k, 1.5M or 512Ki")
    return int(exact)


def _exact_count(value: object) -> Fraction | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int) or (isinstance(value, float) and abs(value) < 2**53):
        return Fraction(value)
    match = _COUNT.fullmatch(value) if isinstance(value, str) else None
    return Fraction(match[1].replace("_", "")) * _UNITS[match[2] or ""] if match else None


def parse_share(value: str | float | Fraction) -> Fraction:
    """Returns the exact part of one that `0.5%`, `0.005`, `1/200` or the number 0.005 means.

    A float is read as its shortest decimal form, which is what stood in the file.

    >>> parse_share("0.5%"), parse_share(0.3)
    (Fraction(1, 200), Fraction(3, 10))

    Raises: ValueError if it is not between 0 and 1.
    """
    exact = _exact_share(value)
    if exact is None or not 0 <= exact <= 1:
        raise ValueError("expected a share between 0 and 1, such as 0.3, 30% or 1/3")
    return exact


def parse_percent(value: str | float | Fraction) -> Fraction:
    """Returns the share that `2%` means; 0.02 is refused, because half its writers would mean 0.02%.

    Raises: ValueError if the percent sign is missing (0 needs none) or the share is above 100%.
    """
    unsigned = isinstance(value, (int, float)) or (isinstance(value, str) and "%" not in value)
    exact = _exact_share(value)
    if exact is None or not 0 <= exact <= 1 or (unsigned and exact != 0):
        raise ValueError("expected a percentage between 0% and 100%, with its sign, such as 0.5%")
    return exact


def _exact_share(value: object) -> Fraction | None:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    match = _SHARE.fullmatch(value if isinstance(value, str) else repr(value))
    if match is None or match[1].endswith("/0"):
        return None
    return Fraction(match[1]) / (100 if match[2] else 1)


def share_text(share: Fraction) -> str:
    """Returns the one string that stands for `share` in a manifest: a decimal where one is exact, else p/q.

    >>> share_text(Fraction(3, 10)), share_text(Fraction(1, 3)), share_text(Fraction(1))
    ('0.3', '1/3', '1')
    """
    n_places = _decimal_places(share.denominator)
    if n_places is None:
        return f"{share.numerator}/{share.denominator}"
    if n_places == 0:
        return str(share.numerator)
    digits = str(share.numerator * 10**n_places // share.denominator).rjust(n_places + 1, "0")
    return f"{digits[:-n_places]}.{digits[-n_places:]}"


def percent_text(share: Fraction) -> str:
    """Returns the one string that stands for a percentage in a manifest, `0.5%`."""
    return share_text(share * 100) + "%"


def _decimal_places(denominator: int) -> int | None:
    """Returns how many decimals write a fraction over `denominator`, or None if no number of them does."""
    n_twos = n_fives = 0
    while denominator % 2 == 0:
        denominator, n_twos = denominator // 2, n_twos + 1
    while denominator % 5 == 0:
        denominator, n_fives = denominator // 5, n_fives + 1
    return max(n_twos, n_fives) if denominator == 1 else None


Count = Annotated[int, BeforeValidator(parse_count)]
Share = Annotated[
    Fraction,
    PlainValidator(parse_share),
    PlainSerializer(share_text, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "description": "a share: 0.3, 30% or 1/3"}),
]
Percent = Annotated[
    Fraction,
    PlainValidator(parse_percent),
    PlainSerializer(percent_text, return_type=str),
    WithJsonSchema({"type": "string", "description": "a percentage: 0.5%"}),
]
