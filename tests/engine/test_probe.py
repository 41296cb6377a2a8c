"""A forecast is right where the costs follow its model: what a worker's first unit adds is not paid by every unit."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

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
    units = [(segment.name, u.label, i, u.n_bytes) for i, u in enumerate(segment.units)]
    for step in ("exact/sign", "exact/verdict", "tokens/measure", "tokens/sample", "tokens/encode"):
        units += [(step, f"{step} {i}", i, u.n_bytes) for i, u in enumerate(segment.units)]
    units.append(("tokens/tokenizer", "tokenizer", 0, kept))
    events = [{"kind": "plan", "step": "plan", "key": plan.key, "time": 0.0}]
    events.append({"kind": "warm", "step": "kernels", "n_units": 2, "time": 1.0})
    events.append({"kind": "step", "step": segment.name, "time": 61.0})
    clock, met = 61.0 + IDLE - 1.4, {}
    for step, label, index, n_bytes in units:
        first = met.get(step, 0) < WORKERS and step != "tokens/tokenizer"
        met[step] = met.get(step, 0) + 1
        took = seconds(step, n_bytes, first)
        clock += took
        cost = {"time": clock, "seconds": took, "first": first, "written": n_bytes, "bytes_kept": n_bytes}
        events.append({"kind": "unit_done", "step": step, "unit": label, "index": index, **cost})
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
    events = [{"kind": "plan", "step": "plan", "key": plan.key, "time": 0.0}]
    for segment in plan.segments:
        took = of_each[int(segment.source[1:])]
        cost = {
            "time": events[-1]["time"] + took,
            "seconds": took,
            "first": True,
            "written": 1,
            "bytes_kept": 1,
        }
        events.append(
            {"kind": "unit_done", "step": segment.name, "unit": segment.units[0].label, "index": 0, **cost}
        )
    (plan.root / "runs" / "build-2020.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    assert forecast(plan, [plan, plan], WORKERS).seconds == pytest.approx(expected)
    assert forecast(plan, [plan, plan], 1).seconds == pytest.approx(sum(of_each) * len(plan.segments) / 6)
