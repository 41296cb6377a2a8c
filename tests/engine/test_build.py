"""A build gives the same bytes however it runs, does nothing twice, and survives what it meets."""

import json
import os
import re
import shutil
import signal
from fractions import Fraction
from pathlib import Path

import pytest

import pipelines.plan
from corpus_tools.explain import explain
from corpus_tools.verify import verify_corpus
from manifests.corpus import CorpusManifest
from manifests.errors import TaskError, UsageError
from manifests.receipt import read_pack
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.pool import Limits
from pipelines.store import Receipts, locked, quarantined
from tests.engine.small import (
    children_of,
    kill_build,
    make_input,
    page_html,
    run_build,
    start_build,
    unnamed_files,
    write_recipe,
)


@pytest.fixture(autouse=True)
def _one_file_a_unit(monkeypatch):
    monkeypatch.setattr(pipelines.plan, "GROUP_BYTES", 1)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Input, recipe, and the corpus an uninterrupted build in one process makes of it."""
    folder = tmp_path_factory.mktemp("reference")
    make_input(folder)
    recipe = write_recipe(folder)
    run_build(recipe, folder / "out", workers=1)
    return folder


def build_events(recipe, out, *, workers=0, sample=None, limits=None):
    events = []
    plan = make_plan(recipe, out, sample=sample, allow_code=True)
    build(plan, workers=workers, limits=limits, on_event=events.append)
    return events


def done(events):
    return [e for e in events if e["kind"] == "unit_done"]


def corpus_bytes(out):
    return (out / "corpus.json").read_bytes()


def test_every_document_is_kept_or_dropped_with_a_reason(reference):
    manifest = CorpusManifest.read(reference / "out")
    steps = {s.name: s for s in manifest.steps}
    assert steps["read"].n_read == 6 * (1 + 2 * 12)
    assert steps["read"].dropped == {"request": 72, "warcinfo": 6}
    assert steps["gopher_quality"].dropped["too_few_words"] == 6
    assert steps["exact"].dropped["exact_duplicate"] > 0
    for before, after in zip(manifest.steps, manifest.steps[1:], strict=False):
        assert before.n_kept == after.n_read
    for ref in manifest.receipts:
        for receipt in read_pack(reference / "out" / ref.path):
            receipt.tally.check("here")
            assert receipt.verifies(reference / "out", deep=True)


def test_the_manifest_names_every_file_with_its_digest(reference):
    manifest = CorpusManifest.read(reference / "out")
    for _, ref in manifest.files():
        ref.check(reference / "out", deep=True)
    assert unnamed_files(reference / "out") == []


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_any_number_of_workers_writes_the_same_manifest(reference, tmp_path, workers):
    build_events(reference / "recipe.yaml", tmp_path / "out", workers=workers)
    assert corpus_bytes(tmp_path / "out") == corpus_bytes(reference / "out")


def test_hash_seed_locale_time_zone_and_place_change_nothing(reference, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(reference / "crawl", moved / "crawl")
    recipe = write_recipe(moved)
    run_build(recipe, moved / "out", PYTHONHASHSEED="7", LC_ALL="C", TZ="Asia/Kathmandu", LANG="C")
    assert corpus_bytes(moved / "out") == corpus_bytes(reference / "out")


def test_building_again_runs_nothing(reference):
    events = build_events(reference / "recipe.yaml", reference / "out", workers=2)
    assert not [e for e in events if e["kind"] == "unit_done"]


def test_a_changed_threshold_reads_no_html_and_a_changed_gather_rewrites_no_part(reference, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reference / "out", out)
    shutil.copytree(reference / "crawl", tmp_path / "crawl")
    recipe = write_recipe(tmp_path, min_words=60)
    ran = {e["step"] for e in build_events(recipe, out, workers=1) if e["kind"] == "unit_done"}
    assert "web.1" not in ran
    assert "web.2" in ran
    recipe = write_recipe(tmp_path, min_words=60, bands=9)
    ran = {e["step"] for e in build_events(recipe, out, workers=1) if e["kind"] == "unit_done"}
    assert not any(step.startswith(("web", "exact")) for step in ran)
    assert "minhash/sign" in ran
    for digest in (CorpusManifest.read(reference / "out").digest, CorpusManifest.read(out).digest):
        old = CorpusManifest.read(out / "corpora" / f"{digest}.json")
        for _, ref in old.files():
            ref.check(out, deep=True)


def test_a_file_added_to_a_source_leaves_the_other_units_as_they_are(reference, tmp_path):
    shutil.copytree(reference / "out", tmp_path / "out")
    shutil.copytree(reference / "crawl", tmp_path / "crawl")
    make_input(tmp_path / "more", n_files=1)
    shutil.copy(tmp_path / "more" / "crawl" / "0.warc.gz", tmp_path / "crawl" / "00.warc.gz")
    recipe = write_recipe(tmp_path)
    events = build_events(recipe, tmp_path / "out", workers=1)
    assert [e["unit"] for e in events if e["kind"] == "unit_done" and e["step"] == "web.1"] == ["00.warc.gz"]


@pytest.mark.parametrize(("after", "delay"), [(0, 1.0), (3, 0.0), (9, 0.01), (16, 0.0), (30, 0.05)])
def test_a_killed_build_goes_on_and_writes_the_same_manifest(reference, tmp_path, after, delay):
    out = tmp_path / "out"
    seen = kill_build(start_build(reference / "recipe.yaml", out), after, delay)
    again = run_build(reference / "recipe.yaml", out)
    assert corpus_bytes(out) == corpus_bytes(reference / "out")
    assert unnamed_files(out) == []
    done = [(e["step"], e["unit"]) for e in seen if e["kind"] == "unit_done"]
    assert not set(done) & {(e["step"], e["unit"]) for e in again if e["kind"] == "unit_done"}


@pytest.mark.parametrize("pack", [0, 1, 2, 3])
def test_a_build_killed_between_packing_receipts_and_removing_them_leaves_none_behind(
    reference, tmp_path, monkeypatch, pack
):
    out = tmp_path / "out"
    packed = []

    def die_after_packing(receipts, keys):
        packed.append(list(keys))
        if len(packed) == pack + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Receipts, "forget", die_after_packing)
        with pytest.raises(KeyboardInterrupt):
            build_events(reference / "recipe.yaml", out)
    assert list((out / "receipts").glob("*.json"))
    build_events(reference / "recipe.yaml", out)
    assert corpus_bytes(out) == corpus_bytes(reference / "out")
    assert unnamed_files(out) == []


def wait_for(process, kind):
    while json.loads(process.stdout.readline())["kind"] != kind:
        pass


def test_one_killed_worker_costs_its_unit_a_retry(reference, tmp_path):
    process = start_build(reference / "recipe.yaml", tmp_path / "out")
    wait_for(process, "unit_done")
    children = children_of(process.pid)
    os.kill(children[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert corpus_bytes(tmp_path / "out") == corpus_bytes(reference / "out")


def test_workers_die_with_their_parent(reference, tmp_path):
    process = start_build(reference / "recipe.yaml", tmp_path / "out")
    wait_for(process, "unit_done")
    children = children_of(process.pid)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for child in children:
        for _ in range(100):
            if not is_alive(child):
                break
            signal.sigtimedwait([], 0.05)
        assert not is_alive(child)
    process.stdout.close()
    process.stderr.close()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupt_lets_units_end_and_exits_with_130(reference, tmp_path, workers):
    process = start_build(reference / "recipe.yaml", tmp_path / "out", workers)
    wait_for(process, "unit_done" if workers else "step")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from here" in stderr
    run_build(reference / "recipe.yaml", tmp_path / "out")
    assert corpus_bytes(tmp_path / "out") == corpus_bytes(reference / "out")


HOSTILE = """
import os, time
def score(text):
    if "{word}" in text:
        {fault}
    return 1.0
"""


def test_a_record_that_kills_after_a_save_is_dropped_with_a_reason(tmp_path):
    make_input(tmp_path, n_files=1)
    word = re.findall(r"word\d+", page_html(4).decode())[0]
    (tmp_path / "rules.py").write_text(HOSTILE.format(word=word, fault="os._exit(3)"))
    recipe = write_recipe(tmp_path, extra=', {use: "./rules.py:score", min: 0.5}')
    build_events(recipe, tmp_path / "out", workers=1)
    manifest = CorpusManifest.read(tmp_path / "out")
    assert [(s.kind, s.dropped) for s in manifest.steps if s.name == "save"] == [
        ("save", {"quarantined_crash": 1})
    ]
    lives = explain(tmp_path / "out", "0.warc.gz", at_most=100)
    (life,) = [life for life in lives if "quarantined_crash" in life.outcome]
    assert life.outcome == "dropped by save: quarantined_crash"
    assert [(s.step, s.outcome) for s in life.steps if s.outcome == "dropped"] == [("save", "dropped")]


@pytest.mark.parametrize("lost", ["web.1", "web.2"])
def test_what_read_a_part_is_made_again_when_the_part_comes_out_otherwise(tmp_path, lost):
    make_input(tmp_path, n_files=1)
    word = re.findall(r"word\d+", page_html(4).decode())[0]
    switch = tmp_path / "ill"
    fault = f"os.path.exists({str(switch)!r}) and os._exit(3)"
    (tmp_path / "rules.py").write_text(HOSTILE.format(word=word, fault=fault))
    rule = '{use: "./rules.py:score", min: 0.5}'
    recipe = write_recipe(tmp_path, extra=f", {rule}" if lost == "web.2" else "")
    if lost == "web.1":
        recipe.write_text(recipe.read_text().replace("extract, save", f"extract, {rule}, save"))
    build_events(recipe, tmp_path / "out", workers=1)
    manifest = CorpusManifest.read(tmp_path / "out")
    for part in (p for p in manifest.parts if p.step == lost):
        (tmp_path / "out" / part.part.path).unlink()
    switch.touch()
    build_events(recipe, tmp_path / "out", workers=1)
    assert verify_corpus(tmp_path / "out", deep=True).findings == []
    assert not [e for e in build_events(recipe, tmp_path / "out", workers=1) if e["kind"] == "unit_done"]
    (tmp_path / "out" / "runs" / "quarantine.json").unlink()
    digest = CorpusManifest.read(tmp_path / "out").digest
    build_events(recipe, tmp_path / "out", workers=1)
    assert CorpusManifest.read(tmp_path / "out").digest == digest
    (final,) = [p for p in CorpusManifest.read(tmp_path / "out").parts if p.final]
    (before,) = [p for p in manifest.parts if p.final]
    assert final.key == before.key
    assert final.n_docs == before.n_docs - 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("os._exit(3)", "quarantined_crash"),
        ("time.sleep(60)", "quarantined_hang"),
        ("bytearray(1 << 62)", "quarantined_memory"),
    ],
)
def test_a_record_that_kills_or_hangs_is_dropped_with_a_reason_and_its_unit_goes_on(tmp_path, fault, reason):
    make_input(tmp_path, n_files=2)
    word = re.findall(r"word\d+", page_html(4).decode())[0]
    (tmp_path / "rules.py").write_text(HOSTILE.format(word=word, fault=fault))
    recipe = write_recipe(tmp_path, extra=', {use: "./rules.py:score", min: 0.5}')
    recipe.write_text(recipe.read_text().replace("save, ", ""))
    first = build_events(recipe, tmp_path / "out", workers=2, limits=Limits(record_seconds=2))
    assert [e for e in first if e["kind"] == "quarantine"]
    manifest = CorpusManifest.read(tmp_path / "out")
    read = next(s for s in manifest.steps if s.name == "read")
    n_bad = sum(len(places) for places in quarantined(tmp_path / "out").values())
    assert read.dropped[reason] == n_bad > 0
    assert read.n_read == 2 * (1 + 2 * 12)
    # The verdict stands: a build of another threshold asks no clock again.
    before = corpus_bytes(tmp_path / "out")
    events = build_events(recipe, tmp_path / "out", workers=2)
    assert not [e for e in events if e["kind"] in ("retry", "quarantine")]
    assert corpus_bytes(tmp_path / "out") == before


def test_a_failing_unit_leaves_the_others_and_stops_before_the_next_barrier(tmp_path):
    make_input(tmp_path, n_files=3)
    rules = tmp_path / "rules.py"
    rules.write_text(
        "def score(text):\n    if 'word1' in text:\n        raise ValueError('boom')\n    return 1.0\n"
    )
    recipe = write_recipe(tmp_path, extra=', {use: "./rules.py:score", min: 0.5}')
    with pytest.raises(TaskError, match="boom"):
        build_events(recipe, tmp_path / "out", workers=2)
    assert not (tmp_path / "out" / "corpus.json").exists()
    rules.write_text("def score(text):\n    return 1.0\n")
    events = build_events(recipe, tmp_path / "out", workers=2)
    assert not [e for e in events if e["kind"] == "unit_done" and e["step"] == "web.1"]


def test_a_sample_goes_through_to_shards_and_the_whole_build_reads_none_of_it_again(reference, tmp_path):
    out = tmp_path / "out"
    first = build_events(reference / "recipe.yaml", out, workers=1, sample=Fraction(1, 3))
    manifest = CorpusManifest.read(out / "sample")
    assert manifest.sample == "1/3"
    assert sum(p.n_tokens for p in manifest.partitions) > 0
    for _, ref in manifest.files():
        ref.check(manifest.root(out / "sample"), deep=True)
    second = build_events(reference / "recipe.yaml", out, workers=1)
    assert corpus_bytes(out) == corpus_bytes(reference / "out")
    units = [
        {(e["step"], e["unit"]) for e in done(es) if e["step"].startswith("web")} for es in (first, second)
    ]
    assert units[0]
    assert not units[0] & units[1]


def test_two_builds_of_one_store_are_refused(reference, tmp_path):
    with locked(tmp_path), pytest.raises(UsageError, match="another build"):
        build_events(reference / "recipe.yaml", tmp_path)


def test_a_lost_or_damaged_output_is_made_again(reference, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reference / "out", out)
    manifest = CorpusManifest.read(out)
    (out / manifest.parts[0].part.path).unlink()
    (out / manifest.receipts[1].path).write_bytes(b"damaged\n")
    (out / "runs" / "inputs.json").write_bytes(b"[]")
    build_events(reference / "recipe.yaml", out, workers=1)
    assert corpus_bytes(out) == corpus_bytes(reference / "out")
    for _, ref in CorpusManifest.read(out).files():
        ref.check(out, deep=True)


def test_the_plan_is_written_for_people_who_ask_for_the_status(reference):
    rows = json.loads((reference / "out" / "runs" / "plan.json").read_bytes())
    assert rows["key"] == CorpusManifest.read(reference / "out").key
    assert [r["step"] for r in rows["steps"]] == ["web.1", "web.2", "exact", "minhash", "tokens"]
