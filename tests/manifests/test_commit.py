"""Files appear whole or not at all."""

import os
import subprocess
import sys

import pytest

from manifests.commit import FileRef, commit_bytes, commit_file, safe_relative, sweep, temp_dir
from manifests.digest import digest_file
from manifests.errors import DigestError, FormatError, MissingFileError


def test_a_commit_returns_size_and_digest_of_what_was_written(tmp_path):
    with commit_file(tmp_path, "a/b.bin") as commit:
        for piece in (b"x" * 10, b"", b"y" * 3_000_000, memoryview(b"zz")):
            commit.file.write(piece)
    path = tmp_path / "a/b.bin"
    assert commit.ref == FileRef("a/b.bin", path.stat().st_size, digest_file(path))
    assert path.read_bytes() == b"x" * 10 + b"y" * 3_000_000 + b"zz"


def test_an_error_inside_leaves_no_file_and_no_leftover(tmp_path):
    def write_half():
        with commit_file(tmp_path, "x") as commit:
            commit.file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert not (tmp_path / "x").exists()
    assert sweep(tmp_path) == 0


def test_committing_again_replaces_in_one_step(tmp_path):
    commit_bytes(tmp_path, "x", b"old")
    assert commit_bytes(tmp_path, "x", b"new").check(tmp_path, deep=True).read_bytes() == b"new"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a//b", "./a", "a\0b"])
def test_paths_that_could_leave_the_folder_are_refused(path):
    with pytest.raises(FormatError):
        safe_relative(path)


def test_a_changed_file_is_found_by_size_and_by_digest(tmp_path):
    ref = commit_bytes(tmp_path, "x", b"abc")
    (tmp_path / "x").write_bytes(b"abd")
    assert ref.check(tmp_path)
    with pytest.raises(DigestError, match="expected digest"):
        ref.check(tmp_path, deep=True)
    (tmp_path / "x").write_bytes(b"ab")
    with pytest.raises(DigestError, match="expected 3 bytes, found 2"):
        ref.check(tmp_path)
    (tmp_path / "x").unlink()
    with pytest.raises(MissingFileError):
        ref.check(tmp_path)


KILLED_AT = """
import os, sys
from pathlib import Path
from manifests.commit import commit_file
calls = 0
def at(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global calls
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), 9)
        calls += 1
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("open", "write", "fsync", "rename", "replace", "close"):
    at(name)
with commit_file(Path(sys.argv[1]), "x") as commit:
    commit.file.write(b"n" * 200_000)
    commit.file.write(b"m" * 10)
print("ended")
"""


def test_a_process_killed_at_any_system_call_leaves_the_old_file_or_the_new_one(tmp_path):
    new = b"n" * 200_000 + b"m" * 10
    seen = set()
    for call in range(40):
        commit_bytes(tmp_path, "x", b"old")
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT, str(tmp_path), str(call)],
            capture_output=True,
            check=False,
            env=dict(os.environ),
        )
        found = (tmp_path / "x").read_bytes()
        assert found in (b"old", new)
        seen.add(found)
        left = sweep(tmp_path)
        assert left <= 1
        assert not temp_dir(tmp_path).parent.exists()
        if done.stdout:
            break
    else:
        pytest.fail("the writer was killed at every call and never ended")
    assert seen == {b"old", new}


def test_a_sweep_leaves_what_is_being_written(tmp_path):
    # A `plan` or a second `train` commits outside the lock of the build that sweeps.
    (temp_dir(tmp_path)).mkdir(parents=True)
    (temp_dir(tmp_path) / f"{7:024x}").write_bytes(b"by a killed process")
    with commit_file(tmp_path, "x") as commit:
        commit.file.write(b"whole")
        assert sweep(tmp_path) == 1
    assert commit.ref.check(tmp_path, deep=True).read_bytes() == b"whole"


def test_a_sweep_removes_the_folder_of_unfinished_files_and_nothing_beside_it(tmp_path):
    commit_bytes(tmp_path, "x", b"whole")
    commit_bytes(tmp_path, "runs/build.jsonl", b"a log")
    assert sweep(tmp_path) == 0
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["build.jsonl", "runs", "x"]
    commit_bytes(tmp_path, "y", b"goes on")
    (tmp_path / "runs/build.jsonl").unlink()
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["x", "y"]


SWEEPING = """
import sys
from pathlib import Path
from manifests.commit import sweep
sweep(Path(sys.argv[1]))
print("swept", flush=True)
while True:
    sweep(Path(sys.argv[1]))
"""


def test_commits_beside_a_process_that_sweeps_all_the_time_all_succeed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", SWEEPING, str(tmp_path)], stdout=subprocess.PIPE) as sweeper:
        try:
            assert sweeper.stdout.readline() == b"swept\n"
            refs = [commit_bytes(tmp_path, f"files/{n}", b"%d" % n) for n in range(1000)]
            assert sweeper.poll() is None
        finally:
            sweeper.kill()
    assert [ref.check(tmp_path, deep=True).read_bytes() for ref in refs] == [b"%d" % n for n in range(1000)]


def test_a_file_where_unfinished_files_belong_is_told_and_not_waited_for(tmp_path):
    (tmp_path / "runs").write_bytes(b"no folder")
    with pytest.raises(OSError, match="runs"):
        commit_bytes(tmp_path, "x", b"whole")
    assert not (tmp_path / "x").exists()


def test_a_disk_that_takes_no_more_is_told_with_the_name_of_the_file(tmp_path):
    script = (
        "import resource, sys\nfrom pathlib import Path\nfrom manifests.commit import commit_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    commit_bytes(Path(sys.argv[1]), 'a/x', b'n' * 5000)\n"
        "except OSError as error:\n    print(error.filename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path / "a" / "x")
    assert not (tmp_path / "a" / "x").exists()
    assert sweep(tmp_path) == 0


def test_what_is_no_unfinished_file_is_nobody_s_to_sweep(tmp_path):
    run = temp_dir(tmp_path)  # as `quern train` makes it of a run that is called `tmp`
    (run / "checkpoints").mkdir(parents=True)
    (run / "metrics.jsonl").write_text("{}")
    (run / f"{7:024x}").mkdir()
    assert sweep(tmp_path) == 0
    assert (run / "metrics.jsonl").exists()
