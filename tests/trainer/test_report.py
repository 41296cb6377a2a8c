import json
import math
import re
import struct

import pytest
from toyrun import write_train

from manifests.errors import FormatError, QuernError
from trainer.charts import Series, svg_chart, text_chart, thinned, ticks
from trainer.guard import ENOUGH, MAX_BROKEN, SpikeGuard
from trainer.machine import Machine, resolve, usable_threads
from trainer.metrics import Diary, read_lines, rewind
from trainer.report import loss_curve_text, report_html
from trainer.run import open_run, train
from trainer.tensorboard import EventFile, crc32c


def test_the_report_is_one_file_with_four_plots_figures_and_samples(finished):
    page = (finished.path / "report.html").read_text()
    assert page.count("<svg") == 4
    assert not re.search(r"<script|<link|src=|href=|https?://", page)
    assert "token unigram" in page
    assert "byte bigram" in page
    assert f"{finished.metrics('evaluate')[-1]['macro']:.3f}" in page
    assert all(s["prompt"] in page for s in finished.samples())
    assert len(page) < 500_000


def test_what_a_model_wrote_cannot_become_markup(finished, tmp_path):
    with (finished.path / "samples.jsonl").open("rb") as file:
        before = file.read()
    try:
        with Diary(finished.path / "samples.jsonl") as diary:
            diary.write({"step": 24, "prompt": "<b>", "text": "<script>alert(1)</script>"})
        page = report_html(open_run(finished.path))
    finally:
        (finished.path / "samples.jsonl").write_bytes(before)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_loss_curve_in_a_terminal_falls_from_the_upper_left(finished):
    curve = loss_curve_text(finished.metrics()).splitlines()
    first, last = finished.metrics("step")[0]["loss"], finished.metrics("step")[-1]["loss"]
    assert f"{first:.3f} |*" in curve[0]
    assert sum(line.count("*") for line in curve) == 24
    assert curve[-3].startswith(" " * 9 + "+")
    assert last < first
    assert loss_curve_text([]) == ""


def test_a_curve_of_many_points_is_thinned_to_means_that_keep_its_sum():
    series = thinned(Series("x", list(range(5000)), [float(i % 7) for i in range(5000)]), 500)
    assert len(series.xs) == 500
    assert sum(series.ys) / 500 == pytest.approx(sum(i % 7 for i in range(5000)) / 5000)


def test_points_that_are_not_numbers_are_left_out_of_a_plot():
    assert "nan" not in svg_chart("t", [Series("a", [1, 2, 3], [1.0, math.nan, 2.0])], x_name="x").lower()
    assert svg_chart("t", [Series("a", [], [])], x_name="x") == ""
    assert text_chart([1], [5.0])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.1, 9.7), (2.5, 2.6), (1e-5, 2e-2), (0, 3e9), (4, 4)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert len(found) <= 7
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in found)


def test_a_diary_is_cut_back_to_a_step_and_loses_a_torn_line(tmp_path):
    path = tmp_path / "m.jsonl"
    with Diary(path) as diary:
        for step in (1, 2, 2, 3):
            diary.write({"kind": "step", "step": step, "loss": 0.1 + step})
    with path.open("ab") as file:
        file.write(b'{"kind": "step", "st')
    assert [m["step"] for m in read_lines(path)] == [1, 2, 2, 3]
    rewind(path, 2)
    assert [m["step"] for m in read_lines(path)] == [1, 2, 2]
    rewind(path, 0)
    assert path.read_bytes() == b""
    rewind(tmp_path / "none.jsonl", 5)


def test_a_damaged_line_inside_a_diary_is_an_error_not_a_gap(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(FormatError, match=r"m\.jsonl:2"):
        read_lines(path)


def test_losses_are_written_with_every_digit(tmp_path):
    with Diary(tmp_path / "m.jsonl") as diary:
        diary.write({"step": 1, "loss": 0.1 + 0.2, "broken": math.inf})
    line = json.loads((tmp_path / "m.jsonl").read_text())
    assert line["loss"] == 0.1 + 0.2
    assert line["broken"] is None


def test_the_guard_skips_a_spike_and_what_is_not_finite_and_learns_a_new_level():
    guard = SpikeGuard()
    for i in range(ENOUGH):
        assert guard.judge(3.0 + (i % 5) * 0.01, 1.0 + (i % 3) * 0.1) is None
    assert guard.judge(9.0, 1.0) == "loss_spike"
    assert guard.judge(3.0, 50.0) == "grad_spike"
    assert guard.judge(math.nan, 1.0) == guard.judge(3.0, math.inf) == "not_finite"
    verdicts = [guard.judge(9.0, 1.0) for _ in range(80)]
    assert verdicts[-1] is None


def test_the_guard_decides_after_a_resume_as_if_there_had_been_none():
    whole, first = SpikeGuard(), SpikeGuard()
    values = [(3.0 + (i * 7 % 11) * 0.02, 1.0 + (i % 4) * 0.1) for i in range(100)] + [(3.9, 1.0), (3.1, 2.1)]
    for loss, norm in values[:90]:
        whole.judge(loss, norm)
        first.judge(loss, norm)
    second = SpikeGuard()
    second.load(first.tensors())
    assert [whole.judge(*v) for v in values[90:]] == [second.judge(*v) for v in values[90:]]


def test_a_loss_that_stays_broken_stops_the_run():
    guard = SpikeGuard()
    for _ in range(MAX_BROKEN - 1):
        assert guard.judge(math.nan, 1.0) == "not_finite"
    with pytest.raises(QuernError, match="finite numbers"):
        guard.judge(math.nan, 1.0)


def test_a_rate_far_too_high_is_survived_and_its_skipped_steps_recorded(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path, optim={"name": "adamw", "lr": 1e30, "clip": None}, tokens=256 * 5)
    run = open_run(train(config, out=tmp_path / "run", say=lambda _: None))
    lines = run.metrics("step")
    assert [m["step"] for m in lines] == [1, 2, 3, 4, 5]
    assert lines[0]["skipped"] is None
    assert lines[-1]["skipped"] == "not_finite"
    assert None in (lines[-1]["loss"], lines[-1]["grad_norm"])


def test_threads_follow_the_environment_then_the_affinity_mask(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {4, 7, 9}, raising=False)
    assert usable_threads() == 3


def test_what_a_timing_chose_once_is_kept_while_the_device_is_the_same(toy, finished):
    from trainer.config import MachineConfig

    auto = MachineConfig(device="cpu")
    before = {"device": "cpu", "dtype": "bf16", "compile": True, "micro_batch": 3}
    found = resolve(auto, finished.shape, rows=8, n_tokens=10**6, before=before)
    assert (found.dtype, found.compile, found.micro_batch) == ("bf16", True, 3)
    other = resolve(auto, finished.shape, rows=8, n_tokens=10**6, before={**before, "device": "cuda"})
    assert isinstance(other, Machine)
    assert (other.compile, other.micro_batch) == (False, 8)


def test_event_files_hold_records_that_tensorboard_accepts(tmp_path):
    events = EventFile(tmp_path, step=0)
    events.scalars(7, {"loss": 2.5})
    events.close()
    data = next(tmp_path.iterdir()).read_bytes()
    records = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event, data, masked = data[12 : 12 + length], data[16 + length :], data[12 + length : 16 + length]
        crc = crc32c(event)
        assert struct.unpack("<I", masked)[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        records.append(event)
    assert b"brain.Event:2" in records[0]
    assert b"loss" in records[1]
    assert struct.pack("<f", 2.5) in records[1]
    assert crc32c(b"123456789") == 0xE3069283
