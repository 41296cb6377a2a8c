"""The URL rule: every list and match mode, datatrove's verdicts, and its place before extraction."""

from __future__ import annotations

import functools
import gzip
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.corpus import CorpusManifest
from manifests.errors import RecipeError
from pipelines.batch import Batch
from pipelines.executor import build
from pipelines.filters import lists
from pipelines.filters.lists import read_lines
from pipelines.filters.suffixes import host_of, registered, suffix_file, suffix_rules
from pipelines.filters.url import DATATROVE_REASONS, Url, shipped_list
from pipelines.plan import make_plan
from tests.engine.small import page_html
from tests.filters.batches import batch_of
from tests.read.warcs import http, members, record

tldextract = pytest.importorskip("tldextract")

WORD_LISTS = ("banned_words", "soft_words", "banned_subwords")
DOMAINS = ["bad.com", "sub.example.co.uk", "bad.co.uk", "127.0.0.1", "xxx", "blog.spot.com", "müller.de"]
URLS = ["http://a.org/listed?x=1", "a.org/plain", "a.org"]


def with_urls(urls: list[str | None]) -> Batch:
    column = pa.array(urls, pa.string())
    return batch_of(["text"] * len(urls)).with_column(pa.field("url", pa.string()), column)


def reasons_of(rule: Url, urls: list[str | None]) -> list[str | None]:
    verdicts = rule.decide(rule.measure(with_urls(urls)))
    return [rule.reasons[code - 1] if code else None for code in verdicts]


def rule_of(folder: Path, **params) -> Url:
    """A rule without the shipped lists; lists of names are written to files."""
    for name, entries in params.items():
        if name in Url.path_fields and name != "ut1":
            (folder / name).write_text("# a comment\n\n" + "\n".join(entries) + "\n")
            params[name] = (name,)
    return Url(root=folder, **({"shipped": ()} | params))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://www.bad.com/x", "listed_domain"),
        ("https://user:pw@a.b.bad.co.uk:80", "listed_domain"),
        ("http://sub.example.co.uk/", "listed_host"),
        ("http://www.sub.example.co.uk/", None),
        ("http://example.co.uk/", None),
        ("http://www.BAD.com/", None),
        ("http://127.0.0.1/", None),
        ("http://a.org/listed?x=1", "listed_url"),
        ("https://a.org/listed?x=1", None),
        ("http://a.org/plain", None),
        ("http://ok.org/a-casino/b", "banned_word"),
        ("http://ok.org/a-Casino/b", None),
        ("http://ok.org/mycasino/", None),
        ("http://ok.org/babes-babes", None),
        ("http://ok.org/babes-boobs", "soft_words"),
        ("http://ok.org/h-0-T.girl", "banned_subword"),
        ("http://ok.org/hot%20girl", None),
        ("", None),
        (None, None),
        ("http://", None),
    ],
)
def test_each_list_drops_with_its_reason(tmp_path: Path, url: str | None, reason: str | None) -> None:
    rule = rule_of(
        tmp_path,
        domains=DOMAINS,
        urls=URLS,
        banned_words=["casino", "Poker "],
        soft_words=["babes", "boobs"],
        banned_subwords=["h0t girl"],
    )
    assert reasons_of(rule, [url]) == [reason]


@pytest.mark.parametrize(
    ("params", "url", "reason"),
    [
        ({"hosts": "every_parent"}, "http://127.0.0.1/x", "listed_host"),
        ({"hosts": "every_parent"}, "http://a.www.blog.spot.com/", "listed_host"),
        ({"hosts": "registered"}, "http://a.www.blog.spot.com/", None),
        ({"hosts": "every_parent"}, "http://new.xxx/", "listed_host"),
        ({"hosts": "every_parent"}, "http://notbad.com/", None),
        ({"hosts": "every_parent"}, "http://x.bad.com/", "listed_domain"),
        ({"hosts": "every_parent", "ignore_case": True}, "http://A.BLOG.spot.com/", "listed_host"),
        ({"ignore_case": True}, "http://www.BAD.com/", "listed_domain"),
        ({"ignore_case": True}, "http://ok.org/CASINO", "banned_word"),
        ({"urls_from": "host"}, "https://www.a.org/plain", "listed_url"),
        ({"urls_from": "host"}, "http://a.org", "listed_url"),
        ({"urls_from": "host", "ignore_case": True}, "http://A.org/plain", "listed_url"),
        ({"urls_from": "host", "ignore_case": True}, "http://A.org/Plain", None),
        ({"max_banned_words": None}, "http://ok.org/casino", None),
        ({"max_banned_words": 1}, "http://ok.org/casino/poker", "banned_word"),
        ({"max_banned_words": 1}, "http://ok.org/casino/casino", None),
    ],
)
def test_match_modes_change_what_is_met(tmp_path: Path, params: dict, url: str, reason: str | None) -> None:
    rule = rule_of(tmp_path, domains=DOMAINS, urls=URLS, banned_words=["casino", "poker"], **params)
    assert reasons_of(rule, [url]) == [reason]


def test_lists_may_be_gzipped_and_in_ut1_folders(tmp_path: Path) -> None:
    adult = tmp_path / "ut1" / "adult"
    adult.mkdir(parents=True)
    (adult / "domains.gz").write_bytes(gzip.compress(b"bad.com\r\nworse.com"))
    (adult / "urls").write_bytes(b"a.org/plain\n")
    rule = Url(root=tmp_path, shipped=(), ut1=("ut1/adult",), urls_from="host")
    assert reasons_of(rule, ["http://bad.com", "http://worse.com", "http://a.org/plain", "http://a.org"]) == [
        "listed_domain", "listed_domain", "listed_url", None,
    ]  # fmt: skip
    assert sorted(rule.side_inputs(tmp_path)) == [
        "tldextract/.tld_set_snapshot", "ut1/adult/domains.gz", "ut1/adult/urls",
    ]  # fmt: skip


def test_a_changed_list_is_read_again_and_changes_the_key(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, domains=["bad.com"])
    before = rule.side_inputs(tmp_path)
    assert reasons_of(rule, ["http://bad.com"]) == ["listed_domain"]
    (tmp_path / "domains").write_text("other.com\n")
    assert rule.side_inputs(tmp_path)["domains"] != before["domains"]
    assert reasons_of(rule, ["http://bad.com", "http://other.com"]) == [None, "listed_domain"]


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match='found nothing at "nowhere"'):
        Url(shipped=(), domains=("nowhere",)).side_inputs(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match='"domains" or "urls"'):
        Url(shipped=(), ut1=("empty",)).side_inputs(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"bad.com\n" * 99)[:-9])
    with pytest.raises(RecipeError, match=r"cut\.gz: expected a list"):
        Url(root=tmp_path, shipped=(), domains=("cut.gz",)).measure(with_urls(["http://x.com"]))


def test_no_documents_have_no_verdicts(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, domains=["bad.com"], hosts="every_parent")
    nothing = with_urls(["http://a.b"]).select(np.zeros(1, np.bool_))
    assert len(rule.decide(rule.measure(nothing))) == 0


def test_every_parameter_that_decides_is_left_to_whatif() -> None:
    deciding = set(Url.model_fields) - {*Url.measuring, "action", "route", "root"}
    assert deciding == {"max_banned_words", "max_soft_words", "max_banned_subwords"}


def test_the_rule_stands_before_extract_and_spares_it(tmp_path: Path) -> None:
    names = [f"http://{'bad' if n % 3 == 0 else 'good'}.com/{n}" for n in range(12)]
    pages = [record("response", http(page_html(n)), n=n) for n in range(12)]
    pages = [
        page.replace(f"<http://example.org/{n}>".encode(), url.encode())
        for n, (page, url) in enumerate(zip(pages, names, strict=True))
    ]
    (tmp_path / "a.warc.gz").write_bytes(members(pages))
    (tmp_path / "mine.txt").write_text("bad.com\n")
    (tmp_path / "recipe.yaml").write_text(
        "name: u\nsources:\n  - {name: web, read: {warc: {}}, paths: ['*.warc.gz'],\n"
        "     steps: [url: {shipped: [], domains: [mine.txt]}, extract]}\n"
        "tokens: {train: {vocab_size: 300}, holdout: 10%}\n"
    )
    build(make_plan(tmp_path / "recipe.yaml", tmp_path / "out"), workers=0)
    read, url, extract = CorpusManifest.read(tmp_path / "out").steps[:3]
    assert url.dropped["listed_domain"] == 4
    assert (read.n_read, url.n_read, extract.n_read) == (12, 12, 8)


# --- datatrove and tldextract as oracles ------------------------------------------------------------

labels = st.sampled_from(
    ["com", "co", "uk", "ck", "www", "jp", "kawasaki", "city", "foo", "a", "", "COM", "xn--p1ai", "рф", "公司",
     "cn", "xn--55qx5d", "xn--", "xn--zzzzz", "127", "0", "1", "b.c", "*", "!www", "blogspot", "-", "é", "[::1]", "[x]"]
)  # fmt: skip
hosts = st.lists(labels, min_size=1, max_size=5).flatmap(
    lambda parts: st.sampled_from([".", ".", ".", "。"]).map(lambda dot: dot.join(parts))
)
urls = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["http://", "https://", "//", "", "ht tp://", "a+b://", ":", "://", "http:/", "u@", "http://u:p@"]
    ),
    hosts,
    st.sampled_from(["", ":80", ".", " ", "。"]),
    st.sampled_from(["", "/", "/a//b", "?q=//x", "#f", "/u@h", "]"]),
)


@functools.cache
def tld_extract():
    # Without these arguments it would fetch the list of the day, or read the one it fetched before.
    return tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())


@settings(max_examples=400, deadline=None)
@given(urls)
def test_hosts_and_registered_domains_are_tldextracts(url: str) -> None:
    theirs = tld_extract()(url)
    assert registered(host_of(url), suffix_rules()) == (theirs.top_domain_under_public_suffix, theirs.fqdn)


def test_every_public_suffix_is_met_as_tldextract_meets_it() -> None:
    lines = suffix_file().read_text().splitlines()
    suffixes = [line.lstrip("*!.") for line in lines if line and not line.startswith("//")]
    assert len(suffixes) > 9000
    for suffix in suffixes[::3]:
        for host in (suffix, f"a.{suffix}", f"c.b.a.{suffix}"):
            theirs = tld_extract()(host)
            found = registered(host, suffix_rules())
            assert found == (theirs.top_domain_under_public_suffix, theirs.fqdn), host


@functools.cache
def word_lists() -> dict[str, list[str]]:
    return {name: read_lines([shipped_list(name)]) for name in WORD_LISTS}


def mutated_urls(n_urls: int) -> list[str]:
    """Addresses that meet the lists in many spellings, at the places where they count and where they do not."""
    rng = random.Random(11)
    lists = [*word_lists().values(), word_lists()["soft_words"]]
    suffixes = [line for line in suffix_file().read_text().splitlines() if line and not line.startswith("//")]
    found = []
    for _ in range(n_urls):
        host = rng.choice(
            [*DOMAINS, f"good.{rng.choice(suffixes).lstrip('*!.')}", "www.x.org", "10.0.0.1", "localhost"]
        )
        host = rng.choice(["", "", "www.", "a.b.", "A."]) + rng.choice([str, str, str, str.upper])(host)
        path = rng.choice(["", "/", "/a", "/listed?x=1", "/plain"])
        for _ in range(rng.randrange(4)):
            word = rng.choice([str, str, str.title])(rng.choice(rng.choice(lists)))
            path += rng.choice(["/", "-", "_", "", ".", "%20"]) + rng.choice(["", "", "x"]) + word
        url = rng.choice(["http://", "https://", "", "http://u@"]) + host + path
        if rng.random() < 0.1:
            at = rng.randrange(1, len(url))
            url = url[:at] + rng.choice(["//", "@", "?", ":", "[", "。", "é", " "]) + url[at:]
        found.append(rng.choice([*URLS, url, url, url, url]))
    return found


def test_verdicts_are_datatroves(tmp_path: Path) -> None:
    pytest.importorskip("ahocorasick")
    from datatrove.data import Document
    from datatrove.pipeline.filters.url_filter import URLFilter

    lists = word_lists()
    peer = URLFilter(
        use_integrated_lists=False,
        extra_domains=DOMAINS,
        extra_urls=URLS,
        banned_words=lists["banned_words"],
        soft_banned_words=lists["soft_words"],
        banned_subwords=lists["banned_subwords"],
    )
    peer.tldextractor = tld_extract()
    ours = rule_of(tmp_path, domains=DOMAINS, urls=URLS, shipped=WORD_LISTS)
    mutated = mutated_urls(4000)
    with pytest.warns(DeprecationWarning, match="registered_domain"):
        theirs = [peer.filter(Document(text="x", id="1", metadata={"url": url})) for url in mutated]
    wanted = [None if kept is True else DATATROVE_REASONS[kept[1]] for kept in theirs]
    assert min(wanted.count(reason) for reason in Url.reasons) > 20
    assert reasons_of(ours, mutated) == wanted


@pytest.mark.slow
def test_the_shipped_lists_are_read_from_the_installed_package() -> None:
    rule = Url()
    assert json.dumps(rule.side_inputs(Path())).count("datatrove/") == 4
    assert reasons_of(rule, ["http://0-1sex.com/", "http://www.wikipedia.org/wiki/Sussex"]) == [
        "listed_domain",
        None,
    ]


def test_a_lists_names_are_kept_and_damage_to_them_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "a.txt").write_text("example.com\nriver.org\n")

    def listed() -> list[bool]:
        found = lists.read_names([lists.ListFile(tmp_path / "a.txt")])
        return found.has(["river.org", "hill.org"]).tolist()

    assert listed() == [True, False]
    [kept] = (tmp_path / "cache" / "lists").iterdir()
    monkeypatch.setattr(lists, "_hashes_of", lambda _: pytest.fail("unpacked again"))
    assert listed() == [True, False]
    monkeypatch.undo()

    monkeypatch.setattr(lists, "cache_folder", lambda: tmp_path / "cache")
    kept.chmod(0o644)
    kept.write_bytes(bytes(16) + kept.read_bytes()[16:])
    assert listed() == [True, False]
    (tmp_path / "a.txt").write_text("hill.org\n")
    assert listed() == [False, True]
