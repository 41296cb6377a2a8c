"""Benchmarks in every format read and in every layout known give the same items, texts and roles."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest

from manifests.errors import UsageError
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


@pytest.mark.parametrize(
    ("params", "says"),
    [({"fields": "gsm9k"}, "gsm8k"), ({"fields": {"questions": "q"}}, "expected keys among question"),
     ({"fields": {}}, "got none"), ({"layouts": {"*": "gsm9k"}}, "gsm8k")],
)  # fmt: skip
def test_a_layout_that_there_is_not_is_refused(params, says):
    with pytest.raises(pydantic.ValidationError, match=says):
        Decontaminate(against=["q.jsonl"], **params)


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
