"""Thresholds moved over saved values decide what a rebuild with them decides."""

import json
import random
import shutil

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from corpus_tools.open import open_corpus
from corpus_tools.whatif import whatif, whatif_text
from manifests.errors import DamageError, QuernError, UsageError
from pipelines.executor import build
from pipelines.plan import make_plan
from tests.engine.small import make_input, page_html

RECIPE = """\
name: whatif
sources:
  - name: web
    read: warc
    paths: ["crawl/*.warc.gz"]
    steps:
      - extract
      - language: {keep: [en, de, fr, la, it, nl], min_score: 0.05, whole_below: null}
      - save
      - gopher_repetition
      - gopher_quality: {for: [en], min_words: 30, min_stop_words: 0}
      - {use: "./rules.py:variety", min: 0.272}
  - name: notes
    read: jsonl
    paths: ["notes/*.jsonl"]
    steps: [gopher_quality: {min_words: 20, min_stop_words: 0}]
steps: [exact, minhash: {bands: 6, rows: 3}]
tokens: {train: {vocab_size: 300}, holdout: 5%}
"""
RULES = "def variety(text):\n    words = text.split()\n    return len(set(words)) / max(1, len(words))\n"
# Values on both sides of what the documents measure, so that nearly every change moves some of them.
LIMITS = {
    "gopher_quality.min_words": ["null", 10, 15, 60, 150, 199, 201],
    "gopher_quality.max_mean_word_chars": ["null", 4.4, 4.7, 5.2, 5.3, 5.4],
    "gopher_quality.action": ["mark"],
    "gopher_repetition.max_top_2_gram_frac": ["null", 0.02, 0.028, 0.035, 0.05],
    "gopher_repetition.max_dup_5_gram_frac": ["null", 0, 0.01],
    "language.min_score": ["null", 0.5, 0.88, 0.9, 0.92],
    "language.keep": ["[en]", "[en, fr, la]", "[en, la]"],
    "variety.min": ["null", 0.27, 0.275, 0.28, 0.9],
    "variety.max": [0.27, 0.275, 0.6],
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The input, the recipe and a corpus built with --measure-all; beside it a store that rebuilds go on in."""
    folder = tmp_path_factory.mktemp("whatif")
    make_input(folder, n_files=2, n_pages=60)
    (folder / "rules.py").write_text(RULES)
    (folder / "notes").mkdir()
    texts = [
        page_html(n).decode().partition("<p>")[2].partition("</p>")[0][: 40 * (n % 9)] for n in range(60)
    ]
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "notes" / "a.jsonl").write_text(rows)
    (folder / "recipe.yaml").write_text(RECIPE)
    rebuilt(folder, "all", [], measure_all=True)
    return folder


def rebuilt(folder, name, overrides, *, measure_all=False):
    given = {"overrides": overrides, "measure_all": measure_all, "allow_code": True}
    build(make_plan(folder / "recipe.yaml", folder / name, **given), workers=0)
    return open_corpus(folder / name)


def fates_of(corpus):
    """{doc_id: `kept` or `step: reason`} up to the first gather."""
    fates = {}
    for part in corpus.manifest.parts:
        if part.final:
            ids = pq.read_table(corpus.root / part.part.path, columns=["doc_id"]).column("doc_id").to_pylist()
            fates |= dict.fromkeys(ids, "kept")
        names = ["doc_id", "dropped_step", "dropped_reason"]
        for row in pq.read_table(corpus.root / part.dropped.path, columns=names).to_pylist():
            fates[row["doc_id"]] = f"{row['dropped_step']}: {row['dropped_reason']}"
    return fates


def n_documents(corpus):
    return sum(int(corpus.kept(p).sum()) for p in corpus.manifest.parts if p.final)


def check(folder, overrides):
    answer = whatif(folder / "all", overrides)
    ids, would = (answer.fates.column(name).to_pylist() for name in ("doc_id", "would_be"))
    again = rebuilt(folder, "again", overrides)
    assert dict(zip(ids, would, strict=True)) == fates_of(again), overrides
    assert answer.lower <= n_documents(again) <= answer.upper, overrides
    return answer


def random_changes(folder, rng, limits=LIMITS):
    """One to three limits moved; drawn again where a minimum would be above its maximum, which is refused."""
    while True:
        keys = rng.sample(sorted(limits), rng.randint(1, 3))
        changes = [f"{key}={rng.choice(limits[key])}" for key in keys]
        if not _crossed(folder, changes):
            return changes


def _crossed(folder, changes):
    try:
        whatif(folder / "all", changes)
    except QuernError as error:
        return "no document would pass" in str(error)
    return False


def test_random_limits_decide_what_a_rebuild_decides(measured):
    rng = random.Random(2)
    n_flipped = [len(check(measured, random_changes(measured, rng)).flipped) for _ in range(8)]
    assert np.count_nonzero(n_flipped) >= 5


@pytest.mark.slow
def test_fifty_random_changes_decide_what_a_rebuild_decides(measured):
    rng = random.Random(50)
    n_flipped = [len(check(measured, random_changes(measured, rng)).flipped) for _ in range(50)]
    assert np.count_nonzero(n_flipped) >= 30


def test_a_corpus_measured_whole_holds_the_documents_of_an_ordinary_one(measured):
    assert fates_of(open_corpus(measured / "all")) == fates_of(rebuilt(measured, "plain", []))


def test_what_passes_a_moved_limit_is_told_with_its_old_reason_and_the_command(measured):
    answer = check(measured, ["gopher_quality.min_words=5"]).as_json()
    was = next(row for row in answer["fates"] if row["fate"] == "gopher_quality: too_few_words")
    assert was["was"] > was["would_be"]
    text = whatif_text(answer)
    assert "quern build RECIPE --set gopher_quality.min_words=5" in text
    assert {c["source"] for c in answer["changes"]} == {"web", "notes"}


def test_nothing_is_said_of_a_corpus_whose_dropped_documents_were_not_measured_further(measured):
    rebuilt(measured, "plain", [])
    with pytest.raises(UsageError, match="--measure-all"):
        whatif(measured / "plain", ["gopher_quality.min_words=5"])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "gopher_qualty.min_words=5",
            r'did you mean "gopher_quality"\? Nothing would be other\. `quern audit',
        ),
        ("xyz.min_words=5", r'got "xyz"\. Nothing would be other\. `quern audit'),
        ("gopher_quality.min_wrds=5", 'did you mean "min_words"'),
        ("gopher_quality.min_words=many", "expected"),
        ("gopher_quality=3", "no key"),
        ("extract.max_bytes=5", "changes texts or compares"),
        ("minhash.bands=5", "changes texts or compares"),
        ("language.whole_up_to=null", "changes what is measured"),
        ("gopher_quality.for=[de]", r"^--set gopher_quality\.for: expected .*changes what is measured"),
    ],
)
def test_what_saved_values_cannot_answer_is_refused(measured, override, says):
    with pytest.raises(UsageError, match=says):
        whatif(measured / "all", [override])


@pytest.mark.parametrize(
    ("override", "spelled"),
    [
        ("gopher_quality.min_words=null", "--set gopher_quality.min_words=null"),
        ("language.keep=[de, en]", """--set 'language.keep=["de", "en"]'"""),
    ],
)
def test_the_command_that_makes_it_so_can_be_pasted(measured, override, spelled):
    assert whatif_text(whatif(measured / "all", [override]).as_json()).endswith(f" {spelled}\n")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("language.keep=[de, fr]", r"gopher_quality of web: .*let through before .*\(de, fr\)"),
        ("language.keep=[zh, en]", r"gopher_repetition of web: .*zh"),
        ("language.action=mark", r"gopher_repetition of web: .*any language"),
    ],
)
def test_what_no_plan_lets_through_is_refused_before_anything_is_counted(measured, override, says):
    with pytest.raises(UsageError, match=says) as caught:
        whatif(measured / "all", [override])
    assert "`quern build` refuses" in str(caught.value)
    refusal = str(caught.value).splitlines()[1].partition(": ")[2]
    with pytest.raises(QuernError) as planned:
        make_plan(measured / "recipe.yaml", measured / "again", overrides=[override], allow_code=True)
    assert refusal in str(planned.value)


LENGTHS = "gopher_quality: {words: light, min_stop_words: null, min_mean_word_chars: "
STOP_WORDS = "stop_words: [the, be, to, of, and, that, have, with]"


@pytest.mark.parametrize(
    ("steps", "overrides", "has_doubt"),
    [
        (f"language: {{keep: [zh]}}, {LENGTHS}1}}", ["gopher_quality.min_mean_word_chars=3"], False),
        (f"language: {{keep: [zh]}}, {LENGTHS}1}}", ["gopher_quality.min_mean_word_chars=2"], False),
        (f"language: {{keep: [en]}}, {LENGTHS}3}}", ["language.keep=[en, zh]"], True),
        (f"language: {{keep: [en]}}, gopher_quality: {{{STOP_WORDS}}}", ["language.keep=[en, de]"], True),
        ("language: {keep: [en]}, gopher_quality: {stop_words: [le, la]}", ["language.keep=[fr]"], False),
        (
            "language: {keep: [en]}, gopher_quality",
            ["language.keep=[fr]", f"gopher_quality.{STOP_WORDS.replace(': ', '=')}"],
            False,
        ),
    ],
)
def test_what_a_plan_lets_through_is_answered_whatever_equals_a_default(
    tmp_path, steps, overrides, has_doubt
):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "pg1.txt").write_text(ENGLISH)
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=f"[{steps}]", gathers="[exact]"))
    rebuilt(tmp_path, "all", [], measure_all=True)
    make_plan(tmp_path / "recipe.yaml", tmp_path / "again", overrides=overrides)
    answer = whatif(tmp_path / "all", overrides)
    assert bool(answer.doubts) == has_doubt
    assert ("warning: " in whatif_text(answer.as_json())) == has_doubt


def test_a_change_that_only_words_chosen_by_hand_allow_comes_with_a_warning(tmp_path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "pg1.txt").write_text(ENGLISH)
    steps = "[language: {keep: [en]}, gopher_quality]"
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=steps, gathers="[exact]"))
    rebuilt(tmp_path, "all", [], measure_all=True)
    with pytest.raises(QuernError, match="expected documents in en only") as planned:
        make_plan(tmp_path / "recipe.yaml", tmp_path / "again", overrides=["language.keep=[fr]"])
    [doubt] = whatif(tmp_path / "all", ["language.keep=[fr]"]).doubts
    assert doubt.startswith("gopher_quality of books: expected documents in en only")
    assert doubt.partition(": ")[2] in str(planned.value)


def test_a_damaged_part_is_named(measured, tmp_path):
    shutil.copytree(measured / "all", tmp_path / "all")
    corpus = open_corpus(tmp_path / "all")
    part = tmp_path / "all" / corpus.manifest.parts[0].part.path
    data = bytearray(part.read_bytes())
    data[100:2000] = bytes(1900)
    part.chmod(0o644)
    part.write_bytes(data)
    with pytest.raises(DamageError, match=part.name):
        whatif(tmp_path / "all", ["gopher_quality.min_words=5"])
    with pytest.raises(DamageError, match=part.name):
        corpus.explain("http://example.org/0")


def test_a_value_that_is_what_it_was_gives_no_command(measured):
    text = whatif_text(whatif(measured / "all", ["variety.for=null", "language.min_score=0.05"]).as_json())
    assert text.endswith("Every value given is the one it was built with: nothing would be other.\n")
    assert "quern build" not in text


def test_every_document_is_measured_by_every_step_after_its_fall(measured):
    corpus = open_corpus(measured / "all")
    part = next(p for p in corpus.manifest.parts if p.source == "web")
    dropped = pq.read_table(corpus.root / part.dropped.path)
    fell = dropped.filter(pc.equal(dropped.column("dropped_step"), "gopher_repetition"))
    assert len(fell) > 0
    assert fell.column("variety.score").null_count == 0


BOOKS = """\
name: books
sources:
  - name: books
    read: gutenberg
    paths: ["books/*.txt"]
    steps: {steps}
steps: {gathers}
"""
ENGLISH = "The boy went to the river and said that it was with his mother that they would have dinner. " * 12
CATALOGUE = """\
Text#,Type,Issued,Title,Language,Authors,Subjects
1,Text,2000,A,fr,X,S
2,Text,2000,B,en,Y,S
"""


def test_a_rule_decides_by_what_it_wrote_and_a_route_by_what_was_written_last(tmp_path):
    (tmp_path / "books").mkdir()
    for n in (1, 2):
        (tmp_path / "books" / f"pg{n}.txt").write_text(f"{ENGLISH} {n}")
    (tmp_path / "pg_catalog.csv").write_text(CATALOGUE)
    steps = (
        "[book_catalogue: {file: pg_catalog.csv, keep: [fr]}, gopher_repetition: {for: [fr], action: mark}, "
        "language: {keep: [en]}, gopher_quality: {for: [en]}]"
    )
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=steps, gathers="[exact]"))
    rebuilt(tmp_path, "all", [], measure_all=True)
    n_kept = []
    for change in (
        "gopher_quality.max_words=90000",
        "book_catalogue.keep=[fr, en]",
        "gopher_repetition.action=drop",
    ):
        check(tmp_path, [change])
        n_kept.append(n_documents(open_corpus(tmp_path / "again")))
    assert n_kept == [1, 2, 0]


def test_what_a_route_lets_pass_keeps_the_column_a_rule_writes(tmp_path):
    (tmp_path / "books").mkdir()
    for n in (101, 102):
        (tmp_path / "books" / f"pg{n}.txt").write_text(f"{ENGLISH} {n}")
    catalogue = CATALOGUE.replace("\n1,", "\n101,").replace("\n2,", "\n102,")
    (tmp_path / "pg_catalog.csv").write_text(catalogue)
    steps = (
        "[book_catalogue: {file: pg_catalog.csv}, language: {for: [en]}, "
        "gopher_quality: {for: [fr], stop_words: [the, that]}]"
    )
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=steps, gathers="[exact]"))
    corpus = rebuilt(tmp_path, "all", [], measure_all=True)
    assert sorted(corpus.documents().column("language").to_pylist()) == ["en", "fr"]
    check(tmp_path, ["gopher_quality.min_words=9000"])
    assert n_documents(open_corpus(tmp_path / "again")) == 1


def lines_of(words):
    return "\n".join(" ".join(words[i : i + 10]) for i in range(0, len(words), 10)) + "\n"


def test_bounds_hold_where_an_edition_taken_in_takes_the_place_of_a_keeper(tmp_path):
    rng = random.Random(7)

    def words(n):
        return ["".join(rng.choices("abcdefghijklmnop", k=5)) for _ in range(n)]

    (tmp_path / "books").mkdir()
    for group in range(6):
        n, text = 100 + 10 * group, words(1000)
        texts = {
            f"{n}-0": words(40),  # the better edition, too short for the rule
            f"{n}-8": text,  # the keeper, which holds the two below as near copies of it
            f"{n + 1}-0": words(110) + text[110:],
            f"{n + 2}-0": text[:890] + words(110),
        }
        for name, found in texts.items():
            (tmp_path / "books" / f"{name}.txt").write_text(lines_of(found))
    gathers = "[editions, exact, minhash]"
    recipe = BOOKS.format(steps="[gopher_quality: {min_stop_words: 0}]", gathers=gathers)
    (tmp_path / "recipe.yaml").write_text(recipe)
    rebuilt(tmp_path, "all", [], measure_all=True)
    answer = check(tmp_path, ["gopher_quality.min_words=10"])
    assert answer.upper > answer.final


def test_bounds_hold_where_a_cluster_ceases_to_be_a_giant(tmp_path):
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghijklmnop", k=5)) for _ in range(400)]
    (tmp_path / "books").mkdir()
    for n in (0, 1, 2):
        (tmp_path / "books" / f"{n}.txt").write_text(lines_of([*words, *(["more"] * n)]))
    gathers = "[minhash: {verify: none, max_cluster: 2, giant: keep}]"
    steps = "[gopher_quality: {min_stop_words: 0}]"
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=steps, gathers=gathers))
    assert n_documents(rebuilt(tmp_path, "all", [], measure_all=True)) == 3
    check(tmp_path, ["gopher_quality.min_words=401"])
    assert n_documents(open_corpus(tmp_path / "again")) == 1


def test_bounds_hold_where_a_document_taken_in_repeats_the_lines_of_another(tmp_path):
    rng = random.Random(11)
    words = ["".join(rng.choices("abcdefghijklmnop", k=5)) for _ in range(200)]
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "long.txt").write_text(lines_of(words[:80]))
    (tmp_path / "books" / "short.txt").write_text(lines_of(words[:60]))  # all of it stands in the long one
    gathers = "[exact_lines: {keep: none, max_cut_frac: 0.5}]"
    steps = "[gopher_quality: {min_stop_words: 0, min_words: 70}]"
    (tmp_path / "recipe.yaml").write_text(BOOKS.format(steps=steps, gathers=gathers))
    assert n_documents(rebuilt(tmp_path, "all", [], measure_all=True)) == 1
    assert check(tmp_path, ["gopher_quality.min_words=50"]).lower == 0
    assert n_documents(open_corpus(tmp_path / "again")) == 0
