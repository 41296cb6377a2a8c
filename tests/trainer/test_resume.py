import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from toyrun import write_train

from manifests.errors import ConfigError, MissingFileError, Stopped, UsageError
from trainer.checkpoint import load_newest, saved_steps
from trainer.run import open_run, train

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def quiet(_: str) -> None:
    return None


def losses(run: Path) -> list[tuple[int, float]]:
    return [(m["step"], m["loss"]) for m in open_run(run).metrics("step")]


def fresh(toy: Path, tmp_path: Path, **changes) -> Path:
    """The toy's files in a folder of their own, the corpus shared."""
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    return write_train(tmp_path, **changes)


def start(config: Path, run: Path, *extra: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "trainer", str(config), "--out", str(run), *extra]
    return subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, start_new_session=True)


def kill_at_step(process: subprocess.Popen[bytes], run: Path, step: int, *, delay: float = 0.0) -> str | None:
    """Kill a run and all it started `delay` seconds after the diary has reached `step`.

    Returns what it had said, None where it had ended by itself.
    """
    while process.poll() is None and count_lines(run) < step:
        time.sleep(0.002)
    time.sleep(delay)
    # torchrun gives each rank a process group of its own: one that is left would go on and end the run.
    for pid in [process.pid, *started_by(process.pid)] if process.poll() is None else []:
        os.kill(pid, signal.SIGKILL)
    _, said = process.communicate()
    return said.decode() if process.returncode == -signal.SIGKILL else None


def started_by(pid: int) -> list[int]:
    """The processes that `pid` has started, and those that they have."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    children = [child for child, parent in pairs if parent == pid]
    return [*children, *(below for child in children for below in started_by(child))]


def kill_while_saving(process: subprocess.Popen[bytes], run: Path, *, delay: float = 0.0) -> str | None:
    """Kill a run `delay` seconds into the writing of a checkpoint; what it had said, None where none was cut off.

    It is stopped first and looked at, so a checkpoint that was whole by then costs no kill: the next is waited for.
    """
    while process.poll() is None and is_saving(run):
        time.sleep(0.0002)  # what an earlier kill cut off is written again first
    while process.poll() is None:
        if not is_saving(run):
            continue
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if is_saving(run):
            os.killpg(process.pid, signal.SIGKILL)
            break
        os.killpg(process.pid, signal.SIGCONT)
    _, said = process.communicate()
    return said.decode() if process.returncode == -signal.SIGKILL and is_saving(run) else None


def is_saving(run: Path) -> bool:
    """Whether the newest checkpoint's folder is there without the file that makes it one."""
    folders = sorted((run / "checkpoints").glob("*"))
    return bool(folders) and not (folders[-1] / "checkpoint.json").exists()


@dataclass(frozen=True)
class Left:
    """What a run is to go on with: the step of its newest sound checkpoint, 0 without one, and its diary till then."""

    run: Path
    step: int
    diary: list[bytes]

    def check(self, said: str) -> None:
        """A run that `said` this went on after that step, and made none before it again.

        A line of the diary holds the time a step took: one made again would differ.
        """
        assert re.findall(r"goes on after step (\d+) ", said) == ([str(self.step)] if self.step else [])
        assert diary(self.run, self.step) == self.diary


def left_by(run: Path) -> Left:
    """What a killed run has left; its newest sound checkpoint is found by verifying every byte."""
    found = load_newest(run, say=quiet)
    step = found.step if found else 0
    return Left(run, step, diary(run, step))


def diary(run: Path, step: int) -> list[bytes]:
    """The diary's lines of the steps up to `step`."""
    path = run / "metrics.jsonl"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [line for line in lines if b'"kind": "step"' in line][:step]


def count_lines(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b'"kind": "step"') if path.exists() else 0


def test_a_finished_run_has_every_step_once_and_is_not_trained_again(finished):
    assert [m["step"] for m in finished.metrics("step")] == list(range(1, 25))
    before = (finished.path / "metrics.jsonl").read_bytes()
    heard: list[str] = []
    train(finished.path.parents[1] / "train.yaml", out=finished.path, say=heard.append)
    assert (finished.path / "metrics.jsonl").read_bytes() == before
    assert "24 steps are done" in heard[-1]


def test_a_finished_run_holds_nothing_unfinished_nor_a_folder_for_it(toy, tmp_path):
    config = fresh(toy, tmp_path)
    run = train(config, out=tmp_path / "runs/toy", say=quiet)
    assert not (run / "runs").exists()
    # Killed while the last report was written, say: the same command has nothing to train, and tidies.
    (run / "runs/tmp").mkdir(parents=True)
    (run / "runs/tmp" / f"{7:024x}").write_bytes(b"half a report")
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    train(config, out=run, say=quiet)
    assert not (run / "runs").exists()
    del before[run / "runs/tmp" / f"{7:024x}"]
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before


def test_a_run_killed_with_kill_9_and_resumed_has_the_losses_of_one_never_killed(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    run = tmp_path / "runs/toy"
    assert kill_at_step(start(config, run), run, 14) is not None
    assert 14 <= count_lines(run) < 24
    left, heard = left_by(run), []
    assert left.step >= 12
    train(config, out=run, say=heard.append)
    left.check("\n".join(heard))
    assert losses(run) == losses(finished.path)
    assert [s["text"] for s in open_run(run).samples()] == [s["text"] for s in finished.samples()]
    assert [m["bpb"] for m in open_run(run).metrics("evaluate")] == [
        m["bpb"] for m in finished.metrics("evaluate")
    ]


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_loss_and_lose_or_repeat_no_step(toy, tmp_path):
    # Many steps: how many are made between the moment chosen and the kill is the machine's business.
    config = fresh(toy, tmp_path, save={"every": 256, "keep": 2}, tokens=256 * 200)
    whole, run = tmp_path / "runs/whole", tmp_path / "runs/toy"
    train(config, out=whole, say=quiet)
    rng, steps = random.Random(7), []
    for number in range(10):
        left = left_by(run)
        steps.append(left.step)
        process = start(config, run)
        if number % 2:
            said = kill_while_saving(process, run, delay=rng.uniform(0, 0.002))
            # The diary is ahead of the newest whole checkpoint: its last lines will be written again.
            assert count_lines(run) > max(saved_steps(run), default=0)
        else:
            step = count_lines(run) + rng.randint(1, 4)
            said = kill_at_step(process, run, step, delay=rng.uniform(0, 0.06))
        assert said is not None
        left.check(said)
    left, heard = left_by(run), []
    # Whatever a kill cut off, the run had got further by the next but one.
    assert all(before < after for before, after in zip(steps, [*steps[2:], left.step], strict=False))
    assert count_lines(run) < 200
    train(config, out=run, say=heard.append)
    left.check("\n".join(heard))
    assert [step for step, _ in losses(run)] == list(range(1, 201))
    assert losses(run) == losses(whole)
    assert not is_saving(run)


def test_sigterm_saves_and_exits_143_and_the_same_command_goes_on(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    run = tmp_path / "runs/toy"
    process = start(config, run)
    while process.poll() is None and count_lines(run) < 6:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143, said.decode()
    assert b"goes on from here" in said
    at = count_lines(run)
    assert open_run(run).checkpoint().step == at
    train(config, out=run, say=quiet)
    assert losses(run) == losses(finished.path)


def test_lines_past_the_checkpoint_and_a_torn_last_line_are_cut_off_on_resume(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    run = tmp_path / "runs/toy"
    shutil.copytree(finished.path, run)
    shutil.rmtree(run / "checkpoints/00000024")
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join(lines[:-2]) + lines[-2][:30])
    train(config, out=run, say=quiet)
    assert losses(run) == losses(finished.path)


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_one_before(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    run = tmp_path / "runs/toy"
    shutil.copytree(finished.path, run)
    path = run / "checkpoints/00000024/weights.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    heard: list[str] = []
    train(config, out=run, say=heard.append)
    assert any("step 24 is damaged" in line for line in heard)
    assert any("goes on after step 20" in line for line in heard)
    assert losses(run) == losses(finished.path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["optim.lr=0.01"], "optim.lr"),
        (["model.width=64", "seed=2"], "model.width"),
        (["evaluate.tokens=2048"], "evaluate.tokens"),
    ],
)
def test_a_changed_key_is_refused_by_name_and_nothing_is_written(toy, finished, changes, named):
    before = sorted((p.name, p.stat().st_mtime_ns) for p in finished.path.iterdir())
    with pytest.raises(ConfigError, match=named):
        train(toy / "train.yaml", overrides=changes, out=finished.path, say=quiet)
    assert sorted((p.name, p.stat().st_mtime_ns) for p in finished.path.iterdir()) == before


def test_what_stands_under_machine_may_change(toy, finished):
    asked = ["machine.micro_batch=2", "machine.workers=2"]
    assert train(toy / "train.yaml", overrides=asked, out=finished.path, say=quiet) == finished.path


def test_a_run_moved_elsewhere_goes_on(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    shutil.copytree(finished.path, tmp_path / "other/place")
    shutil.rmtree(tmp_path / "other/place/checkpoints/00000024")
    train(config, out=tmp_path / "other/place", say=quiet)
    assert losses(tmp_path / "other/place") == losses(finished.path)


def test_a_fork_begins_behind_the_rows_already_trained_and_may_change_the_schedule(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    shutil.copytree(finished.path, tmp_path / "runs/toy")
    asked = ["tokens=7168", "schedule.name=cosine"]
    run = open_run(train(config, overrides=asked, out=tmp_path / "runs/toy", fork="longer", say=quiet))
    assert run.path == tmp_path / "runs/longer"
    assert (run.origin.step, run.origin.row, run.origin.run) == (24, 192, "toy")
    assert [m["step"] for m in run.metrics("step")] == [25, 26, 27, 28]
    assert run.rows_of_step(25) == (192, 200)
    assert run.metrics("step")[0]["loss"] < 3


def test_a_fork_killed_while_its_checkpoint_is_copied_begins_again_from_the_parents_weights(
    toy, finished, tmp_path, monkeypatch
):
    config = fresh(toy, tmp_path)
    shutil.copytree(finished.path, tmp_path / "runs/toy")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    fork = {"overrides": ["tokens=7168"], "out": tmp_path / "runs/toy", "fork": "longer", "say": quiet}
    with monkeypatch.context() as patch:
        patch.setattr("trainer.begin.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, **fork)
    assert not (tmp_path / "runs/longer/config.json").exists()
    run = open_run(train(config, **fork))
    assert run.metrics("step")[0]["loss"] < 3


def test_a_fork_that_lost_the_checkpoint_it_began_from_does_not_begin_from_noise(toy, finished, tmp_path):
    config = fresh(toy, tmp_path)
    shutil.copytree(finished.path, tmp_path / "runs/toy")
    fork = {"overrides": ["tokens=7168"], "out": tmp_path / "runs/toy", "fork": "longer", "say": quiet}
    train(config, **fork)
    shutil.rmtree(tmp_path / "runs/longer/checkpoints")
    with pytest.raises(MissingFileError, match="fork again"):
        train(config, **fork)


@pytest.mark.parametrize("name", ["a/b", "..", "", "-x"])
def test_a_forks_name_is_a_name(toy, finished, tmp_path, name):
    with pytest.raises(UsageError, match="--fork"):
        train(toy / "train.yaml", out=finished.path, fork=name, say=quiet)


def test_a_fork_whose_mix_rewrites_the_past_is_refused(toy, finished, tmp_path):
    config = fresh(toy, tmp_path, tokens=7168)
    shutil.copytree(finished.path, tmp_path / "runs/toy")
    text = (tmp_path / "mix.yaml").read_text()
    (tmp_path / "mix.yaml").write_text(text.replace("0.7", "0.6").replace("0.3", "0.4"))
    with pytest.raises(UsageError, match="already trained"):
        train(config, out=tmp_path / "runs/toy", fork="other", say=quiet)
    assert not (tmp_path / "runs/other").exists()


def test_a_run_that_is_being_trained_cannot_be_trained_twice(toy, finished, tmp_path):
    import fcntl

    with (finished.path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="being trained"):
            train(toy / "train.yaml", out=finished.path, say=quiet)


def test_the_first_sigint_raises_stopped_with_exit_code_130(toy, tmp_path):
    config = fresh(toy, tmp_path)
    sent: list[str] = []

    def say(text: str) -> None:
        if "loss" in text and not sent:
            sent.append(text)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        train(config, out=tmp_path / "runs/toy", say=say)
    assert stopped.value.exit_code == 130
    assert json.loads((tmp_path / "runs/toy/metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
