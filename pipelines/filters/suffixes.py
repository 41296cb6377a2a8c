"""Which part of a host somebody registered: everything below it is theirs, everything above is the registry's.

    https://user@forums.bbc.co.uk:8080/x  ->  host forums.bbc.co.uk
                                              public suffix co.uk, registered bbc.co.uk

The Public Suffix List is the snapshot inside the package tldextract, read without importing it, which takes
100 ms and is made to fetch the list of the day: two builds would then differ. Of its two halves only the one of
registries counts (`blogspot.com` is a domain somebody registered). A suffix is known by its Unicode and its
`xn--` form, in any case.

Price: 50 ms to read the list, once a process; 3 us a host. It does not say whether a host exists.

Source: https://publicsuffix.org/list (rules, MPL-2.0); parsing is tldextract 5.4's, edge cases included, because
datatrove's URL filter sees addresses through it.
"""

from __future__ import annotations

import importlib.util
import re
import string
from functools import cache
from pathlib import Path
from typing import Any

from manifests.errors import MissingFileError

__all__ = ["host_of", "is_ipv4", "registered", "suffix_file", "suffix_rules"]

_SCHEME = frozenset(string.ascii_letters + string.digits + "+-.")
_USUAL = frozenset(("http", "https"))
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_RULE = re.compile(r"^(?P<suffix>[.*!]*\w[\S]*)", re.MULTILINE)
_OCTET = r"(?:[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}", re.ASCII)
_END = ""  # the key of a node where a suffix begins; no label is empty

Rules = dict[str, Any]


def host_of(url: str) -> str:
    """The host of an address or of something like one, in its own case; brackets of IPv6 stay.

    >>> host_of("https://me:pw@Forums.BBC.co.uk:8080/x?y")
    'Forums.BBC.co.uk'
    >>> host_of("example.org/a")
    'example.org'
    """
    slashes = url.find("//")
    scheme = url[: max(0, slashes - 1)]
    if slashes == 0 or (
        scheme and url[slashes - 1] == ":" and (scheme in _USUAL or not set(scheme) - _SCHEME)
    ):
        url = url[slashes + 2 :]
    authority = url.partition("/")[0].partition("?")[0].partition("#")[0].rpartition("@")[2]
    if authority.startswith("[") and "]" in authority:
        return authority.partition("]")[0] + "]"
    host = authority.partition(":")[0].strip()
    return (host if host.isascii() else host.translate(_DOTS)).rstrip(".")


def is_ipv4(host: str) -> bool:
    """Whether a host is four numbers from 0 to 255."""
    return _IPV4.fullmatch(host) is not None


def registered(host: str, rules: Rules) -> tuple[str, str]:
    """(what was registered, the whole host); both empty where no public suffix ends the host.

    >>> registered("forums.bbc.co.uk", suffix_rules())
    ('bbc.co.uk', 'forums.bbc.co.uk')
    >>> registered("localhost", suffix_rules()), registered("127.0.0.1", suffix_rules())
    (('', ''), ('', ''))
    """
    labels = host.split(".")
    index = _suffix_index(labels, rules)
    if index == len(labels) or index == 0 or not labels[index - 1]:
        return "", ""
    domain = ".".join(labels[index - 1 :])
    below = ".".join(labels[: index - 1])
    return domain, f"{below}.{domain}" if below else domain


def _suffix_index(labels: list[str], rules: Rules) -> int:
    """The index of the first label of the public suffix, len(labels) where there is none."""
    node, found = rules, len(labels)
    for at in range(len(labels) - 1, -1, -1):
        label = labels[at].lower()
        if label and label in node:
            node = node[label]
            found = at if _END in node else found
        elif "*" in node:
            return at + 1 if "!" + label in node else at
        else:
            break
    return found


@cache
def suffix_rules() -> Rules:
    """The registries' suffixes as a tree of labels, the last label first.

    Raises: MissingFileError.
    """
    text = suffix_file().read_text(encoding="utf-8")
    tree: Rules = {}
    for match in _RULE.finditer(text.partition("// ===BEGIN PRIVATE DOMAINS===")[0]):
        suffix = match["suffix"]
        for labels in {suffix} if suffix.isascii() else {suffix, _ace(suffix)}:
            node = tree
            for label in reversed(labels.split(".")):
                node = node.setdefault(label, {})
            node[_END] = {}
    return tree


def _ace(suffix: str) -> str:
    """The suffix as hosts spell it in ASCII."""
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode()
        for label in suffix.split(".")
    )


def suffix_file() -> Path:
    """Where the installed package keeps its snapshot of the list.

    Raises: MissingFileError.
    """
    # Finding the package without importing it: it brings an HTTP client.
    spec = importlib.util.find_spec("tldextract")
    path = Path(spec.origin).parent / ".tld_set_snapshot" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise MissingFileError(
            f"{path or 'tldextract'}: expected the Public Suffix List that tldextract ships, found nothing. No "
            "address could be traced to a registered domain. Install tldextract again."
        )
    return path
