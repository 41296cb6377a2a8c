"""A mix is checked against what its corpora hold, all mistakes at once, each at its line."""

import re
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.commit import commit_bytes
from manifests.corpus import Benchmark, CorpusManifest, Partition, ShardEntry, SourceEntry, TokenizerEntry
from manifests.errors import DamageError, FormatError, MissingFileError, MixError, UsageError
from manifests.mix import MixManifest, open_stream
from manifests.mixcheck import check, check_shared, effective_tokens, shares_of
from manifests.mixfile import MixFile, load_mix, mix_of_corpus
from manifests.mixremedy import shorter_rows
from manifests.shards import ShardHeader, write_shard
from manifests.yamlfile import load_yaml, validate


def make_corpus(
    root: Path, sources: dict[str, int], *, name="c", tokenizer=b"{}", columns=None, hits=None
) -> Path:
    """A corpus of shards alone: sources[name] training tokens each, a tenth as many held out."""
    token_file = commit_bytes(root, f"tokenizers/{name}.json", tokenizer)
    entry = TokenizerEntry(
        file=token_file,
        digest=token_file.digest,
        vocab_size=50,
        eot=0,
        eot_token="<|endoftext|>",
        trained=True,
    )
    nothing = commit_bytes(root, "files/x.json", b"{}")
    partitions = []
    for source, n in sources.items():
        for split, size in (("train", n), ("heldout", n // 10)):
            partitions.append(
                make_partition(root, source, split, size, entry, (columns or {}).get(source, {}))
            )
    manifest = CorpusManifest(
        name=name,
        key="0" * 32,
        store=".",
        sample=None,
        recipe={},
        sources=[
            SourceEntry(name=s, licence="MIT", reader="jsonl", n_files=1, n_bytes=1, files=nothing)
            for s in sources
        ],
        steps=[],
        parts=[],
        verdicts=[],
        tokenizer=entry,
        partitions=partitions,
        benchmarks=[] if hits is None else [make_benchmark(hits)],
        receipts=[],
        quarantine=None,
        parents=[],
        missing=[],
        libraries={},
    )
    return manifest.write(root)


def make_benchmark(n_documents):
    return Benchmark(
        name="b",
        digest="0" * 32,
        step="decontaminate",
        action="mark",
        n_items=9,
        n_too_short=0,
        n_hits=n_documents,
        n_documents=n_documents,
    )


def make_partition(root, source, split, n, tokenizer, columns):
    name = f"shards/{source}-{split}.tok"
    header = ShardHeader(n, 1, n, 50, 0, tokenizer.digest)
    tokens = (np.arange(n) % 49 + 1).astype(np.uint16)
    tokens[-1:] = 0
    ref, top = write_shard(root, name, header, tokens=[tokens], ends=np.array([n], dtype=np.uint64))
    shard = ShardEntry(shard=ref, root=top, documents=ref, n_tokens=n, n_docs=1, n_bytes=n)
    return Partition(
        source=source,
        split=split,
        holdout="cluster" if split == "heldout" else "none",
        columns=columns,
        licences={"MIT": 1},
        shards=[shard],
        n_tokens=n,
        n_docs=1,
        n_bytes=n,
    )


def write_mix(folder: Path, text: str) -> Path:
    path = folder / "mix.yaml"
    path.write_text(f"name: m\ncorpora: [c]\nseq_len: 16\nseed: 1\n{text}")
    return path


@pytest.fixture
def corpus(tmp_path):
    make_corpus(tmp_path / "c", {"web": 4000, "books": 2000})
    return tmp_path


def test_a_mix_names_its_shards_and_deals_its_rows(corpus):
    resolved = load_mix(write_mix(corpus, "phases:\n  - {tokens: 8k, weights: {web: 0.7, books: 0.3}}\n"))
    mix = resolved.manifest
    assert [s.name for s in mix.sources] == ["books", "web"]
    assert mix.phases[0].shares == [3, 7]
    assert mix.order().rows_per_source() == [150, 350]
    stream = open_stream(mix.sources[1].train, resolved.locations)
    assert stream.n_tokens == 4000
    assert [(r.source, round(r.epochs, 2)) for r in check(mix)] == [("books", 1.21), ("web", 1.41)]


def test_a_written_mix_reads_back_and_a_flipped_bit_does_not(corpus):
    mix = load_mix(write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")).manifest
    mix.write(corpus)
    assert MixManifest.read(corpus / "mix.json") == mix
    data = bytearray((corpus / "mix.json").read_bytes())
    for i in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[i] ^= 2
        (corpus / "mix.json").write_bytes(damaged)
        with pytest.raises(DamageError):
            MixManifest.read(corpus / "mix.json")


def test_a_mix_does_not_depend_on_where_its_corpora_lie(corpus):
    text = "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"
    first = load_mix(write_mix(corpus, text)).manifest
    (corpus / "c").rename(corpus / "moved")
    path = write_mix(corpus, text)
    path.write_text(path.read_text().replace("[c]", "[moved]"))
    assert load_mix(path).manifest.digest == first.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phases:\n  - {tokens: 1k, weights: {wbe: 1}}\n", r'mix.yaml:6:.*got "wbe"; did you mean "web"'),
        (
            "phases:\n  - {tokens: 10, weights: {web: 1}}\n",
            r"mix.yaml:6:14: expected at least one row of 16 tokens for `phases\[0\].tokens`, got 10$",
        ),
        (
            "phases:\n  - {tokens: 1k, weights: {web: 0}}\n",
            r"mix.yaml:6:27: expected one weight above 0 for `phases\[0\].weights`, got only 0$",
        ),
        (
            "phases:\n  - {tokens: 1k, weights: {}}\n",
            r"mix.yaml:6:27: expected one weight above 0 for `phases\[0\].weights`, got none$",
        ),
        (
            "sources:\n  x: {from: []}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            r"mix.yaml:6:13: expected a list of 1 or more for `sources.x.from`, got a list of 0$",
        ),
        ("phases:\n  - {tokens: 1k, weights: {web: 0}}\n", "one weight above 0"),
        ("phases:\n  - {token: 1k, weights: {web: 1}}\n", r'"token"; did you mean "tokens"'),
        (
            "phases:\n  - {tokens: 160k, weights: {web: 1}}\n",
            r"mix.yaml:6:.*at most 16 epochs of web, got 40\.2.*63,744 tokens in all",
        ),
        (
            "phases:\n  - {tokens: 100k, weights: {web: 0.5, books: 0.5}}\n",
            r"at most 16 epochs of books, got 25\.2.*be fed: 63,488 tokens in all$",
        ),
        (
            "sources:\n  x: {from: [c/nothing]}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            r'mix.yaml:6:14: expected a source of a corpus \(c/web, c/books\), got "c/nothing"$',
        ),
        (
            "sources:\n  x: {from: [c/web, c/boks]}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            r'mix.yaml:6:21: .*got "c/boks"; did you mean "c/books"\?$',
        ),
        (
            "sources:\n  x: {from: ['*/wbe']}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            r'mix.yaml:6:14: .*got "\*/wbe"; did you mean "\*/web"\?$',
        ),
        (
            "sources:\n  x: {from: [c/web], where: {language: en}}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            r'mix.yaml:6:40: expected no `where` for "x", whose partitions have no columns, got "language"\. Col.*`$',
        ),
        (
            "sources:\n  x: {from: ['*/web'], licences: [GPL]}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n",
            "MIT",
        ),
    ],
)
def test_what_cannot_be_fed_is_refused_at_its_line_with_what_could(corpus, text, said):
    with pytest.raises(UsageError, match=rf"(?m){said}"):
        load_mix(write_mix(corpus, text))


def test_weights_of_empty_sources_are_refused_at_their_line_with_weights_to_paste(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0, "books": 4000, "code": 0})
    path = write_mix(
        tmp_path,
        "phases:\n  - tokens: 1k\n    weights: {web: 0.7, books: 30%}\n  - {tokens: 1k, weights: {code: 1}}\n",
    )
    with pytest.raises(MixError) as caught:
        load_mix(path)
    first, second, _ = str(caught.value).splitlines()
    assert first.startswith(f'{path}:7:20: expected tokens to train on in "web", found none')
    assert "  weights: {books: 0.3}  " in first
    assert second.startswith(f'{path}:8:34: expected tokens to train on in "code", found none')
    assert "Take the phase out, or" in second
    pasted = path.read_text().replace("weights: {web: 0.7, books: 30%}", "weights: {books: 0.3}")
    path.write_text("\n".join(pasted.splitlines()[:-1]))
    assert [s.name for s in load_mix(path).manifest.sources] == ["books"]


@pytest.mark.parametrize("n_phases", [1, 2])
def test_a_mix_of_empty_sources_alone_is_told_the_weights_of_those_with_tokens(tmp_path, n_phases):
    make_corpus(tmp_path / "c", {"web": 0, "books": 3000, "code": 1000})
    text = "phases:\n" + "  - {tokens: 1k, weights: {web: 1}}\n" * n_phases
    with pytest.raises(MixError) as caught:
        load_mix(write_mix(tmp_path, text))
    assert "Take the phase out" not in str(caught.value)
    proposed = re.findall(r"  weights: (\{.*?\})  or", str(caught.value))
    assert len(proposed) == n_phases
    mix = load_mix(write_mix(tmp_path, text.replace("{web: 1}", proposed[0]))).manifest
    assert {s.name: s.n_tokens for s in mix.sources} == {"books": 3000, "code": 1000}
    assert mix.phases[0].shares == [3, 1]


def test_a_mix_without_any_tokens_is_told_no_weights(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0})
    with pytest.raises(MixError, match=r"are held out\. See with `quern audit`"):
        load_mix(write_mix(tmp_path, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"))


def test_the_weights_that_a_refused_mix_proposes_are_fed_when_pasted(tmp_path):
    make_corpus(tmp_path / "c", {"web": 40_000, "few": 900, "more": 9000})
    n_refused = 0
    for few in range(20, 100, 3):
        text = f"phases:\n  - {{tokens: {60 + few}k, weights: WEIGHTS}}\n"
        path = write_mix(tmp_path, text.replace("WEIGHTS", f"{{few: 0.{few}, web: 0.5, more: 1/13}}"))
        with pytest.raises(MixError) as caught:
            load_mix(path)
        proposed = re.search(r"weights: (\{[^}]*\}), or", str(caught.value))[1]
        mix = load_mix(write_mix(tmp_path, text.replace("WEIGHTS", proposed))).manifest
        assert 15 < next(row.epochs for row in check(mix) if row.source == "few") <= 16
        n_refused += 1
    assert n_refused == 27


@pytest.mark.parametrize("tokens", ["200M", "2000M"])
def test_a_weight_too_small_to_be_kept_exactly_is_not_proposed(tmp_path, tokens):
    make_corpus(tmp_path / "c", {"web": 40_000, "few": 900})
    sources = "sources:\n  web: {from: ['*/web'], max_epochs: 1000000}\n"
    text = f"{sources}phases:\n  - {{tokens: {tokens}, weights: {{web: 0.9, few: 0.1}}}}\n"
    with pytest.raises(
        MixError, match=r"Nearest that can be fed: [\d,]+ tokens in all\nOr allow it, in place"
    ):
        load_mix(write_mix(tmp_path, text))


def test_a_corpus_named_as_the_mix_is_told_no_weights(tmp_path):
    make_corpus(tmp_path / "c", {"web": 40_000, "few": 70})
    with pytest.raises(MixError, match=r"be fed: [\d,]+ tokens in all\nOr write a mix.yaml that allows it:"):
        mix_of_corpus(tmp_path / "c", seq_len=16, seed=0, tokens=560_000)


@pytest.mark.parametrize("weights", ["{few: 1}", "{few: 0.9, more: 0.1}"])
def test_no_weights_are_proposed_where_none_can_be_fed(tmp_path, weights):
    make_corpus(tmp_path / "c", {"few": 900, "more": 1000})
    with pytest.raises(MixError, match=r"Nearest that can be fed: [\d,]+ tokens in all\nOr allow it:"):
        load_mix(write_mix(tmp_path, f"phases:\n  - {{tokens: 100k, weights: {weights}}}\n"))


def refusal(path: Path) -> str:
    with pytest.raises(MixError) as caught:
        load_mix(path)
    return str(caught.value)


def epochs_when_pasted(folder, text):
    return {row.source: row.epochs for row in check(load_mix(write_mix(folder, text)).manifest)}


def test_what_allows_several_sources_is_one_line_and_is_fed_when_pasted(tmp_path):
    make_corpus(tmp_path / "c", {"few": 900, "more": 1000, "web": 40_000})
    phases = "phases:\n  - {tokens: 100k, weights: {few: 0.4, more: 0.4, web: 0.2}}\n"
    sources = "sources:\n  web: {from: ['c/web'], where: {}, max_epochs: 9, licences: [MIT]}\n"
    for defined, said in (("", "Or allow it:"), (sources, "Or allow it, in place of the `sources:` there:")):
        lines = refusal(write_mix(tmp_path, defined + phases)).splitlines()
        assert [line for line in lines if "sources: {" in line] == [lines[-2]]
        assert lines[-2].startswith(said)
        pasted = lines[-2].partition(":  ")[2] + "\n"
        assert epochs_when_pasted(tmp_path, pasted + phases)["few"] > 16
    assert validate_sources(tmp_path, pasted)["web"].licences == ["MIT"]


def validate_sources(folder, text):
    value, positions = load_yaml(write_mix(folder, text + "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"))
    return validate(MixFile, value, positions).sources


def test_the_tokens_that_a_refused_mix_proposes_are_fed_when_pasted_and_no_row_more_is(tmp_path):
    make_corpus(tmp_path / "c", {"few": 900, "more": 1000, "web": 4_000})
    for few in range(3, 60, 19):
        text = f"phases:\n  - {{tokens: TOKENS, weights: {{few: 0.{few:02}, more: 1/7, web: 1/3}}}}\n"
        said = re.search(
            r"be fed: .*?([\d,]+) tokens in all", refusal(write_mix(tmp_path, text.replace("TOKENS", "1M")))
        )
        n_tokens = int(said[1].replace(",", ""))
        assert max(epochs_when_pasted(tmp_path, text.replace("TOKENS", str(n_tokens))).values()) <= 16
        refusal(write_mix(tmp_path, text.replace("TOKENS", str(n_tokens + 16))))


def test_a_source_below_a_row_is_refused_with_weights_and_rows_to_paste(tmp_path):
    make_corpus(tmp_path / "c", {"web": 30, "books": 4000, "code": 4000})
    text = "phases:\n  - {tokens: 9k, weights: {web: 0.01, books: 0.6, code: 0.39}}\n"
    said = refusal(write_mix(tmp_path, text))
    assert "mix.yaml:6:33: expected at least 32 tokens in web for rows of 16, got 30." in said
    assert "tokens in all" not in said
    weights, seq_len = re.search(r"Write  weights: (\{.*\})  or write  (seq_len: \d+)", said).groups()
    assert set(epochs_when_pasted(tmp_path, re.sub(r"\{web.*?\}", weights, text))) == {"books", "code"}
    path = write_mix(tmp_path, text)
    path.write_text(path.read_text().replace("seq_len: 16", seq_len))
    assert load_mix(path).manifest.seq_len == 8


def test_small_and_hungry_sources_of_one_mix_are_told_what_is_fed_when_pasted(tmp_path):
    make_corpus(tmp_path / "c", {"web": 18, "few": 900, "more": 40_000})
    text = "phases:\n  - {tokens: 90k, weights: {web: 0.2, few: 0.4, more: 0.4}}\n"
    said = refusal(write_mix(tmp_path, text))
    weights, tokens = re.search(r"Write  weights: (\{.*?\}), with ([\d,]+) tokens in all", said).groups()
    fed = re.sub(r"weights: \{.*?\}", f"weights: {weights}", text)
    assert epochs_when_pasted(tmp_path, fed.replace("90k", tokens.replace(",", "")))
    assert f", or {tokens} tokens in all\n" in said
    lighter = re.search(r"be fed: weights: (\{.*?\}), or", said)[1]
    assert epochs_when_pasted(tmp_path, re.sub(r"weights: \{.*?\}", f"weights: {lighter}", text))
    allow = re.search(r"Or allow it:  (.*)", said)[1]
    assert epochs_when_pasted(tmp_path, f"{allow}\n{fed}")


def test_phases_that_would_shrink_below_a_row_are_told_no_tokens(tmp_path):
    make_corpus(tmp_path / "c", {"web": 40, "books": 4000})
    phases = "phases:\n  - {tokens: 90k, weights: {web: 1}}\n  - {tokens: 16, weights: {books: 1}}\n"
    said = refusal(write_mix(tmp_path, phases))
    assert (
        "expected at most 16 epochs of web, got 5625.0 (90,000 tokens wanted, 40 there)\nOr allow it" in said
    )


def test_the_tokens_of_several_phases_are_told_one_by_one_and_fed_when_pasted(tmp_path):
    make_corpus(tmp_path / "c", {"few": 900, "books": 4000})
    text = (
        "phases:\n  - {tokens: ONE, weights: {few: 1}}\n  - {tokens: TWO, weights: {few: 0.5, books: 0.5}}\n"
    )
    said = refusal(write_mix(tmp_path, text.replace("ONE", "30k").replace("TWO", "20k")))
    one, two = re.search(r"tokens in all \(([\d,]+) and ([\d,]+) in its phases\)", said).groups()
    pasted = text.replace("ONE", one.replace(",", "")).replace("TWO", two.replace(",", ""))
    assert 15 < epochs_when_pasted(tmp_path, pasted)["few"] <= 16


def test_a_small_source_is_taken_out_of_every_phase(tmp_path):
    make_corpus(tmp_path / "c", {"web": 18, "books": 4000})
    first, second = "{tokens: 1k, weights: {web: 1}}", "{tokens: 1k, weights: {web: 0.5, books: 0.5}}"
    said = refusal(write_mix(tmp_path, f"phases:\n  - {first}\n  - {second}\n")).splitlines()
    assert said[0].endswith("No row could be made of it. Take the phase out")
    assert said[1].endswith("No row could be made of it. Write  weights: {books: 0.5}")
    assert epochs_when_pasted(tmp_path, "phases:\n  - {tokens: 1k, weights: {books: 0.5}}\n")


def test_a_corpus_as_the_mix_leaves_out_what_makes_no_row_and_says_so(tmp_path):
    make_corpus(tmp_path / "c", {"web": 400, "few": 31})
    made = mix_of_corpus(tmp_path / "c", seq_len=16, seed=0, tokens=800)
    assert [s.name for s in made.manifest.sources] == ["web"]
    assert made.remarks == (f"{tmp_path / 'c'}: left out few: its 31 tokens make no row of 16",)
    assert [(a.verdict, a.source) for a in made.manifest.allowed] == [("too_small", "few")]
    assert mix_of_corpus(tmp_path / "c", seq_len=8, seed=0, tokens=800).remarks == ()


def test_a_corpus_whose_sources_make_no_row_is_told_the_rows_that_it_makes(tmp_path):
    make_corpus(tmp_path / "c", {"web": 40, "few": 31})
    with pytest.raises(
        MixError, match=r"at least 256 tokens in one source for rows of 128, got 40 in web"
    ) as caught:
        mix_of_corpus(tmp_path / "c", seq_len=128, seed=0, tokens=71)
    length = int(re.search(r"Write  seq_len: (\d+)  in the training file", str(caught.value))[1])
    assert length == 16
    assert [
        s.name for s in mix_of_corpus(tmp_path / "c", seq_len=16, seed=0, tokens=71).manifest.sources
    ] == ["web"]


def test_an_override_of_the_epoch_cap_is_recorded(corpus):
    text = (
        "sources:\n  web: {from: ['*/web'], max_epochs: 41}\nphases:\n  - {tokens: 160k, weights: {web: 1}}\n"
    )
    mix = load_mix(write_mix(corpus, text)).manifest
    assert mix.sources[0].max_epochs == 41
    assert check(mix)[0].verdict == "repeats, unchecked"


def test_two_tokenizers_in_a_mix_are_refused(corpus):
    make_corpus(corpus / "d", {"code": 1000}, name="d", tokenizer=b"[]")
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace("[c]", "[c, d]"))
    with pytest.raises(MixError, match=r"mix\.yaml:2:.*one tokenizer in all corpora, got 2"):
        load_mix(path)


def test_a_source_of_one_name_in_two_corpora_is_one_pool_and_partitions_can_be_chosen(corpus):
    columns = {"web": {"language": "de"}}
    make_corpus(corpus / "d", {"web": 1600}, name="d", columns=columns)
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace("[c]", "[c, d]"))
    assert load_mix(path).manifest.sources[0].n_tokens == 5600
    text = "sources:\n  german: {from: ['*/web'], where: {language: de}}\n"
    path.write_text(path.read_text().replace("phases:", text + "phases:").replace("{web: 1}", "{german: 1}"))
    assert load_mix(path).manifest.sources[0].n_tokens == 1600


@pytest.mark.parametrize(
    ("corpora", "again"),
    [
        ("[c, c]", r"mix\.yaml:2:14: .*got c again \(as c, .*Write  corpora: (\[.*\])"),
        (
            "[c, c/corpus.json]",
            r"mix\.yaml:2:14: .*got c/corpus\.json again \(as c, .*Write  corpora: (\[.*\])",
        ),
        ("{x: c, y: copy}", r"mix\.yaml:2:20: .*got copy again \(as x, .*Write  corpora: (\{.*\})"),
    ],
)
def test_a_corpus_named_twice_is_refused_with_the_corpora_to_paste(corpus, corpora, again):
    shutil.copytree(corpus / "c", corpus / "copy")
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace("[c]", corpora))
    with pytest.raises(MixError, match="expected each corpus once") as caught:
        load_mix(path)
    pasted = re.search(again, str(caught.value))[1]
    path.write_text(path.read_text().replace(corpora, pasted))
    assert load_mix(path).manifest.sources[0].n_tokens == 4000


def test_shards_that_two_corpora_share_are_one_source_once(corpus):
    make_corpus(corpus / "d", {"web": 4000, "more": 1600}, name="d")
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 0.5, more: 0.5}}\n")
    path.write_text(path.read_text().replace("[c]", "[c, d]"))
    with pytest.raises(MixError, match=r"mix\.yaml:2:10: .*got those of d/web again \(as c,") as caught:
        load_mix(path)
    pasted = re.search(r"`sources`:  (web: \{.*\})", str(caught.value))[1]
    path.write_text(path.read_text() + f"sources:\n  {pasted}\n")
    assert {s.name: s.n_tokens for s in load_mix(path).manifest.sources} == {"more": 1600, "web": 4000}


def test_marked_contamination_stops_a_mix_until_a_person_says_why_not(tmp_path):
    make_corpus(tmp_path / "c", {"web": 4000}, hits=3)
    text = "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"
    with pytest.raises(MixError, match="marked some and kept it") as caught:
        load_mix(write_mix(tmp_path, text))
    allow = re.search(r"allow: .*\]", str(caught.value))[0].replace("...", "read and judged harmless")
    mix = load_mix(write_mix(tmp_path, text + allow)).manifest
    assert mix.allowed[0].because == "read and judged harmless"


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        (
            "{verdict: uncheked, source: web, because: x}",
            r':8:15: .*got "uncheked"; did you mean "unchecked"',
        ),
        ("{verdict: unchecked, source: wbe, because: x}", r':8:34: .*or "\*", got "wbe"; did you mean "web"'),
    ],
)
def test_an_allowance_names_a_verdict_and_a_source_of_the_mix(corpus, allow, said):
    text = f"phases:\n  - {{tokens: 1k, weights: {{web: 1}}}}\nallow:\n  - {allow}\n"
    with pytest.raises(UsageError, match=said):
        load_mix(write_mix(corpus, text))
    right = text.replace("uncheked", "unchecked").replace("wbe", "'*'")
    assert [row.verdict for row in check(load_mix(write_mix(corpus, right)).manifest)] == ["fine"]


NONE = (
    'expected "x" to find tokens, it finds none among: '
    "c/books {'language': 'de', 'topic': 'art'}, c/web {'language': 'en'}"
)


@pytest.mark.parametrize(
    ("where", "column", "said"),
    [
        (
            "{langauge: en}",
            40,
            'expected a column of the partitions of "x" (language), got "langauge"; did you mean "language"?',
        ),
        ("{language: eng}", 40, f'{NONE}; did you mean "en"?'),
        ("{language: dee}", 40, NONE),  # `de` is of a source that `from` does not name
        ("{language: de}", 40, NONE),
        (
            "{language: en, topic: art}",
            51,
            'expected a column of the partitions of "x" (language), got "topic"',
        ),
        ("{zebra: en}", 37, 'expected a column of the partitions of "x" (language), got "zebra"'),
    ],
)
def test_a_partition_that_is_not_there_is_told_with_the_nearest_that_its_sources_have(
    tmp_path, where, column, said
):
    columns = {"web": {"language": "en"}, "books": {"language": "de", "topic": "art"}}
    make_corpus(tmp_path / "c", {"web": 4000, "books": 2000}, columns=columns)
    text = (
        f"sources:\n  x: {{from: [c/web], where: {where}}}\nphases:\n  - {{tokens: 1k, weights: {{x: 1}}}}\n"
    )
    first = refusal(write_mix(tmp_path, text)).splitlines()[0]
    assert first.endswith(f"mix.yaml:6:{column}: {said}")


@pytest.mark.parametrize("written", ["stores/dmo", "stors/demo"])
def test_a_missing_corpus_is_named_at_its_line_with_the_nearest(tmp_path, written):
    make_corpus(tmp_path / "stores/demo", {"web": 1000})
    (tmp_path / "stores/dm").mkdir()
    path = write_mix(tmp_path, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    told = r"mix\.yaml:2:11: .*expected a corpus folder or manifest, found none"
    with pytest.raises(MixError, match=rf"{told}\. `quern build RECIPE --out "):
        load_mix(path)
    path.write_text(path.read_text().replace("[c]", f"[{written}]"))
    with pytest.raises(MixError, match=rf'{told}; did you mean "stores/demo"\? `quern build RECIPE --out '):
        load_mix(path)


def test_a_missing_corpus_of_a_digest_is_told_with_the_store_that_has_it(tmp_path):
    digest = CorpusManifest.read(make_corpus(tmp_path / "stores/old", {"web": 1000})).digest[:8]
    make_corpus(tmp_path / "stores/odd", {"web": 2000})
    path = write_mix(tmp_path, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace("[c]", f"[stores/odl@{digest}]"))
    first, _ = refusal(path).splitlines()
    assert first.endswith(
        f'odl@{digest}: expected a corpus folder or manifest, found none; did you mean "stores/old@{digest}"?'
    )
    path.write_text(path.read_text().replace("odl@", "old@"))
    assert load_mix(path).manifest.sources[0].n_tokens == 1000
    path.write_text(path.read_text().replace(f"old@{digest}", "odl@zz"))
    assert refusal(path).splitlines()[0].endswith("odl@zz: expected a corpus folder or manifest, found none.")


def test_a_corpus_alone_is_a_mix_of_its_sources_by_their_tokens(corpus):
    mix = mix_of_corpus(corpus / "c", seq_len=16, seed=0, tokens=3000).manifest
    assert mix.phases[0].shares == [1, 2]


def test_a_corpus_without_tokens_is_no_mix_and_says_so(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0})
    with pytest.raises(MixError, match=r"expected tokens to train on, found none.*quern audit"):
        mix_of_corpus(tmp_path / "c", seq_len=16, seed=0, tokens=3000)


def test_a_corpus_is_found_by_the_beginning_of_its_digest(corpus):
    manifest = CorpusManifest.read(corpus / "c")
    assert CorpusManifest.read(Path(f"{corpus / 'c'}@{manifest.digest[:6]}")) == manifest
    with pytest.raises(UsageError, match='expected the first digits of one manifest, got "zz"'):
        CorpusManifest.read(Path(f"{corpus / 'c'}@zz"))
    with pytest.raises(MissingFileError):
        CorpusManifest.read(corpus / "nowhere")
    (corpus / "c" / "corpus.json").write_bytes(b"{}\n")
    with pytest.raises(FormatError):
        CorpusManifest.read(corpus / "c")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any))
def test_short_decimal_weights_are_kept_exactly(thousandths):
    weights = [Fraction(n, 1000) for n in thousandths]
    shares = shares_of(weights)
    assert [Fraction(s, sum(shares)) for s in shares] == [w / sum(weights) for w in weights]


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=6))
def test_long_weights_are_rounded_by_less_than_a_row_in_65536_and_none_is_lost(counts):
    shares = shares_of([Fraction(n) for n in counts])
    for share, n in zip(shares, counts, strict=True):
        assert share >= 1
        assert abs(share / sum(shares) - n / sum(counts)) <= 6 / 65536


def test_repeated_tokens_are_worth_less():
    assert effective_tokens(1000, 900) == 900
    assert 0.92 < effective_tokens(1000, 4000) / 4000 < 0.94
    assert effective_tokens(1000, 40_000) / 40_000 < 0.4


@pytest.mark.parametrize(
    ("sources", "first", "second"),
    [("{a: {from: ['*/web']}, b: {from: ['c/w*']}}", "a", "b"), ("{all: {from: ['*/*']}}", "web", "all")],
)
def test_shards_that_two_sources_draw_are_read_by_both_no_oftener_than_either_allows(
    corpus, sources, first, second
):
    text = f"sources: {sources}\nphases:\n  - {{tokens: 110k, weights: {{{first}: 0.5, {second}: 0.5}}}}\n"
    said = refusal(write_mix(corpus, text))
    assert "expected shards that several sources draw to be read at most 16 times by all together" in said
    few = load_mix(write_mix(corpus, text.replace("110k", "20k"))).manifest
    assert {row.source for row in check(few) if row.wanted} == {first, second}
    [shared] = check_shared(few)
    assert set(shared.epochs) == {first, second}


def test_all_of_it_and_then_a_part_is_a_mix(corpus):
    text = (
        "sources: {all: {from: ['*/*']}}\n"
        "phases:\n  - {tokens: 8k, weights: {all: 1}}\n  - {tokens: 4k, weights: {web: 1}}\n"
    )
    assert len(load_mix(write_mix(corpus, text)).manifest.phases) == 2


def test_two_corpora_that_hold_the_same_shards_feed_two_sources_together(corpus):
    make_corpus(corpus / "d", {"web": 4000}, name="d")
    text = "sources: {a: {from: [c/web]}, b: {from: [d/web]}}\nphases:\n  - {tokens: 100k, weights: {a: 1, b: 1}}\n"
    path = write_mix(corpus, text)
    path.write_text(path.read_text().replace("[c]", "[c, d]"))
    assert re.search(
        r'at most 16 times by all together, got 25\.\d \("a" 12\.\d, "b" 12\.\d\)', refusal(path)
    )


def test_a_small_source_that_gets_a_row_only_without_the_others_is_out_of_every_proposal(tmp_path):
    make_corpus(tmp_path / "c", {"books": 500, "tiny": 20, "small": 21})
    text = "phases:\n  - {tokens: 16k, weights: {books: 1, tiny: 0.0005, small: 1}}\n"
    said = refusal(write_mix(tmp_path, text))
    assert "expected at least 32 tokens in tiny" in said
    assert "expected at least 32 tokens in small" in said
    weights, tokens = re.search(r"Write  weights: (\{.*?\}), with ([\d,]+) tokens in all", said).groups()
    fed = re.sub(r"weights: \{.*?\}", f"weights: {weights}", text)
    assert set(epochs_when_pasted(tmp_path, fed.replace("16k", tokens.replace(",", "")))) == {"books"}
    allow = re.search(r"Or allow it:  (.*)", said)[1]
    assert epochs_when_pasted(tmp_path, f"{allow}\n{fed}")


@pytest.mark.parametrize("seq_len", [8, 96, 997, 4096, 720_720, 1 << 20])
def test_shorter_rows_are_the_divisors_from_the_longest_on(seq_len):
    every = [n for n in range(seq_len - 1, 7, -1) if seq_len % n == 0]
    assert shorter_rows(seq_len, at_most=seq_len) == every
    assert shorter_rows(seq_len, at_most=50) == [n for n in every if n <= 50]


def test_rows_have_a_longest_length(corpus):
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace("seq_len: 16", "seq_len: 40000003"))
    with pytest.raises(
        UsageError, match=r"mix\.yaml:3:10: expected a number of 1048576 or less for `seq_len`"
    ):
        load_mix(path)


def test_a_shorter_row_is_found_behind_lengths_that_no_phase_has_a_row_of(tmp_path):
    make_corpus(tmp_path / "c", {"web": 4000})
    with pytest.raises(MixError, match=r"rows of 4096, got 4,000 in web") as caught:
        mix_of_corpus(tmp_path / "c", seq_len=4096, seed=0, tokens=100)
    length = int(re.search(r"Write  seq_len: (\d+)  in the training file", str(caught.value))[1])
    assert length == 64
    assert mix_of_corpus(tmp_path / "c", seq_len=length, seed=0, tokens=100).manifest.n_rows == 1


def test_the_weights_beside_empty_sources_are_told_with_the_tokens_that_can_be_fed(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0, "tiny": 18, "books": 300})
    text = "phases:\n  - {tokens: 90k, weights: {web: 0.5, tiny: 0.1, books: 0.4}}\n"
    said = refusal(write_mix(tmp_path, text))
    weights, tokens = re.search(
        r"found none.*Write  weights: (\{.*?\}), with ([\d,]+) tokens in all, or see", said
    ).groups()
    assert "write  seq_len" not in said
    fed = re.sub(r"weights: \{.*?\}", f"weights: {weights}", text).replace("90k", tokens.replace(",", ""))
    assert set(epochs_when_pasted(tmp_path, fed)) == {"books"}


def test_the_weights_of_all_sources_are_told_with_the_tokens_that_can_be_fed(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0, "tiny": 18, "books": 300})
    text = "phases:\n  - {tokens: TOKENS, weights: {web: 1}}\n"
    said = refusal(write_mix(tmp_path, text.replace("TOKENS", "90k")))
    weights, tokens = re.search(
        r"Write  weights: (\{.*?\}), with ([\d,]+) tokens in all, or see", said
    ).groups()
    fed = text.replace("{web: 1}", weights).replace("TOKENS", tokens.replace(",", ""))
    assert set(epochs_when_pasted(tmp_path, fed)) == {"books"}


def test_no_weights_are_told_where_no_source_makes_a_row(tmp_path):
    make_corpus(tmp_path / "c", {"web": 0, "tiny": 18})
    said = refusal(write_mix(tmp_path, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"))
    assert "are held out. See with `quern audit`" in said


def test_epochs_and_benchmark_text_are_told_at_once_and_what_allows_them_is_taken(tmp_path):
    make_corpus(tmp_path / "c", {"web": 4000, "books": 2000}, hits=3)
    phases = "phases:\n  - {tokens: 200k, weights: {web: 0.5, books: 0.5}}\n"
    there = "allow: [{verdict: unchecked, source: web, because: x}]\n"
    said = refusal(write_mix(tmp_path, there + phases))
    for name in ("web", "books"):
        assert f"at most 16 epochs of {name}" in said
        assert f"no benchmark text in {name}" in said
    sources = re.search(r"Or allow it:  (.*)", said)[1]
    allow = re.search(r"Or allow that text, in place of the `allow:` there:  (.*)", said)[1]
    mix = load_mix(write_mix(tmp_path, f"{sources}\n{allow}\n{phases}")).manifest
    assert [a.verdict for a in mix.allowed] == ["unchecked", "marked", "marked"]
    assert [row.verdict for row in check(mix)] == ["repeats", "repeats"]


@pytest.mark.parametrize(
    ("defined", "place", "near"),
    [
        ("boks: {from: [c/books], licences: [X], max_epochs: 1}", ":6:9", "books"),
        ("Books: {from: [c/books]}", ":6:10", "books"),
        ("wbe: {from: [c/web], max_epochs: 1}", ":6:8", "web"),
    ],
)
def test_a_definition_that_is_a_misspelt_source_is_refused_at_its_line(corpus, defined, place, near):
    text = f"sources:\n  {defined}\nphases:\n  - {{tokens: 1k, weights: {{web: 0.5, books: 0.5}}}}\n"
    name = defined.partition(":")[0]
    assert refusal(write_mix(corpus, text)).startswith(
        f"{corpus / 'mix.yaml'}{place}: expected a source that a phase weighs (books, web), got "
        f'"{name}"; did you mean "{near}"? What it says'
    )
    weighed = text.replace("books: 0.5", f"books: 0.5, {name}: 0").replace(", licences: [X]", "")
    assert load_mix(write_mix(corpus, weighed)).remarks == ()


@pytest.mark.parametrize("name", ["web_de", "web2", "later", "web_books", "bookz"])
def test_a_definition_for_a_later_phase_is_no_misspelt_one_and_is_remarked(corpus, name):
    text = f"sources:\n  {name}: {{from: [c/web]}}\nphases:\n  - {{tokens: 1k, weights: {{web: 1}}}}\n"
    [remark] = load_mix(write_mix(corpus, text)).remarks
    assert remark.endswith(
        f"mix.yaml: {name} is defined under `sources`, has no weight in any phase and is not read"
    )


def test_a_definition_near_one_that_is_defined_too_is_no_misspelt_one(corpus):
    text = (
        "sources: {web: {from: [c/web]}, wbe: {from: [c/web]}}\nphases: [{tokens: 1k, weights: {web: 1}}]\n"
    )
    assert load_mix(write_mix(corpus, text)).manifest.sources[0].n_tokens == 4000


def test_a_pattern_that_finds_nothing_is_let_through_beside_one_that_finds_some(corpus):
    text = "sources:\n  x: {from: FROM}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n"
    made = load_mix(write_mix(corpus, text.replace("FROM", "['*/web', '*/wiki', 'c/wik?']"))).manifest
    assert made.sources[0].n_tokens == 4000
    for written, at in (("['*/wbe', '*/wiki']", (14, 23)), ("['*/web', c/wiki]", (23,))):
        said = refusal(write_mix(corpus, text.replace("FROM", written)))
        assert re.findall(r"mix\.yaml:6:(\d+): expected a source of a corpus", said) == [str(n) for n in at]


@pytest.mark.parametrize(
    ("licences", "near"),
    [
        ("MTI", '; did you mean "MIT"? A'),
        ("X, mit", '; did you mean "MIT"? A'),
        ("MIT-0", ". A"),
        ("X", ". A"),
    ],
)
def test_a_misspelt_licence_is_told_with_the_one_that_is_held(corpus, licences, near):
    text = f"sources:\n  x: {{from: [c/web], licences: [{licences}]}}\nphases: [{{tokens: 1k, weights: {{x: 1}}}}]\n"
    said = f"expected only {licences}, its partitions also hold MIT{near} mix selects whole partitions"
    assert said in refusal(write_mix(corpus, text))


def test_a_source_without_its_corpus_is_told_with_the_nearest_and_the_first_sixteen_are_listed(tmp_path):
    make_corpus(tmp_path / "c", {"web": 4000, **{f"s{n}": 20 for n in range(16)}}, name="crawls-of-2026")
    text = "sources:\n  x: {from: [wbe]}\nphases:\n  - {tokens: 1k, weights: {x: 1}}\n"
    first, _ = refusal(write_mix(tmp_path, text)).splitlines()
    assert first.endswith('crawls-of-2026/s14, ...), got "wbe"; did you mean "*/web"?')
    assert load_mix(write_mix(tmp_path, text.replace("wbe", "'*/web'"))).manifest.sources[0].n_tokens == 4000
    unknown, _ = refusal(
        write_mix(tmp_path, text.replace("[wbe]", "['*/web']").replace("x: 1", "y: 1"))
    ).splitlines()
    assert unknown.endswith('s8, s9, ...), got "y"')


def test_a_weight_that_is_a_misspelt_definition_is_told_alone(corpus):
    text = "sources:\n  novels: {from: [c/books]}\nphases:\n  - {tokens: 1k, weights: {novls: 1}}\n"
    first, _ = refusal(write_mix(corpus, text)).splitlines()
    assert first.endswith('got "novls"; did you mean "novels"?')


def test_what_an_unused_definition_is_drawn_from_must_be_there_too(corpus):
    phases = "phases:\n  - {tokens: 1k, weights: {web: 1}}\n"
    said = r'expected a source of a corpus \(c/web, c/books\), got "c/wbe"; did you mean "c/web"\?$'
    with pytest.raises(MixError, match=rf"(?m)mix\.yaml:6:14: {said}"):
        load_mix(write_mix(corpus, f"sources:\n  x: {{from: [c/wbe]}}\n{phases}"))
    with pytest.raises(MixError, match=rf"(?m)^--set sources\.x\.from=\[c/wbe\]: {said}"):
        load_mix(write_mix(corpus, phases), ["sources.x.from=[c/wbe]"])


def test_a_source_whose_weight_gives_no_row_says_so(tmp_path):
    make_corpus(tmp_path / "c", {"books": 4000, "tiny": 20}, hits=0)
    text = "phases:\n  - {tokens: 6400, weights: {books: 1, tiny: WEIGHT}}\n"
    made = load_mix(write_mix(tmp_path, text.replace("WEIGHT", "0.001")))
    assert [(row.source, row.verdict) for row in check(made.manifest)] == [
        ("books", "fine"),
        ("tiny", "no_rows"),
    ]
    assert made.remarks == (
        f"{tmp_path / 'mix.yaml'}: tiny has a weight too small for one of the 400 rows and is not read",
    )
    unused = load_mix(write_mix(tmp_path, text.replace("WEIGHT", "0")))
    assert [row.verdict for row in check(unused.manifest)] == ["fine", "fine"]
    assert unused.remarks == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("corpora: [c]", "corpora: []", r":2:10: expected one corpus or more for `corpora`, got \[\]"),
        ("corpora: [c]", "corpora: {}", r":2:10: expected one corpus or more for `corpora`, got \{\}"),
        ("corpora: [c]", "corpora: {'': c}", r':2:15: expected a name, got ""'),
        ("seed: 1", "sources: {'': {from: ['*/web']}}", r':4:15: expected a name, got ""'),
        ("name: m", "name: ''", r":1:7: expected text of the form .* for `name`, got \"\""),
        ("name: m", "name: a/b", r":1:7: expected text of the form .* for `name`, got \"a/b\""),
        ("corpora: [c]", "corpora: [3]", r":2:11: expected text for `corpora\[0\]`, got 3"),
        ("corpora: [c]", "corpora: {c: [c]}", r":2:14: expected text for `corpora\.c`, got a list of 1"),
    ],
)
def test_what_has_no_name_or_no_corpus_is_refused(corpus, old, new, said):
    path = write_mix(corpus, "phases:\n  - {tokens: 1k, weights: {web: 1}}\n")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UsageError, match=said):
        load_mix(path)
