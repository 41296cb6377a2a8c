"""A forecast is right where the costs follow its model: what a worker's first unit adds is not paid by every unit."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from pipelines.executor import build
from pipelines.plan import make_plan, sampled
from pipelines.probe import forecast

N_FILES = 60
WORKERS = 2
COLD, RATE = 1.5, 2e-5
"""Seconds: of a worker's first unit of a step, and of a byte."""
ALONE = 1e-3
"""The tokenizer's seconds: this times the bytes to the power 0.8."""
IDLE = 3.0
"""Seconds of every build in which no unit runs, 0.4 of them to load two kernels; to compile them took a minute."""

RECIPE = """\
name: costs
sources:
  - {name: web, read: jsonl, paths: ["in/*.jsonl"]}
steps: [exact]
tokens: {train: {vocab_size: 300}}
"""


def seconds(step, n_bytes, workers_first):
    if step == "tokens/tokenizer":
        return ALONE * n_bytes**0.8
    return COLD * workers_first + RATE * n_bytes


def write_log(plan):
    """The log of a build whose units ran one after the other, cost what the model says, and compiled kernels first.

    Returns the bytes, the seconds without first units' surplus, and the number of steps that pay it.
    """
    [segment] = plan.segments
    kept = sum(u.n_bytes for u in segment.units)
    units = [(segment.name, u.key, i, u.n_bytes) for i, u in enumerate(segment.units)]
    for step in ("exact/sign", "exact/verdict", "tokens/measure", "tokens/sample", "tokens/encode"):
        units += [(step, f"{step} {i}", i, u.n_bytes) for i, u in enumerate(segment.units)]
    units.append(("tokens/tokenizer", "tokenizer", 0, kept))
    events = [{"kind": "plan", "step": "plan", "key": plan.key, "time": 0.0}]
    events.append({"kind": "warm", "step": "kernels", "n_units": 2, "time": 1.0})
    events.append({"kind": "step", "step": segment.name, "time": 61.0})
    clock, met = 61.0 + IDLE - 1.4, {}
    for step, key, index, n_bytes in units:
        first = met.get(step, 0) < WORKERS and step != "tokens/tokenizer"
        met[step] = met.get(step, 0) + 1
        took = seconds(step, n_bytes, first)
        clock += took
        cost = {"time": clock, "seconds": took, "first": first, "written": n_bytes, "bytes_kept": n_bytes}
        events.append({"kind": "unit_done", "step": step, "key": key, "index": index, **cost})
    log = plan.root / "runs" / f"build-2020-{len(segment.units):05d}.jsonl"
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    return kept, sum(seconds(s, n, 0) for s, _, _, n in units), len(set(met) - {"tokens/tokenizer"})


def test_a_forecast_finds_the_costs_that_a_log_was_written_with(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for i in range(N_FILES):
        rows = [json.dumps({"text": f"file {i} row {k} " + "word " * (20 + i)}) for k in range(20)]
        (tmp_path / "in" / f"{i:02d}.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    monkeypatch.setattr("pipelines.plan.GROUP_BYTES", 1)  # every file is a unit
    plan = make_plan(tmp_path / "recipe.yaml", tmp_path / "out")
    assert len(plan.final_units) == N_FILES
    samples = [sampled(plan, Fraction(1, n)) for n in (12, 4)]
    for sample in samples:
        write_log(sample)
    found = forecast(plan, samples, WORKERS, before=2.0)
    kept, warm, n_shared = write_log(plan)
    alone = seconds("tokens/tokenizer", kept, 0)
    expected = 2.0 + IDLE + alone + (warm - alone) / WORKERS + n_shared * COLD
    assert found.seconds == pytest.approx(expected, rel=0.02)
    by_step = {cost.step: cost.core_seconds for cost in found.steps}
    assert by_step["tokens/tokenizer"] == pytest.approx(alone, rel=0.01)
    assert by_step["exact/sign"] == pytest.approx(RATE * kept + COLD * WORKERS, rel=0.01)


SIX = "name: six\nsources:\n" + "".join(
    f'  - {{name: s{i}, read: jsonl, paths: ["in/{i}.jsonl"], steps: [fineweb_quality{{save}}]}}\n'
    for i in range(6)
)


def log_units(plan, seconds, *, log="build-2020.jsonl"):
    """The log of a build of a plan's segments, whose units took `seconds` by segment, one after the other."""
    events = [{"kind": "plan", "step": "plan", "key": plan.key, "time": 0.0}]
    for segment in plan.segments:
        for index, unit in enumerate(segment.units):
            took, at = seconds[segment.name], events[-1]["time"] + seconds[segment.name]
            cost = {"time": at, "seconds": took, "first": True, "written": 1, "bytes_kept": 1}
            of = {"step": segment.name, "unit": unit.label, "key": unit.key, "index": index}
            events.append({"kind": "unit_done", **of, **cost})
    (plan.root / "runs" / log).write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize(
    ("save", "of_each", "expected"),
    [
        ("", [4.0] * 6, 6 * 4.0 / WORKERS),
        (", save, c4_paragraphs", [4.0] * 6, 2 * 6 * 4.0 / WORKERS),
        ("", [60.0, 1.0, 1.0, 1.0, 1.0, 1.0], 60.0),
        (", save, c4_paragraphs", [60.0, 1.0, 1.0, 1.0, 1.0, 1.0], 120.0),
    ],
)
def test_sources_of_one_unit_are_reckoned_as_a_build_runs_them_together(tmp_path, save, of_each, expected):
    (tmp_path / "in").mkdir()
    for i in range(6):
        (tmp_path / "in" / f"{i}.jsonl").write_text(json.dumps({"text": f"file {i}"}) + "\n")
    (tmp_path / "recipe.yaml").write_text(SIX.replace("{save}", save))
    plan = make_plan(tmp_path / "recipe.yaml", tmp_path / "out")
    log_units(plan, {segment.name: of_each[int(segment.source[1:])] for segment in plan.segments})
    assert forecast(plan, [plan, plan], WORKERS).seconds == pytest.approx(expected)
    assert forecast(plan, [plan, plan], 1).seconds == pytest.approx(sum(of_each) * len(plan.segments) / 6)


ONE = """\
name: one
sources:
  - {name: web, read: jsonl, paths: ["in/*.jsonl"], steps: [%s]}
"""


def planned(folder, steps):
    (folder / "recipe.yaml").write_text(ONE % steps)
    return make_plan(folder / "recipe.yaml", folder / "out")


def test_what_another_recipe_in_the_store_cost_is_not_taken_for_what_this_one_does(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps({"text": "one"}) + "\n")
    other, plan = planned(tmp_path, "gopher_repetition: {words: spacy}"), planned(tmp_path, "c4_paragraphs")
    log_units(plan, {"web": 2.0}, log="build-2020.jsonl")
    log_units(other, {"web": 50.0}, log="build-2021.jsonl")
    assert forecast(plan, [plan, plan], 1).seconds == pytest.approx(2.0)
    assert forecast(other, [other, other], 1).seconds == pytest.approx(50.0)
    # What both do alike is known from either, though a `save` behind it gives it another name.
    longer = planned(tmp_path, "c4_paragraphs, save, fineweb_quality")
    assert {s.step: s.core_seconds for s in forecast(longer, [longer, longer], 1).steps} == {
        "web.1": pytest.approx(2.0),
        "web.2": 0.0,
    }


def test_a_build_writes_the_key_of_every_unit_into_its_log(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps({"text": "one"}) + "\n")
    plan = planned(tmp_path, "c4_paragraphs")
    build(plan, workers=1)
    [log] = (plan.root / "runs").glob("build-*.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    keys = [event["key"] for event in events if event["kind"] == "unit_done"]
    assert keys == [unit.key for _, unit in plan.final_units]
    assert forecast(plan, [plan, plan], 1).steps[0].core_seconds > 0
