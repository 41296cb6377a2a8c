"""What builds at the edges: nothing to keep, steps that only look, damage between lines, faults without a record."""

import json
import mmap
import os

import pytest

from corpus_tools.explain import explain
from corpus_tools.status import done_rows
from corpus_tools.verify import verify_corpus
from manifests.commit import commit_bytes
from manifests.corpus import CorpusManifest
from manifests.errors import TaskError, UsageError
from manifests.receipt import Receipt, Tally
from pipelines.executor import build
from pipelines.memory import resident
from pipelines.plan import make_plan
from pipelines.store import Receipts, write_quarantine

RECIPE = """\
name: edges
sources:
  - {{name: web, read: jsonl, paths: ["in/*.jsonl"], steps: [{steps}]}}
steps: [{over_all}]
tokens: {{train: {{vocab_size: 300}}, holdout: 10%}}
"""
TEXTS = [" ".join(f"w{(7 * n + k) % 91}" for k in range(60)) for n in range(40)]


def recipe_in(folder, texts, *, steps="", over_all="exact"):
    (folder / "in").mkdir(parents=True, exist_ok=True)
    rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "in" / "a.jsonl").write_text(rows)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(steps=steps, over_all=over_all))
    return path


def built(recipe, out, *, workers=0):
    events = []
    build(make_plan(recipe, out, allow_code=True), workers=workers, on_event=events.append)
    return CorpusManifest.read(out), events


def test_a_corpus_of_no_documents_is_built_and_built_again(tmp_path):
    recipe = recipe_in(tmp_path, [])
    first, _ = built(recipe, tmp_path / "out")
    again, _ = built(recipe, tmp_path / "out")
    assert first.digest == again.digest
    assert (first.partitions, first.steps[0].dropped) == ([], {"empty_file": 1})
    assert verify_corpus(tmp_path / "out", deep=True).findings == []


def test_a_step_that_only_looks_changes_no_shard(tmp_path):
    twice = [*TEXTS, *TEXTS]
    bare, _ = built(recipe_in(tmp_path / "bare", twice, over_all=""), tmp_path / "bare" / "out")
    look = recipe_in(tmp_path / "look", twice, over_all="exact: {action: mark}")
    looked, _ = built(look, tmp_path / "look" / "out")
    assert next(s for s in looked.steps if s.name == "exact").marked["exact_duplicate"] >= 40
    assert looked.partitions == bare.partitions


@pytest.mark.parametrize("n_lines", [0, 1])
def test_a_pack_cut_between_two_lines_is_made_again(tmp_path, n_lines):
    recipe = recipe_in(tmp_path, TEXTS)
    whole, _ = built(recipe, tmp_path / "out")
    for ref in whole.receipts:
        path = tmp_path / "out" / ref.path
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:n_lines]))
    again, _ = built(recipe, tmp_path / "out")
    assert again.digest == whole.digest
    assert verify_corpus(tmp_path / "out", deep=True).findings == []


def test_a_fault_that_goes_on_without_its_record_fails_the_unit_and_not_for_ever(tmp_path):
    # It blames row 0 whatever it works on, so that setting row 0 aside does not help.
    (tmp_path / "rules.py").write_text(
        "import os\nfrom pipelines import heartbeat\ndef score(text):\n    heartbeat.at(0)\n    os._exit(3)\n"
    )
    recipe = recipe_in(tmp_path, TEXTS[:3], steps='{use: "./rules.py:score", min: 0.5}')
    with pytest.raises(TaskError, match=r"web: a\.jsonl: failed 3 times"):
        built(recipe, tmp_path / "out", workers=1)


def test_a_manifest_names_only_the_quarantine_of_its_own_units(tmp_path):
    recipe = recipe_in(tmp_path, TEXTS)
    alone, _ = built(recipe, tmp_path / "alone")
    out, task = tmp_path / "out", alone.parts[0].key
    write_quarantine(out, {"f" * 32: {(0, 0): "quarantined_crash"}})
    assert built(recipe, out)[0].digest == alone.digest
    out = tmp_path / "own"
    write_quarantine(out, {"f" * 32: {(0, 0): "quarantined_crash"}, task: {(0, 3): "quarantined_hang"}})
    own, _ = built(recipe, out)
    assert own.steps[0].dropped == {"quarantined_hang": 1}
    write_quarantine(out, {"e" * 32: {(0, 0): "quarantined_crash"}, task: {(0, 3): "quarantined_hang"}})
    assert verify_corpus(out, deep=True).findings == []
    assert built(recipe, out)[0].digest == own.digest


def test_an_output_made_again_with_another_size_is_found_by_its_own_receipt(tmp_path):
    def receipt(name, data):
        ref = commit_bytes(tmp_path, name, data)
        return Receipt("k" * 32, "web", "s" * 32, "a", 0, Tally(), {"part": ref})

    first = receipt("parts/k", b"first")
    Receipts(tmp_path).pack("p" * 32, [first])
    again = receipt("parts/k", b"and again")
    again.write(tmp_path)
    assert Receipts(tmp_path).get("k" * 32) == again


def test_of_two_packs_that_hold_a_task_the_one_made_from_the_standing_part_counts(tmp_path):
    ref = commit_bytes(tmp_path, "parts/k", b"part")
    for name, given in (("a" * 32, "new"), ("z" * 32, "old")):
        Receipts(tmp_path).pack(
            name, [Receipt("k" * 32, "web.2", "s" * 32, "u", 0, Tally(), {"part": ref}, {"given": given})]
        )
    for given in ("new", "old"):
        assert Receipts(tmp_path).get("k" * 32, given).facts["given"] == given
    assert Receipts(tmp_path).get("k" * 32, "never made") is None


def test_the_status_counts_no_unit_whose_part_was_made_anew(tmp_path):
    recipe = recipe_in(tmp_path, TEXTS, steps="save, gopher_quality: {min_words: 5}")
    plan, out = make_plan(recipe, tmp_path / "out"), tmp_path / "out"
    build(plan, workers=0)
    assert {row["state"] for row in done_rows(out, plan.describe())} == {"done"}
    key = plan.segments[0].units[0].key
    part = commit_bytes(out, f"parts/{key}.parquet", b"of other rows")
    Receipt(key, "web.1", plan.segments[0].step_key, "u", 0, Tally(), {"part": part}).write(out)
    rows = done_rows(out, plan.describe())
    assert [(row["step"], row["state"]) for row in rows if row["state"] == "done"] == [("web.1", "done")]


def test_a_function_of_the_users_own_is_explained_with_its_limits(tmp_path):
    (tmp_path / "rules.py").write_text("def score(text):\n    return float(len(text))\n")
    recipe = recipe_in(tmp_path, ["short", *TEXTS], steps='{use: "./rules.py:score", min: 10}')
    built(recipe, tmp_path / "out")
    lives = explain(tmp_path / "out", "a.jsonl", at_most=100)
    life = next(life for life in lives if "score_too_low" in life.outcome)
    (limit,) = [limit for step in life.steps for limit in step.limits if limit.reason == "score_too_low"]
    assert (limit.value, limit.limit) == (5.0, ">= 10.0")


def test_a_corpus_folder_that_is_a_file_is_refused_before_any_work(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="expected a folder to build into"):
        make_plan(recipe_in(tmp_path, TEXTS), tmp_path / "out")


def test_a_module_in_the_folder_one_builds_in_is_not_imported(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, TEXTS)
    (tmp_path / "numpy.py").write_text("raise SystemExit('this must not run')")
    monkeypatch.chdir(tmp_path)
    manifest, _ = built(recipe, tmp_path / "out", workers=1)
    assert manifest.steps[0].n_kept == 40


def test_a_store_may_be_called_corpora(tmp_path):
    recipe = recipe_in(tmp_path, TEXTS)
    manifest, _ = built(recipe, tmp_path / "corpora")
    assert verify_corpus(tmp_path / "corpora").findings == []
    named = tmp_path / "corpora" / "corpora" / f"{manifest.digest}.json"
    assert manifest.root(named) == tmp_path / "corpora"


def test_mapped_files_do_not_count_as_memory_of_a_child(tmp_path):
    path = tmp_path / "scratch"
    path.write_bytes(b"x" * (64 << 20))
    before = resident(os.getpid())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert sum(view[at] for at in range(0, len(view), 4096)) > 0
        assert resident(os.getpid()) - before < 32 << 20


def test_a_list_that_changes_makes_its_step_new(tmp_path):
    recipe = recipe_in(tmp_path, TEXTS, steps="url: {shipped: [], domains: [bad.txt]}")
    (tmp_path / "bad.txt").write_text("example.org\n")
    first = make_plan(recipe, tmp_path / "out")
    (tmp_path / "bad.txt").write_text("# the same names, another file\nexample.org\n")
    again = make_plan(recipe, tmp_path / "out")
    assert first.segments[0].step_key != again.segments[0].step_key
    assert first.key != again.key
