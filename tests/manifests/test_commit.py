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
        assert not any(temp_dir(tmp_path).iterdir())
        if done.stdout:
            break
    else:
        pytest.fail("the writer was killed at every call and never ended")
    assert seen == {b"old", new}
