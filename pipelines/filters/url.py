"""Addresses on blocklists: by domain, by host, by whole address, and by words in them.

    https://forums.example.co.uk/hot-babes      registered domain example.co.uk, host forums.example.co.uk,
                                                words https forums example co uk hot babes

    our reason         datatrove's           drops where                                   our parameter
    listed_domain      domain                the registered domain is on a list            domains
    listed_host        subdomain             the whole host is                             domains
    listed_url         url                   the address is                                urls
    banned_word        hard_blacklisted      it has a banned word                          banned_words
    soft_words         soft_blacklisted      it has two different soft words or more       soft_words
    banned_subword     blacklisted_subword   its letters and digits, run together, hold    banned_subwords
                                             a banned subword

Reads nothing but `url`, so put it before `extract`: a dropped page is then not parsed. A document without an
address passes. With the parameters left alone the verdicts are those of datatrove's URLFilter, whose lists are
read from its installed package. What is surprising in them, and the parameter that does otherwise:

- hosts and words count as they are spelt: "Porn" and "EXAMPLE.com" are on no list       ignore_case
- only the registered domain and the whole host are looked up; 6,390 listed IP addresses and
  the top-level domain `xxx` are never met                                              hosts: every_parent
- whole addresses are compared from their scheme on, and the shipped list has none:
  of its 19,586 lines one can be met                                                     urls_from: host
- a word between two others is not a word ("sexshop"), a subword is ("essexgirls...")

Lists are files, one name a line, `#` before a comment, plain or gzipped, from the recipe's folder; their digests
are in the step's key. `ut1` takes folders of the UT1 blacklists (`adult/domains`, `adult/urls`).

Price on one core: 200,000 addresses a second (datatrove's filter 30,000); for the shipped lists 37 MB, which
processes share, and 1 s the first time on a machine.

Source: Penedo et al. 2023, RefinedWeb, appendix G.1, https://arxiv.org/abs/2306.01116; datatrove 0.10.1,
pipeline/filters/url_filter.py; the lists: Prigent, Université Toulouse Capitole, https://dsi.ut-capitole.fr/blacklists,
CC BY-SA.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.digest import digest_file
from manifests.errors import MissingFileError, RecipeError
from pipelines.batch import Batch, Values, text_view
from pipelines.filters.limits import Limit, Number, described, failing
from pipelines.filters.lists import ListFile, Names, hash_names, read_names, read_words
from pipelines.filters.suffixes import host_of, is_ipv4, registered, suffix_file, suffix_rules
from pipelines.kernels.urls import BANNED, SOFT, count_url_words, make_automaton
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["DATATROVE_REASONS", "SHIPPED", "Url", "load_lists", "shipped_list"]

ListName = Literal["domains", "urls", "banned_words", "soft_words", "banned_subwords"]

DATATROVE_REASONS = {
    "domain": "listed_domain",
    "subdomain": "listed_host",
    "url": "listed_url",
    "hard_blacklisted": "banned_word",
    "soft_blacklisted": "soft_words",
    "blacklisted_subword": "banned_subword",
}
"""datatrove's reason -> ours."""

_LISTED = ("domain_listed", "host_listed", "url_listed")
_WORD_LIMITS = (
    Limit("banned_word", "max_banned_words", "n_banned_words"),
    Limit("soft_words", "max_soft_words", "n_soft_words"),
    Limit("banned_subword", "max_banned_subwords", "n_banned_subwords"),
)
_ARCHIVE = "url_filterblacklistsv0_3_0.tar.gz"
_FILES: dict[ListName, tuple[str, str]] = {
    "domains": (_ARCHIVE, "domains"),
    "urls": (_ARCHIVE, "urls"),
    "banned_words": ("banned_words.txt", ""),
    "soft_words": ("soft_banned_words.txt", ""),
    "banned_subwords": ("banned_subwords.txt", ""),
}
SHIPPED: tuple[ListName, ...] = tuple(_FILES)
"""The lists inside datatrove's package."""


class _Lists(NamedTuple):
    """What is looked up: two sets of names, the hashes and kinds of words, the automaton of subwords."""

    domains: Names
    urls: Names
    words: tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]
    subwords: tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]


class Url(Rule):
    """Drops documents by their address."""

    name: ClassVar[str] = "url"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("url",)
    reasons: ClassVar[tuple[str, ...]] = tuple(DATATROVE_REASONS.values())
    path_fields: ClassVar[tuple[str, ...]] = (
        "ut1",
        "domains",
        "urls",
        "banned_words",
        "soft_words",
        "banned_subwords",
    )
    folder_fields: ClassVar[tuple[str, ...]] = ("ut1",)
    measuring: ClassVar[tuple[str, ...]] = ("shipped", *path_fields, "hosts", "urls_from", "ignore_case")

    shipped: tuple[ListName, ...] = SHIPPED
    """Which of the lists in datatrove's package are used; `[]` for none."""
    ut1: tuple[str, ...] = ()
    """Folders with the files `domains` and `urls`, either or both, plain or gzipped (`.gz`)."""
    domains: tuple[str, ...] = ()
    """Files of further domains and hosts."""
    urls: tuple[str, ...] = ()
    """Files of further addresses, spelt as `urls_from` says."""
    banned_words: tuple[str, ...] = ()
    """Files of further words of which `max_banned_words` may stand in an address."""
    soft_words: tuple[str, ...] = ()
    """Files of further words of which `max_soft_words` may stand in an address."""
    banned_subwords: tuple[str, ...] = ()
    """Files of further words of which `max_banned_subwords` may, inside other words and across marks too."""
    hosts: Literal["registered", "every_parent"] = "registered"
    """`registered` looks up the registered domain and the host; `every_parent` also each domain between and
    above them, IP addresses, and hosts without a public suffix."""
    urls_from: Literal["scheme", "host"] = "scheme"
    """Where a listed address begins: at its scheme, or, as UT1 writes them, behind it and behind `www.`."""
    ignore_case: bool = False
    """Whether hosts and words are put in lower case first."""
    max_banned_words: Number | None = 0
    """Most different banned words."""
    max_soft_words: Number | None = 1
    """Most different soft words."""
    max_banned_subwords: Number | None = 0
    """Most places at which a banned subword ends."""
    root: Path | None = Field(default=None, exclude=True)
    """The recipe's folder."""

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digests of all lists and of the Public Suffix List.

        Raises: RecipeError for a list that is not there; MissingFileError for one of a package's.
        """
        shipped = [shipped_list(name).path for name in self.shipped]
        files = {f"datatrove/{path.name}": path for path in shipped}
        for name in ("domains", "urls", "banned_words", "soft_words", "banned_subwords"):
            files |= {path: folder / path for path in getattr(self, name)}
        for path in self.ut1:
            files |= {f"{path}/{file.name}": file for file in _ut1_files(folder / path)}
        files["tldextract/.tld_set_snapshot"] = suffix_file()
        for path, file in files.items():
            if not file.is_file():
                raise RecipeError(
                    f'expected a list, found nothing at "{path}"; correct the path or leave it out'
                )
        return {name: digest_file(files[name]) for name in sorted(files)}

    def kernels(self) -> tuple[str, ...]:
        """Hashing of names and lists, and the words of addresses."""
        return ("hashing.xxh64_spans", "urls.hash_lines", "urls.count_url_words")

    def numbers(self) -> tuple[str, ...]:
        """What is listed, and what is counted."""
        return (*_LISTED, *(limit.of for limit in _WORD_LIMITS))

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """Whether domain, host and address are listed: uint8[n_docs] each; counts of words: int64[n_docs] each."""
        lists = load_lists(*(self._lists(name) for name in SHIPPED))
        column = batch.column("url").cast(pa.large_string())
        urls = column.to_pylist()
        spelt = pc.ascii_lower(column) if self.ignore_case else column
        counts = count_url_words(*text_view(spelt), *lists.words, *lists.subwords)
        domain_listed, host_listed = self._listed_hosts(lists.domains, urls)
        url_listed = lists.urls.has([self._spelt(url) if url else None for url in urls])
        listed = (domain_listed, host_listed, url_listed)
        return {
            **{name: found.astype(np.uint8) for name, found in zip(_LISTED, listed, strict=True)},
            **{limit.of: counts[:, k].copy() for k, limit in enumerate(_WORD_LIMITS)},
        }

    def _listed_hosts(
        self, listed: Names, urls: Sequence[str | None]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which registered domains, and which hosts, are listed: bool[n_docs] each."""
        rules = suffix_rules()
        known: dict[str, tuple[str, str]] = {}
        domains, hosts = [], []
        for url in urls:
            host = host_of(url) if url else ""
            if host not in known:
                known[host] = registered(host.lower() if self.ignore_case else host, rules)
            domain, whole = known[host]
            domains.append(domain)
            hosts.append(whole if self.hosts == "registered" else host)
        if self.hosts == "registered":
            return listed.has(domains), listed.has(hosts)
        return listed.has(domains), self._listed_parents(listed, hosts)

    def _listed_parents(self, listed: Names, hosts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which hosts are listed or stand below a listed domain: bool[n_docs]."""
        parents = [list(_parents(host.lower() if self.ignore_case else host)) for host in hosts]
        found = listed.has(list(itertools.chain.from_iterable(parents)))
        owners = np.repeat(np.arange(len(hosts)), [len(some) for some in parents])
        return np.bincount(owners[found], minlength=len(hosts)) > 0

    def _spelt(self, url: str) -> str:
        """The address as lists of them are written."""
        if self.urls_from == "scheme":
            return url
        rest = url.partition("://")[2] or url
        host, slash, path = rest.partition("/")
        host = host.rpartition("@")[2]
        return (host.lower() if self.ignore_case else host).removeprefix("www.") + slash + path

    def decide(self, values: Values) -> Verdicts:
        """The first list an address is on, in the order of the reasons."""
        listed = [np.asarray(values[name]) > 0 for name in _LISTED]
        return first_failing(len(values["url_listed"]), [*listed, *failing(self, _WORD_LIMITS, values)])

    def limits(self) -> dict[str, tuple[str, str]]:
        """Every list that is looked up."""
        listed = {reason: (value, "<= 0") for reason, value in zip(self.reasons, _LISTED, strict=False)}
        return listed | described(self, _WORD_LIMITS)

    def _lists(self, name: ListName) -> tuple[tuple[ListFile, int], ...]:
        """The lists of a kind, each with the time it was last changed, so that a cache meets no old one."""
        folder = self.root or Path()
        found = [ListFile(folder / path) for path in getattr(self, name)]
        if name in self.shipped:
            found.append(shipped_list(name))
        for path in self.ut1:
            found += [ListFile(file) for file in _ut1_files(folder / path) if file.name.split(".")[0] == name]
        return tuple((one, one.path.stat().st_mtime_ns) for one in found)


def _parents(host: str) -> Iterator[str]:
    """A host and every domain it stands below; an IP address stands below none."""
    yield host
    if not is_ipv4(host) and not host.startswith("["):
        for at, mark in enumerate(host):
            if mark == ".":
                yield host[at + 1 :]


def _ut1_files(folder: Path) -> list[Path]:
    """The lists in a folder of the UT1 layout.

    Raises: RecipeError if there is none.
    """
    found = [
        folder / name for name in ("domains", "domains.gz", "urls", "urls.gz") if (folder / name).is_file()
    ]
    if not found:
        raise RecipeError(f'expected a folder with a file "domains" or "urls", found neither in {folder}')
    return found


def shipped_list(name: ListName) -> ListFile:
    """Where the installed datatrove keeps a list of its own; found without importing it, which takes 0.3 s.

    Raises: MissingFileError.
    """
    file, member = _FILES[name]
    spec = importlib.util.find_spec("datatrove")
    folder = Path(spec.origin).parent / "assets" if spec and spec.origin else None
    if folder is None or not (folder / file).is_file():
        raise MissingFileError(
            f"{folder or 'datatrove'}: expected {file}, which datatrove 0.10 ships, found nothing. Listed "
            "addresses would be kept. Install datatrove again, or write  shipped: []  and name your own lists."
        )
    return ListFile(folder / file, member)


Stamped = tuple[tuple[ListFile, int], ...]


@cache
def load_lists(domains: Stamped, urls: Stamped, banned: Stamped, soft: Stamped, subwords: Stamped) -> _Lists:
    """The lists, once a process."""
    hard, mild = read_words(one for one, _ in banned), read_words(one for one, _ in soft)
    return _Lists(
        read_names(one for one, _ in domains),
        read_names(one for one, _ in urls),
        _word_table(hard, mild),
        make_automaton(read_words(one for one, _ in subwords)),
    )


def _word_table(
    banned: frozenset[str], soft: frozenset[str]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """The words' sorted hashes and, in the same order, on which lists each is."""
    words = sorted(banned | soft)
    hashes = hash_names(words)
    kinds = np.array([BANNED * (word in banned) + SOFT * (word in soft) for word in words], np.uint8)
    order = np.argsort(hashes, kind="stable")
    return hashes[order], kinds[order]
