"""What a store says of itself when something in it was cut, damaged, left by a killed build, or is only a sample."""

import json
from fractions import Fraction

import pytest
from click.testing import CliRunner

from corpus_tools.cli import main
from corpus_tools.status import done_rows, look, status_text
from corpus_tools.verify import verify_corpus
from manifests.corpus import find_manifest
from manifests.errors import MissingFileError
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.probe import probe
from pipelines.store import locked, new_spill

RECIPE = """\
name: state
sources:
  - {name: web, read: jsonl, paths: ["in/*.jsonl"]}
steps: [exact]
tokens: {train: {vocab_size: 300}}
"""


def recipe_in(folder, n_docs=40):
    (folder / "in").mkdir()
    rows = [{"text": " ".join(f"w{(7 * n + k) % 91}" for k in range(60))} for n in range(n_docs)]
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


@pytest.fixture
def plan(tmp_path):
    plan = make_plan(recipe_in(tmp_path), tmp_path / "out")
    build(plan, workers=0)
    return plan


def states(plan):
    return {row["step"]: row["state"] for row in done_rows(plan.root, plan.describe())}


def test_a_pack_cut_between_two_lines_is_not_done(plan):
    tokens = plan.root / "receipts" / f"{plan.tokens.step_key}.jsonl"
    lines = tokens.read_bytes().splitlines(keepends=True)
    assert len(lines) > 1  # the tokenizer's and the shards'
    for left in (lines[:1], lines[1:]):
        tokens.write_bytes(b"".join(left))
        assert states(plan) == {"web": "done", "exact": "done", "tokens": "begun"}
    tokens.write_bytes(b"".join(lines))
    assert states(plan)["tokens"] == "done"


def test_a_corpus_of_no_documents_is_done_and_nothing_of_it_runs_again(tmp_path):
    plan = make_plan(recipe_in(tmp_path, n_docs=0), tmp_path / "out")
    build(plan, workers=0)
    assert set(states(plan).values()) == {"done"}
    events = []
    build(plan, workers=1, on_event=events.append)
    assert not [e for e in events if e["kind"] == "unit_done"]


def test_looking_at_a_store_removes_nothing(plan):
    pack = plan.root / "receipts" / f"{plan.tokens.step_key}.jsonl"
    pack.write_bytes(b"damaged\n")
    (plan.root / "receipts" / f"{'a' * 32}.json").write_bytes(b"damaged\n")
    before = sorted(plan.root.rglob("*"))
    assert states(plan)["tokens"] == "new"
    assert sorted(plan.root.rglob("*")) == before


@pytest.mark.parametrize("data", [b"", b'{"steps": [{"st', b"[]", b"3", b"\xff\xfe", b'{"steps": 3}'])
def test_a_damaged_plan_is_no_plan_and_the_status_says_so(plan, data):
    (plan.root / "runs" / "plan.json").write_bytes(data)
    state = look(plan.root)
    assert (state["plan"], state["steps"], state["corpus"]["name"]) == ("unreadable", [], "state")
    assert "runs/plan.json is damaged" in status_text(state)
    build(plan, workers=0)
    assert look(plan.root)["finished"]


def test_a_store_that_holds_only_a_sample_says_where_it_is(tmp_path):
    out = tmp_path / "out"
    build(make_plan(recipe_in(tmp_path), out, sample=Fraction(1, 2)), workers=0)
    with pytest.raises(MissingFileError, match=r"found only a sample of one. Name .*out/sample "):
        find_manifest(out)
    told = CliRunner().invoke(main, ["verify", str(out)])
    assert (told.exit_code, str(out / "sample") in told.stderr.replace("\n", "")) == (1, True)
    assert verify_corpus(out / "sample").findings == []
    text = status_text(look(out))
    assert "a sample is finished, and no whole corpus" in text
    assert f"in {out}/sample" in text
    assert status_text(look(out / "sample")).startswith(f"{out}/sample: finished")


def test_what_a_killed_task_spilled_is_removed_with_the_next_build(tmp_path):
    spill = new_spill(tmp_path)
    (spill / "rows").write_bytes(b"of a killed task")
    with locked(tmp_path):
        assert not spill.exists()


def test_a_probe_reads_over_a_line_that_was_cut(tmp_path):
    plan = make_plan(recipe_in(tmp_path), tmp_path / "out")
    for name, line in (("1", b'{"kind": "plan", "step": "pl'), ("2", b"\xff\n[]\n")):
        (plan.root / "runs" / f"build-20200101T000000-{name}.jsonl").write_bytes(line)
    assert probe(plan, 0.1, workers=1).seconds > 0
