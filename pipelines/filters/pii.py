"""Addresses of people and machines in a text, replaced by ones that are nobody's.

    "Write to jo@river.org, or to 8.8.8.8; 10.0.0.1 is yours."
    "Write to email@example.com, or to 22.214.171.124; 10.0.0.1 is yours."

What counts as an address is as in datatrove's PIIFormatter, which FineWeb uses: the e-mail addresses of RFC 5322
without quotes and comments, with a dot in the domain or a literal in brackets; four numbers with dots, of a public
network. One thing differs: there the replacements take turns, so a text depends on those before it; here the address
chooses, so a text depends on nothing else and one address becomes the same one everywhere.

Price: texts without `@` and without four numbers joined by dots are passed over at 1 GB/s; the others, a few in a
hundred, are searched from each `@`, and never in more than linear time.

It knows no names, no telephone numbers and no IPv6.

Source: datatrove 0.10.1, pipeline/formatters/pii.py; IANA IPv4 Special-Purpose Address Registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash
from pydantic import Field

from pipelines.batch import Batch
from pipelines.stage import Edit, Spans

__all__ = ["Pii"]

_ATOM_CHARS = "A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}|\[(?:{_BYTE}\.){{3}}(?:{_BYTE}|[A-Za-z0-9-]*[A-Za-z0-9]:)\]")
_ATOM = frozenset(chr(c) for c in range(128) if re.match(f"[{_ATOM_CHARS}]", chr(c)))
_IP = re.compile(rf"(?:{_BYTE}\.){{3}}{_BYTE}")
_SPECIAL = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_IN_SPECIAL = (IPv4Address("192.0.0.9"), IPv4Address("192.0.0.10"))
_NOBODYS = (
    "22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168",
)  # fmt: skip
_EMAIL_REASON, _IP_REASON = 0, 1


class Found(NamedTuple):
    """An address in a text: where, in characters, and which of the stage's reasons it is."""

    start: int
    end: int
    reason: int


class Pii(Edit):
    """Replaces e-mail and IP addresses by ones reserved or chosen for it."""

    name: ClassVar[str] = "pii"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("email_address", "ip_address")

    emails: bool = True
    """Whether e-mail addresses are replaced."""
    ips: bool = True
    """Whether IPv4 addresses are replaced."""
    public_ips_only: bool = True
    """Whether those of private and reserved networks stay."""
    email_replacements: tuple[str, ...] = Field(
        default=("email@example.com", "firstname.lastname@example.org"), min_length=1
    )
    """What may stand for an e-mail address; the address chooses one."""
    ip_replacements: tuple[str, ...] = Field(default=_NOBODYS, min_length=1)
    """What may stand for an IP address; these answered nobody when datatrove chose them."""

    def spans(self, batch: Batch) -> Spans:
        """The addresses of every row."""
        data, offsets = batch.text()
        found = [
            (row, *place)
            for row in _suspects(data, offsets, emails=self.emails, ips=self.ips)
            for place in self._row(data[offsets[row] : offsets[row + 1]].tobytes().decode())
        ]
        table = np.array(found, dtype=np.int64).reshape(-1, 5)
        return Spans(
            row=table[:, 0],
            start=table[:, 1],
            end=table[:, 2],
            replacement=table[:, 3].astype(np.int32),
            reason=table[:, 4].astype(np.uint8),
            replacements=[text.encode() for text in (*self.email_replacements, *self.ip_replacements)],
        )

    def _row(self, text: str) -> Iterator[tuple[int, int, int, int]]:
        """(start, end, replacement, reason) of every address of a text, in bytes."""
        n_bytes, at = 0, 0
        for place in self._addresses(text):
            start = n_bytes + len(text[at : place.start].encode())
            n_bytes, at = start + place.end - place.start, place.end  # an address is ASCII
            yield start, n_bytes, self._replacement(text[place.start : place.end], place.reason), place.reason

    def _addresses(self, text: str) -> Iterator[Found]:
        at = 0
        for email in _emails(text) if self.emails else ():
            yield from self._ips(text, at, email.start)
            yield email
            at = email.end
        yield from self._ips(text, at, len(text))

    def _ips(self, text: str, start: int, end: int) -> Iterator[Found]:
        if not self.ips:
            return
        for match in _IP.finditer(text, start, end):
            if _is_address(match[0], public_only=self.public_ips_only):
                yield Found(match.start(), match.end(), _IP_REASON)

    def _replacement(self, address: str, reason: int) -> int:
        first, n = (
            (0, len(self.email_replacements))
            if reason == _EMAIL_REASON
            else (len(self.email_replacements), len(self.ip_replacements))
        )
        return first + xxhash.xxh64_intdigest(address.encode()) % n


def _emails(text: str) -> Iterator[Found]:
    """E-mail addresses, from each `@` outwards: a search from the left takes the square of a long run of atoms."""
    done = 0
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _local_start(text, done, at) if domain else at
        if domain and start < at:
            yield Found(start, domain.end(), _EMAIL_REASON)
            done = domain.end()
        at = text.find("@", at + 1)


def _local_start(text: str, left: int, at: int) -> int:
    """Where the longest local part that ends at `at` begins, not before `left`; `at` for none.

    It is atoms with single dots between, and begins where a run of letters, digits and `_` begins or ends.
    """
    start, i = at, at - 1
    while i >= left and (text[i] in _ATOM or (text[i] == "." and i + 1 < at and text[i + 1] in _ATOM)):
        if text[i] != "." and (i > 0 and _in_word(text[i - 1])) != _in_word(text[i]):
            start = i
        i -= 1
    return start


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _is_address(text: str, *, public_only: bool) -> bool:
    if any(part != "0" and part.startswith("0") for part in text.split(".")):
        return False  # 08.10.2026.1 is no address, and 010 is octal to some
    address = IPv4Address(text)
    special = any(address in network for network in _SPECIAL) and address not in _GLOBAL_IN_SPECIAL
    return not (public_only and special)


def _suspects(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], *, emails: bool, ips: bool
) -> list[int]:
    """Rows with an `@`, or with three dots, each after a digit, within eight bytes."""
    data = data[offsets[0] : offsets[-1]]  # a slice of a part comes with all of its bytes
    places = np.flatnonzero(data == ord("@")) if emails else np.empty(0, np.int64)
    if ips:
        dots = np.flatnonzero((data[1:] == ord(".")) & (data[:-1] >= ord("0")) & (data[:-1] <= ord("9"))) + 1
        near = dots[2:] - dots[:-2] <= 8
        places = np.concatenate([places, dots[:-2][near]])
    return list(map(int, np.unique(np.searchsorted(offsets - offsets[0], places, side="right") - 1)))
