"""HTML to text: what must be there, what must not, and what is refused."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import UsageError
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.extract import Extract, extract_text
from pipelines.extract.charset import decode_page, utf8_page
from pipelines.extract.page import ENGINES, MAX_HEAD, page_title, scan_tags, title_of

Engine = Literal["quern", "resiliparse", "trafilatura"]
# trafilatura shows hidden paragraphs and finds nothing in short pages; what it gives is its own business.
OURS = ("quern", "resiliparse")
HTML = Path(__file__).parents[2].parent / "shared" / "data" / "html"
PROSE = "The kettle stood on the stove and nobody spoke until the water sang. " * 8


def batch(*pages: bytes | None, media: str = "text/html") -> Batch:
    builder = BatchBuilder("web", with_payload=True)
    for i, page in enumerate(pages):
        list(builder.add(Record("a.warc", i, 0, 0, payload=page, content_type=media)))
    (made,) = builder.flush()
    return made


def reasons(step: Extract, *pages: bytes | None) -> list[str]:
    texts, verdicts, _ = step.rewrite(batch(*pages))
    assert [t is None for t in texts.to_pylist()] == [
        v > 0 or p is None for v, p in zip(verdicts, pages, strict=True)
    ]
    return ["" if v == 0 else step.reasons[v - 1] for v in verdicts]


@pytest.mark.parametrize("engine", ENGINES)
def test_text_of_a_page_is_its_main_content_with_entities_resolved(engine: str) -> None:
    page = f"<nav><a href=/>Home</a></nav><main><h1>Hot</h1><p>Tea &amp; cake. {PROSE}</p></main>"
    text = extract_text(page, engine=engine)
    assert f"Tea & cake. {PROSE.strip()}" in text
    assert "Home" not in text


def test_the_engine_without_a_name_is_quern() -> None:
    assert Extract() == Extract(engine="quern")
    assert extract_text("<p>a<ul><li>b") == extract_text("<p>a<ul><li>b", engine="quern")


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>LEAK</script>",
        "<style>.LEAK{}</style>",
        "<noscript>LEAK</noscript>",
        "<template>LEAK</template>",
        "<!-- LEAK -->",
        "<p hidden>LEAK</p>",
        "<p style='display:none'>LEAK</p>",
        "<p style='visibility:hidden'>LEAK</p>",
        "<svg><title>LEAK</title><text>LEAK</text></svg>",
        "<canvas>LEAK</canvas>",
        "<iframe>LEAK</iframe>",
        "<noframes>LEAK</noframes>",
        "<dialog open>LEAK</dialog>",
        "<select><option>LEAK</select>",
        "<textarea>LEAK</textarea>",
        "<button>LEAK</button>",
        "<img alt=LEAK>",
        "<input value=LEAK>",
    ],
)
@pytest.mark.parametrize("engine", OURS)
def test_what_a_reader_does_not_see_is_not_text(hidden: str, engine: str) -> None:
    page = f"<html><body><main><p>{PROSE}</p>{hidden}<p>{PROSE}</p></main></body></html>"
    text = extract_text(page, engine=engine)
    assert "LEAK" not in text
    assert text.count("kettle") == 16


@pytest.mark.parametrize("engine", OURS)
def test_controls_and_surrogates_do_not_reach_the_text(engine: str) -> None:
    page = f"<p>{PROSE}a&#0;b&#xD800;c\x01d&#7;e\x7ff\ufeffg\tz</p>".encode()
    text = extract_text(page, engine=engine)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ufeff\ud800-\udfff]", text)
    assert re.search("def?g", text.replace("\ufffd", ""))
    text.encode()


@settings(deadline=None)  # the first call compiles
@given(
    st.text(max_size=300),
    st.sampled_from(["<p>{}</p>", "<div title='{}'>x", "<b>{}", "{}", "<table><td>{}"]),
    st.sampled_from(OURS),
)
def test_any_text_in_any_frame_gives_clean_utf8(content: str, frame: str, engine: str) -> None:
    text = extract_text(frame.format(content), engine=engine)
    assert not re.search("[\x00-\x08\x0b-\x1f]", text)
    text.encode()


def test_an_engine_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"'lynx'.*expected one of quern, resiliparse, trafilatura"):
        extract_text("<p>x", engine="lynx")


GREEK = "Ελληνικά κείμενα γράφονται εδώ."
KOREAN = "한국어로 쓴 글이 여기에 있습니다. "
JAPANESE = "日本語の文章をここに書きます。" * 4


@pytest.mark.parametrize(
    ("data", "media", "expected"),
    [
        (b"\xef\xbb\xbfgr\xc3\xbcn", "text/html; charset=latin-1", "grün"),
        ("grün".encode("utf-16"), None, "grün"),
        ("grün".encode(), "text/html; charset=ISO-8859-1", "grün"),
        ("grün".encode("latin-1"), "text/html; charset=ISO-8859-1", "grün"),
        ("“grün”".encode("cp1252"), "text/html; charset=iso-8859-1", "“grün”"),
        (GREEK.encode("iso-8859-7"), "text/html; charset=ISO-8859-7", GREEK),
        (
            b"<meta charset='iso-8859-7'>" + GREEK.encode("iso-8859-7"),
            None,
            f"<meta charset='iso-8859-7'>{GREEK}",
        ),
        (JAPANESE.encode("euc-jp"), "text/html", JAPANESE),
        (JAPANESE.encode("shift_jis"), "text/html; charset=utf-8", JAPANESE),
        (JAPANESE.encode("iso-2022-jp"), "text/html; charset=iso-2022-jp", JAPANESE),
        ("grün".encode() + "ü".encode()[:1], None, "grün"),
        ("①②㈱髙﨑と書きます。".encode("cp932"), "text/html; charset=shift_jis", "①②㈱髙﨑と書きます。"),
        ("똠방각하 펲시콜라".encode("cp949"), "text/html; charset=euc-kr", "똠방각하 펲시콜라"),
        ("啫嘢喺呢度".encode("big5hkscs"), "text/html; charset=big5", "啫嘢喺呢度"),
        ("文字“㐀”".encode("gb18030"), "text/html; charset=gb2312", "文字“㐀”"),
        ((KOREAN * 9).encode("cp949"), "text/html", KOREAN * 9),
        (b"a" * 300 + b"\xff" + "ü".encode(), "text/html; charset=utf-8", "a" * 300 + "\ufffdü"),
    ],
)
def test_the_encoding_is_the_mark_utf8_the_declared_or_the_detected_one(
    data: bytes, media: str | None, expected: str
) -> None:
    assert decode_page(data, media) == expected
    page = utf8_page(np.frombuffer(data, np.uint8), media)
    assert page is not None
    assert page.tobytes().decode() == expected


@pytest.mark.parametrize(
    "label",
    ["rot13", "zip", "hex", "idna", "punycode", "undefined", "unicode_escape", "utf-7", "nonsense", "x"],
)
def test_a_label_of_no_text_encoding_is_as_good_as_none(label: str) -> None:
    data = (
        b"<meta charset=%s>" % label.encode()
        + "Das Café am Fluß hat auch für späte Gäste geöffnet.".encode("latin-1")
    )
    assert str(decode_page(data, f"text/html; charset={label}")).endswith("für späte Gäste geöffnet.")


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), st.integers(0, 60))
def test_a_page_in_utf8_is_the_decoded_page(data: bytes, cut: int) -> None:
    for media in (None, "text/html; charset=iso-2022-jp", "text/html; charset=latin-1"):
        page, text = utf8_page(np.frombuffer(data[:cut], np.uint8), media), decode_page(data[:cut], media)
        assert (page is None) == (text is None)
        assert page is None or page.tobytes() == str(text).encode("utf-8", "ignore")


def test_the_title_is_one_line_of_the_head() -> None:
    assert (
        page_title("<head><TITLE lang=en>\n Tea &amp;\n cake </TITLE><body><title>no</title>") == "Tea & cake"
    )
    assert page_title("<body><svg><title>Drawing</title></svg>") is None
    assert page_title("<title> </title>") is None


@pytest.mark.parametrize(
    "page",
    [
        "<head><TITLE lang=en>\n Größe &amp;\n ca\x07ke </TITLE><body><title>no</title>",
        "<body><svg><title>Drawing</title></svg>",
        "<bodyguard><titles>a</titles>",
        "<title>cut <b> off</title><meta><title>second</title>",
        "<title>" + "x" * 2001 + "</title><title>second</title><body>",
        "<title " + "x" * 201 + "></title><title>日本語</title>",
        "<title>" + "本" * 2000 + "</title>",
        "<SVG\t><title>a</title>",
        "a < b <title>never closed",
        "",
    ],
    ids=range(10),
)  # fmt: skip
def test_a_title_found_in_bytes_is_the_one_found_in_text(page: str) -> None:
    assert title_of(np.frombuffer(page.encode(), np.uint8)) == page_title(page)


@pytest.mark.parametrize("engine", OURS)
def test_every_page_that_gives_no_text_has_a_reason(engine: Engine) -> None:
    good = f"<p>{PROSE}</p>".encode()
    step = Extract(engine=engine, max_bytes=1 << 20, max_tags=20_000)
    pages = (
        good,
        b"<p>" + b"x" * (1 << 20),
        b"<b>" * 20_001,
        b"%PDF-1.4\x00\x00\x00 <p>x</p>",
        b"no tag at all, a < b",
        b"<div>" * 600 + b"x",
        b"<div>" * 600 + b"x" + b"</div>" * 600,
        b"<script>only()</script>",
        b"<div>" * 400 + good,
        None,
    )
    expected = [
        "",
        "too_large",
        "too_large",
        "not_html",
        "not_html",
        "too_deep",
        "too_deep",
        "no_text",
        "",
        "",
    ]
    assert reasons(step, *pages) == expected


def test_bytes_that_are_no_encoding_are_undecodable() -> None:
    noise = b"\xef\xbb\xbf<p>" + bytes(range(128, 256)) * 20 + b"</p>"
    assert reasons(Extract(), noise) == ["undecodable"]


@pytest.mark.parametrize("engine", ENGINES)
def test_closed_too_often_does_not_hide_what_is_nested_later(engine: Engine) -> None:
    assert reasons(Extract(engine=engine), b"</div>" * 5000 + b"<div>" * 600 + b"x") == ["too_deep"]


BY_TREE: tuple[Engine, ...] = ("resiliparse", "trafilatura")


@pytest.mark.parametrize("engine", BY_TREE)
@pytest.mark.parametrize("n_formats", [480, 560])
def test_formatting_opened_again_in_every_block_makes_no_tree_of_millions(
    engine: Engine, n_formats: int
) -> None:
    step = Extract(engine=engine)
    opened = "<div>" + "".join(f"<b i={n}>" for n in range(n_formats)) + "</div>"
    reasons(step, b"<p>The kernels are compiled.</p>")
    begun = time.process_time()
    (reason,) = reasons(step, (opened + "<p>x</p>" * 2000 + f"<p>{PROSE}</p>").encode())
    assert time.process_time() - begun < 2
    assert reason == "too_large"


@pytest.mark.parametrize("engine", BY_TREE)
def test_many_elements_in_a_deep_place_are_asked_for_their_depth_a_bounded_time(engine: Engine) -> None:
    step = Extract(engine=engine)
    ever_deeper = "".join(f"<div><b i={n}></div>" for n in range(400)) + "x<caption>x" * 20_000
    in_the_depth = "<div>" * 490 + "<i i=1><i i=2><caption>" + "x<caption><br>" * 110_000
    reasons(step, b"<p>The kernels are compiled.</p>")
    begun = time.process_time()
    assert reasons(step, ever_deeper.encode(), in_the_depth.encode()) == ["too_large", "too_large"]
    assert time.process_time() - begun < 6


def test_a_page_that_is_large_and_as_deep_as_any_may_be_is_text() -> None:
    rest = f"<p>{PROSE}</p>" + "<div><x>x</div>" * 5000 + "</div>" * 400
    page = "<div>" * 400 + rest
    assert scan_tags(page.encode()).n_open > 5000
    assert reasons(Extract(engine="resiliparse"), page.encode()) == [""]


def test_formatting_that_a_parser_opens_again_three_times_only_is_no_large_tree() -> None:
    page = "<div>" + "<b>" * 480 + "</div>" + f"<p>{PROSE}</p>" * 1000
    assert reasons(Extract(engine="resiliparse"), page.encode()) == [""]


WHAT_READERS_DISAGREE_ON = (
    '<script><!--\ndocument.write("<script src=a.js><\\/script>");\n//--></script>',
    "<svg><style><![CDATA[.a{fill:red}]]></style></svg>",
    "<select><option>a</option><hr><option>b</option></select>",
    "<select><option><span>a</span></option></select>",
)


@pytest.mark.parametrize("engine", BY_TREE)
@pytest.mark.parametrize("first", WHAT_READERS_DISAGREE_ON)
def test_a_flat_page_is_no_deep_one_whatever_it_begins_with(engine: Engine, first: str) -> None:
    step = Extract(engine=engine)
    flat = first + "".join(f"<p><b>{n}</b> {PROSE}</p>" for n in range(2600))
    assert reasons(step, flat.encode()) == [""]
    assert reasons(step, (flat + "<div>" * 600 + "x").encode()) == ["too_deep"]


@pytest.mark.parametrize("engine", ENGINES)
def test_unclosed_paragraphs_and_breaks_are_not_depth(engine: Engine) -> None:
    assert reasons(Extract(engine=engine), (f"<p>{PROSE}<br><img src=x>" * 600).encode()) == [""]


def test_titles_are_a_column_of_the_batch() -> None:
    made = batch("<title>Größe</title><p>x".encode(), None, b"<p>x", media="text/html; charset=utf-8")
    assert Extract().rewrite(made).columns["title"].to_pylist() == ["Größe", None, None]


@pytest.mark.parametrize("engine", OURS)
@pytest.mark.parametrize(
    "head",
    [b"<title>Gr\xc3\xb6\xc3\x9fe</title><p>", b"<p>x", b"<title>\xff</title>", b"\xef\xbb\xbf<title>"],
)
@pytest.mark.parametrize("tail", [b"", b"\xc3\xa9" * 20, b"</title>\xff", b"<" * 300])
@pytest.mark.parametrize("n_before", [0, -1, 1])
def test_a_title_is_that_of_the_first_64_kib_whatever_follows(
    engine: Engine, head: bytes, tail: bytes, n_before: int
) -> None:
    page = head.ljust(MAX_HEAD + n_before, b"t") + tail
    alone = utf8_page(np.frombuffer(page[:MAX_HEAD], np.uint8), "text/html")
    assert alone is not None
    found = Extract(engine=engine, max_tags=200).rewrite(batch(page)).columns["title"].to_pylist()
    assert found == [title_of(alone)]


def pages_and_gold() -> Iterator[tuple[str, str]]:
    folder = HTML / "article-extraction-benchmark"
    for name, gold in sorted(json.loads((folder / "ground-truth.json").read_text()).items()):
        path = folder / "html" / f"{name}.html.gz"
        if path.exists():
            yield gzip.decompress(path.read_bytes()).decode(), gold["articleBody"]


def shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3)))


@pytest.mark.real
@pytest.mark.skipif(not HTML.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(("engine", "least"), [("resiliparse", 0.92), ("quern", 0.96)])
def test_f1_on_the_article_extraction_benchmark_is_at_least_what_is_claimed(
    engine: str, least: float
) -> None:
    precision, recall = [], []
    for page, gold in pages_and_gold():
        found, wanted = shingles(extract_text(page, engine=engine)), shingles(gold)
        both = (found & wanted).total()
        precision.append(both / max(1, found.total()))
        recall.append(both / wanted.total())
    p, r = sum(precision) / len(precision), sum(recall) / len(recall)
    assert len(precision) == 92
    assert 2 * p * r / (p + r) >= least


@pytest.mark.real
@pytest.mark.skipif(not HTML.is_dir(), reason="needs ../shared/data")
def test_moby_is_the_text_expected_of_resiliparse_without_its_tags() -> None:
    data = (HTML / "cs336" / "moby.html").read_bytes()
    expected = (HTML / "cs336" / "moby_extracted.txt").read_text()
    # The last line of the expected text is the page's tags, which we leave out.
    assert extract_text(data, engine="resiliparse") == expected.removesuffix("\n\n  • Novel")
