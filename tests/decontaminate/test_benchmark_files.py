"""Benchmarks in every format read and in every layout known give the same items, texts and roles."""

import csv
import gzip
import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest

from manifests.corpus import CorpusManifest
from manifests.digest import digest_value
from manifests.errors import RecipeError, UsageError
from pipelines.decontaminate import Decontaminate
from pipelines.decontaminate.benchmarks import (
    ANSWER,
    CHOICE,
    OTHER,
    PASSAGE,
    PRESETS,
    QUESTION,
    read_benchmark,
)
from pipelines.decontaminate.stage import read_benchmarks
from pipelines.executor import build
from pipelines.plan import make_plan
from tests.harness_gather import Corpus

ROWS = [
    {"question": "Which river, of all, runs through Paris?", "answer": "the Seine", "id": "a1"},
    {"question": 'What does "aurum"\nmean?', "answer": "gold, in Latin", "id": "a2"},
]


def as_jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


FILES = {
    "q.jsonl": as_jsonl(ROWS),
    "q.jsonl.gz": gzip.compress(as_jsonl(ROWS)),
    "q.csv": b"\xef\xbb\xbf" + as_csv(ROWS),
    "q.csv.gz": gzip.compress(as_csv(ROWS)),
    "q.parquet": as_parquet(ROWS),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_items(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    found = read_benchmark(tmp_path / name)
    assert (found.n_items, found.items) == (2, [0, 0, 0, 1, 1, 1])
    assert found.texts == [text for row in ROWS for text in row.values()]
    assert found.roles == [QUESTION, ANSWER, OTHER] * 2


@pytest.mark.parametrize("name", ["q.parquet", "q.csv.gz", "q.csv"])
def test_a_file_that_is_not_what_its_name_says_stops_the_build(tmp_path, name):
    (tmp_path / name).write_bytes(b'question\n"never \xff closed\n')
    with pytest.raises(UsageError, match=rf"{name}: expected"):
        read_benchmark(tmp_path / name)


def test_a_mapping_names_every_part_and_reaches_into_fields(tmp_path):
    row = {
        "ask": {"stem": "Why?"},
        "opts": {"text": ["So.", "Not so."]},
        "ok": "So.",
        "ctx": "A page.",
        "x": "y",
    }
    (tmp_path / "q.jsonl").write_bytes(as_jsonl([row]))
    fields = {"passage": "ctx", "question": "ask.stem", "choices": ["opts.text"], "answer": "ok"}
    layout = Decontaminate(against=["q.jsonl"], fields=fields).layout("q.jsonl")
    found = read_benchmark(tmp_path / "q.jsonl", layout=layout)
    assert found.texts == ["A page.", "Why?", "So.", "Not so.", "So."]
    assert found.roles == [PASSAGE, QUESTION, CHOICE, CHOICE, ANSWER]


def test_files_of_different_layouts_are_told_apart_by_pattern():
    stage = Decontaminate(
        against=["a/mmlu/x.jsonl", "b.jsonl"], fields=["text"], layouts={"*/mmlu/*": "mmlu", "*": "gsm8k"}
    )
    assert stage.layout("a/mmlu/x.jsonl") == PRESETS["mmlu"]
    assert stage.layout("b.jsonl") == PRESETS["gsm8k"]
    assert Decontaminate(against=["b.jsonl"], fields=["text"]).layout("b.jsonl") == {"question": ("text",)}
    assert Decontaminate(against=["b.jsonl"]).layout("b.jsonl") is None
    listed = [{"files": "*/mmlu/*", "fields": "mmlu"}, {"files": "*", "fields": "gsm8k"}]
    assert Decontaminate(against=list(stage.against), fields=["text"], layouts=listed) == stage
    assert stage.params()["layouts"] == listed


ASKED = "In what year was the great iron tower of the city built by engineers and workers from abroad?"
OTHER_WORDS = "zzz yyy xxx www vvv uuu ttt sss rrr qqq ppp ooo nnn mmm"


@pytest.mark.parametrize(
    ("layouts", "documents"),
    [('{"*": {question: ask}, "mmlu/*": {question: note}}', 0),
     ('{"mmlu/*": {question: note}, "*": {question: ask}}', 1),
     ('[{files: "mmlu/*", fields: [note]}, {files: "*", fields: [ask]}]', 1)],
)  # fmt: skip
def test_the_first_pattern_that_fits_decides_in_a_build_and_is_recorded_first(tmp_path, layouts, documents):
    (tmp_path / "mmlu").mkdir()
    (tmp_path / "mmlu/q.jsonl").write_bytes(as_jsonl([{"note": ASKED, "ask": OTHER_WORDS}]))
    (tmp_path / "x.jsonl").write_bytes(as_jsonl([{"text": ASKED}, {"text": "something else"}]))
    recipe, steps = tmp_path / "recipe.yaml", f"{{against: [mmlu/q.jsonl], layouts: {layouts}}}"
    recipe.write_text(
        "name: a\nsources: [{name: s, read: jsonl, paths: [x.jsonl], steps: []}]\n"
        f"steps: [decontaminate: {steps}]\n"
    )
    build(make_plan(recipe, tmp_path / "out"), workers=1)
    manifest = CorpusManifest.read(tmp_path / "out")
    assert [each.n_documents for each in manifest.benchmarks] == [documents]
    recorded = manifest.recipe["steps"][0]["params"]["layouts"]
    assert [each["files"] for each in recorded] == re.findall(r"mmlu/\*|(?<![/])\*", layouts)


def test_the_order_of_patterns_is_part_of_the_key():
    pairs = [("*", "gsm8k"), ("mmlu*", "mmlu")]
    one, other = (
        digest_value(Decontaminate(against=["mmlu.jsonl"], layouts=dict(p)).params())
        for p in (pairs, pairs[::-1])
    )
    assert one != other


def test_moving_a_benchmark_changes_neither_result_nor_key(tmp_path):
    seen = []
    for folder in ("mmlu", "data"):
        file = tmp_path / "elsewhere" / folder / "test.jsonl"
        file.parent.mkdir(parents=True)
        file.write_bytes(as_jsonl([{"note": ASKED, "ask": OTHER_WORDS}]))
        layouts = {"*mmlu*": {"question": "ask"}, "*": {"question": "note"}}
        stage = Decontaminate(against=[str(file)], layouts=layouts)
        result = Corpus(tmp_path / folder, {"s": [[ASKED]]}).run(stage)
        seen.append((digest_value(stage.params()), result.verdicts()))
    assert seen[0] == seen[1]
    assert seen[0][1] == [[1]]


@pytest.mark.parametrize("pattern", ["*/mmlu/*", "mmul*"])
def test_a_pattern_that_fits_no_file_is_refused_with_the_names_it_was_compared_with(tmp_path, pattern):
    (tmp_path / "mmlu.jsonl").write_bytes(as_jsonl(ROWS))
    stage = Decontaminate(against=["mmlu.jsonl"], layouts={pattern: "mmlu", "*": "gsm8k"})
    with pytest.raises(RecipeError, match=r"fits one of mmlu\.jsonl, got \"" + re.escape(pattern)):
        stage.side_inputs(tmp_path)


@pytest.mark.parametrize(
    ("params", "says"),
    [({"fields": "gsm9k"}, "gsm8k"), ({"fields": {"questions": "q"}}, "expected keys among question"),
     ({"fields": {}}, "got none"), ({"layouts": {"*": "gsm9k"}}, "gsm8k"),
     ({"layouts": [{"files": "*", "fields": "gsm9k"}]}, "gsm8k"),
     ({"fields": []}, "the names of fields, got none"), ({"fields": {"question": []}}, "`question` with the names"),
     ({"fields": ["q", ""]}, "an empty name"), ({"layouts": {"*": {"answer": ""}}}, "an empty name")],
)  # fmt: skip
def test_a_layout_that_there_is_not_is_refused(params, says):
    with pytest.raises(pydantic.ValidationError, match=says):
        Decontaminate(against=["q.jsonl"], **params)


def read_with(tmp_path, rows, fields, name="q.jsonl"):
    """What the stage reads of files: rows by name, or those of one file."""
    files = rows if isinstance(rows, dict) else {name: rows}
    for each, values in files.items():
        (tmp_path / each).write_bytes(as_parquet(values) if each.endswith(".parquet") else as_jsonl(values))
    return read_benchmarks(Decontaminate(against=list(files), fields=fields), tmp_path)


def test_a_dot_reaches_into_every_item_of_a_list(tmp_path):
    choices = [{"text": "So.", "label": "A"}, {"text": "Not so.", "label": "B"}]
    rows = [{"question": {"stem": "Why?", "choices": choices}}]
    fields = {"question": "question.stem", "choices": "question.choices.text"}
    (found,) = read_with(tmp_path, rows, fields)
    assert found.texts == ["Why?", "So.", "Not so."]
    assert found.roles == [QUESTION, CHOICE, CHOICE]


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"question": "question", "choices": "chioces"}, r'named chioces in some row.*did you mean "choices"\?'),
     ({"question": "quesiton", "choices": "choices"}, r'named quesiton in some row.*did you mean "question"\?'),
     (["question", "prompt"], "named prompt"), (["qestion"], r'found none; did you mean "question"\?'),
     ({"question": "question", "choices": "choices.text"}, r"named choices\.text"), ("mmlu", "named answer")],
)  # fmt: skip
def test_a_named_field_that_no_row_has_stops_the_build(tmp_path, fields, says):
    with pytest.raises(UsageError, match=r"q\.jsonl: expected.*" + says):
        read_with(tmp_path, [{"question": "Why so?", "choices": ["a", "b"]}], fields)


def test_files_of_one_layout_may_differ_but_each_has_a_question(tmp_path):
    fields = {"question": ["question", "prompt"], "choices": "choices"}
    files = {"a.jsonl": [{"question": "Why?", "choices": ["a"]}], "b.jsonl": [{"prompt": "How?"}]}
    assert [found.texts for found in read_with(tmp_path, files, fields)] == [["Why?", "a"], ["How?"]]
    files["b.jsonl"] = [{"choices": ["a"]}]
    files["c.jsonl"] = [{"prompt": "How?"}]
    with pytest.raises(UsageError, match=r"b\.jsonl: expected a field named question or prompt"):
        read_with(tmp_path, files, fields)


def test_a_preset_is_content_with_one_of_its_names(tmp_path):
    (found,) = read_with(tmp_path, [{"prompt": "Write it.", "code": "pass"}], "mbpp")
    assert found.texts == ["Write it.", "pass"]


def test_bytes_and_maps_of_parquet_are_texts(tmp_path):
    schema = pa.schema([("question", pa.binary()), ("choices", pa.map_(pa.string(), pa.string()))])
    table = pa.table({"question": [b"Wer?"], "choices": [[("first", "Er."), ("b", "Sie.")]]}, schema)
    pq.write_table(table, tmp_path / "q.parquet")
    found = read_benchmark(tmp_path / "q.parquet")
    assert found.texts == ["Wer?", "first", "Er.", "b", "Sie."]
    layout = {"question": ("question",), "choices": ("choices.b",)}
    assert read_benchmark(tmp_path / "q.parquet", layout=layout).texts == ["Wer?", "Sie."]


def test_bytes_that_are_no_text_are_refused_unless_other_fields_are_named(tmp_path):
    rows = [{"question": "What is shown?", "image": b"\x89PNG\xff"}]
    with pytest.raises(UsageError, match=r"q\.parquet, item 0: expected text in UTF-8.*`fields`"):
        read_with(tmp_path, rows, None, "q.parquet")
    assert read_with(tmp_path, rows, ["question"], "q.parquet")[0].texts == ["What is shown?"]


def test_a_name_that_stands_twice_in_the_first_row_is_refused(tmp_path):
    (tmp_path / "q.csv").write_bytes(b"text,text\nfirst words,second words\n")
    with pytest.raises(UsageError, match=r'q\.csv: expected different names.*"text" 2 times'):
        read_benchmark(tmp_path / "q.csv")


def test_a_row_of_csv_may_be_short_or_long_or_blank_and_a_field_as_long_as_a_book(tmp_path):
    book, before = "word " * 40_000, csv.field_size_limit()
    (tmp_path / "q.csv").write_text(f'question,answer\n"Why?"\n\nHow?,So.,more,"{book}"\n')
    found = read_benchmark(tmp_path / "q.csv")
    assert (found.items, found.texts) == ([0, 1, 1, 1, 1], ["Why?", "How?", "So.", "more", book])
    assert csv.field_size_limit() == before


def test_a_number_of_thousands_of_digits_and_a_folder_are_refused_in_words(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "Why?", "answer": ' + "9" * 5000 + "}\n")
    with pytest.raises(UsageError, match=r"q\.jsonl:1: expected one JSON value"):
        read_benchmark(tmp_path / "q.jsonl")
    (tmp_path / "d.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"d\.jsonl: expected a benchmark.*Is a directory"):
        read_benchmark(tmp_path / "d.jsonl")
    with pytest.raises(RecipeError, match=r"expected files, got the folder d\.jsonl"):
        Decontaminate(against=["d.jsonl"]).side_inputs(tmp_path)


def test_a_value_nested_deeper_than_a_stack_is_refused_in_words(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"q":' * 100_000 + '"Why?"' + "}" * 100_000)
    with pytest.raises(UsageError, match="expected one JSON value"):
        read_benchmark(tmp_path / "q.jsonl")


BENCHMARKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "benchmarks"
LAYOUTS = {
    "gsm8k": "gsm8k/test.jsonl", "mmlu": "mmlu/mmlu_dev-1.jsonl.gz", "humaneval": "humaneval/HumanEval.jsonl.gz",
    "mbpp": "mbpp/mbpp.jsonl", "truthfulqa": "truthfulqa/TruthfulQA.csv", "boolq": "llm-foundry/boolq.jsonl",
    "arc_easy": "llm-foundry/arc_easy.jsonl", "arc_challenge": "llm-foundry/arc_challenge.jsonl",
    "piqa": "llm-foundry/piqa.jsonl", "hellaswag": "llm-foundry/hellaswag_small.jsonl",
    "winogrande": "llm-foundry/winogrande.jsonl", "winograd": "llm-foundry/winograd_wsc.jsonl",
    "copa": "llm-foundry/copa.jsonl", "lambada": "llm-foundry/lambada_openai.jsonl",
    "bigbench": "llm-foundry/bigbench_misconceptions.jsonl",
}  # fmt: skip


@pytest.mark.real
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_preset_finds_a_question_in_every_item_and_so_do_the_usual_names(name):
    if not BENCHMARKS.exists():
        pytest.skip("no ../shared/data")
    for layout in (PRESETS[name], None):
        found = read_benchmark(BENCHMARKS / LAYOUTS[name], layout=layout)
        asked = {i for i, role in zip(found.items, found.roles, strict=True) if role == QUESTION}
        assert layout is None or len(asked) == found.n_items
        assert (
            len({i for i, role in zip(found.items, found.roles, strict=True) if role != PASSAGE})
            == found.n_items
        )


@pytest.mark.parametrize(
    ("fields", "row", "said"),
    [
        (["question"], {"question": "", "stem": "What?"}, "expected a field named question in some row"),
        (
            ["question"],
            {"question": None, "stem": "What?"},
            "expected items with strings in question, found none. ",
        ),
        ("gsm8k", {"question": "Why?", "answer": None}, "Write what is there,  fields: {question: question}"),
    ],
)
def test_a_field_that_is_empty_throughout_is_not_reached(tmp_path, fields, row, said):
    (tmp_path / "q.jsonl").write_text(json.dumps({**row, "more": "text"}) + "\n")
    with pytest.raises(UsageError, match=re.escape(said)):
        read_benchmarks(Decontaminate(against=["q.jsonl"], fields=fields), tmp_path)


def test_columns_of_csv_without_a_name_are_looked_for_all_the_same(tmp_path):
    (tmp_path / "q.csv").write_text(",question,\n0,Why not?,said nobody\n")
    assert set(read_benchmark(tmp_path / "q.csv").texts) == {"0", "Why not?", "said nobody"}
    assert read_benchmark(tmp_path / "q.csv", layout={"question": ("question",)}).texts == ["Why not?"]
