import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from test_resume import count_lines, kill_at_step, left_by, losses
from toyrun import write_train

from manifests.errors import ConfigError, DigestError
from manifests.mix import open_stream
from manifests.mixfile import load_mix
from trainer.config import load_train
from trainer.data import Batches, Feed, rank_rows, read_rows
from trainer.distributed import Team
from trainer.run import _machine, open_run, train

ROOT = Path(__file__).parents[2]


@pytest.fixture
def feed(toy) -> Feed:
    mix = load_mix(toy / "mix.yaml")
    return Feed(mix.manifest.order(), [open_stream(s.train, mix.locations) for s in mix.manifest.sources])


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 4])
def test_the_ranks_rows_together_are_the_global_batch_whatever_their_number(feed, n_ranks):
    whole = read_rows(feed, np.arange(16, 24))
    parts = [read_rows(feed, rank_rows(16, 24, rank=r, n_ranks=n_ranks)) for r in range(n_ranks)]
    together = np.empty_like(whole)
    for r, part in enumerate(parts):
        together[r::n_ranks] = part
    assert np.array_equal(together, whole)


def test_batches_are_the_rows_of_the_order_shifted_by_one_token(feed):
    with Batches(feed, row=8, rows_per_step=8, n_steps=2) as batches:
        for start in (8, 16):
            batch = batches.next()
            rows = read_rows(feed, np.arange(start, start + 8))
            assert np.array_equal(batch.inputs.numpy(), rows[:, :-1])
            assert np.array_equal(batch.targets.numpy(), rows[:, 1:])
            assert batch.waited >= 0
        with pytest.raises(IndexError):
            batches.next()


def test_batches_after_a_resume_on_other_ranks_continue_the_same_sequence(feed):
    def rows(row: int, n_steps: int, n_ranks: int) -> list[bytes]:
        found = []
        with ExitStack() as stack:
            plan = {"row": row, "rows_per_step": 8, "n_steps": n_steps, "n_ranks": n_ranks}
            ranks = [stack.enter_context(Batches(feed, rank=r, **plan)) for r in range(n_ranks)]
            for _ in range(n_steps):
                parts = [batches.next().inputs for batches in ranks]
                found += [parts[i % n_ranks][i // n_ranks].numpy().tobytes() for i in range(8)]
        return found

    whole = rows(0, 6, 1)
    assert rows(0, 2, 2) + rows(16, 4, 4) == whole
    assert rows(0, 5, 4) + rows(40, 1, 2) == whole


def test_a_shards_changed_byte_stops_the_batch_that_would_hold_it(toy, tmp_path):
    shutil.copytree(toy / "corpus", tmp_path / "corpus")
    path = tmp_path / "corpus/shards/birds-train.tok"
    data = bytearray(path.read_bytes())
    data[1000] ^= 4
    path.write_bytes(data)
    write_train(tmp_path)
    mix = load_mix(tmp_path / "mix.yaml")
    feed = Feed(mix.manifest.order(), [open_stream(s.train, mix.locations) for s in mix.manifest.sources])
    with (
        Batches(feed, row=0, rows_per_step=8, n_steps=9) as batches,
        pytest.raises(DigestError, match="birds-train"),
    ):
        take(batches, 9)


def take(batches: Batches, n: int) -> None:
    for _ in range(n):
        batches.next()


def start_two_ranks(config: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    return subprocess.Popen(
        [*command, "trainer", str(config), "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def torchrun(config: Path, out: Path) -> str:
    """Train with two ranks to the end; returns what they said."""
    process = start_two_ranks(config, out)
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    return said.decode()


def test_two_ranks_train_on_the_batches_of_one_and_reach_its_losses(toy, finished, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path)
    torchrun(config, tmp_path / "runs/two")
    two = open_run(tmp_path / "runs/two")
    ours = [m["loss"] for m in two.metrics("step")]
    assert [m["step"] for m in two.metrics("step")] == list(range(1, 25))
    # The same batches on any number of ranks; floats differ by the order of their sums alone.
    assert ours == pytest.approx([m["loss"] for m in finished.metrics("step")], rel=2e-4)
    assert two.metrics("evaluate")[-1]["macro"] == pytest.approx(
        finished.metrics("evaluate")[-1]["macro"], rel=1e-3
    )
    facts = json.loads((tmp_path / "runs/two/checkpoints/00000024/checkpoint.json").read_bytes())["facts"]
    assert facts["n_ranks"] == 2


@pytest.mark.slow
def test_two_ranks_killed_with_kill_9_resume_to_the_same_losses_on_two_and_on_one(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path)
    torchrun(config, tmp_path / "runs/whole")
    run = tmp_path / "runs/killed"
    assert kill_at_step(start_two_ranks(config, run), run, 11) is not None
    # No rank outlived the kill: the diary stands still, before the run's end.
    at = count_lines(run)
    time.sleep(0.5)
    assert 11 <= count_lines(run) == at < 24
    shutil.copytree(run, tmp_path / "runs/one")
    left = left_by(run)
    assert left.step >= 8
    left.check(torchrun(config, run))
    assert [step for step, _ in losses(run)] == list(range(1, 25))
    assert losses(run) == losses(tmp_path / "runs/whole")
    check_one_goes_on(config, tmp_path / "runs/one", tmp_path / "runs/whole")


def check_one_goes_on(config: Path, run: Path, whole: Path) -> None:
    """One process goes on with what two ranks have left, after the same step, to the losses of two."""
    left, heard = left_by(run), []
    train(config, out=run, say=heard.append)
    left.check("\n".join(heard))
    assert open_run(run).checkpoint().facts["n_ranks"] == 1
    assert [step for step, _ in losses(run)] == list(range(1, 25))
    assert [loss for _, loss in losses(run)] == pytest.approx([loss for _, loss in losses(whole)], rel=2e-4)


def test_more_ranks_than_rows_are_refused(toy, finished):
    with pytest.raises(ConfigError, match="at least one row"):
        _machine(finished, load_train(toy / "train.yaml"), Team(rank=1, n_ranks=9))
