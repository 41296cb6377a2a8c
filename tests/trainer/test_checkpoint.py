import json
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from manifests.errors import DamageError
from trainer.checkpoint import load_newest, open_checkpoint, save_checkpoint, saved_steps, write_safetensors

WEIGHTS = {
    "b": torch.arange(6.0).view(2, 3),
    "a": torch.ones(4, dtype=torch.bfloat16),
    "none": torch.zeros(0),
}
STATE = {"adamw.step.a": torch.tensor(3.0), "n": torch.tensor([2**40], dtype=torch.int64)}


def save(run, step, keep=None):
    return save_checkpoint(
        run, step=step, row=step * 8, weights=WEIGHTS, state=STATE, facts={"config": "c"}, keep=keep
    )


def quiet(_: str) -> None:
    return None


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    save(tmp_path, 12)
    found = open_checkpoint(tmp_path, 12)
    assert (found.step, found.row, found.facts) == (12, 96, {"config": "c"})
    for saved, loaded in ((WEIGHTS, found.weights()), (STATE, found.state())):
        assert saved.keys() == loaded.keys()
        assert all(torch.equal(saved[k], loaded[k]) and saved[k].dtype == loaded[k].dtype for k in saved)


def test_our_safetensors_hold_what_the_librarys_hold(tmp_path):
    write_safetensors(tmp_path, "ours.safetensors", WEIGHTS, {"format": "pt"})
    save_file(WEIGHTS, tmp_path / "theirs.safetensors", {"format": "pt"})
    ours, theirs = load_file(tmp_path / "ours.safetensors"), load_file(tmp_path / "theirs.safetensors")
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_flipped_byte_anywhere_in_a_checkpoint_is_a_typed_error(tmp_path):
    folder = save(tmp_path, 1)
    rng = random.Random(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for at in {0, len(whole) - 1, *rng.sample(range(len(whole)), 40)}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
            with pytest.raises(DamageError):
                open_checkpoint(tmp_path, 1)
        path.write_bytes(whole[:-1])
        with pytest.raises(DamageError):
            open_checkpoint(tmp_path, 1)
        path.write_bytes(whole)
    assert open_checkpoint(tmp_path, 1).step == 1


def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_it_is_loaded(tmp_path):
    for step in (4, 8):
        save(tmp_path, step)
    (tmp_path / "checkpoints/00000008/weights.safetensors").write_bytes(b"x")
    heard: list[str] = []
    found = load_newest(tmp_path, say=heard.append)
    assert found is not None
    assert found.step == 4
    assert len(heard) == 1
    assert "step 8" in heard[0]


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_again_in_silence(tmp_path):
    save(tmp_path, 4)
    (tmp_path / "checkpoints/00000004/state.safetensors").unlink()
    with pytest.raises(DamageError, match="none"):
        load_newest(tmp_path, say=quiet)


def test_a_run_without_checkpoints_has_none(tmp_path):
    assert load_newest(tmp_path, say=quiet) is None


def test_only_the_newest_checkpoints_stay_and_a_killed_saves_leftovers_go(tmp_path):
    left = tmp_path / "checkpoints/00000002"
    left.mkdir(parents=True)
    (left / "weights.safetensors").write_bytes(b"half")
    for step in (3, 5, 9):
        save(tmp_path, step, keep=2)
    assert saved_steps(tmp_path) == [5, 9]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["00000005", "00000009"]


def test_a_folder_without_its_sealed_file_is_no_checkpoint(tmp_path):
    save(tmp_path, 4)
    (save(tmp_path, 8) / "checkpoint.json").unlink()
    found = load_newest(tmp_path, say=quiet)
    assert found is not None
    assert found.step == 4


def test_a_checkpoint_moved_to_another_steps_folder_is_refused(tmp_path):
    save(tmp_path, 4).rename(tmp_path / "checkpoints/00000006")
    with pytest.raises(DamageError, match="step 6"):
        open_checkpoint(tmp_path, 6)


def test_the_sealed_file_names_size_and_digest_of_both_others(tmp_path):
    folder = save(tmp_path, 4)
    files = json.loads((folder / "checkpoint.json").read_bytes())["files"]
    assert {k: v["size"] for k, v in files.items()} == {
        k: (folder / f"{k}.safetensors").stat().st_size for k in ("state", "weights")
    }
