"""`quern doctor` and the display of progress."""

import io
import json

from click.testing import CliRunner

from corpus_tools import doctor
from corpus_tools.cli import main
from corpus_tools.progress import PlainDisplay, Progress


def test_doctor_answers_as_json_and_its_exit_code_says_whether_something_is_wrong():
    result = CliRunner().invoke(main, ["doctor", "--json"])
    findings = json.loads(result.stdout)
    assert {f["what"] for f in findings} >= {
        "system",
        "python",
        "libraries",
        "free disk",
        "torch",
        "lid.176.ftz",
    }
    assert result.exit_code == int(any(f["state"] == "wrong" for f in findings))


def test_a_folder_that_shadows_one_of_our_packages_is_found(tmp_path, monkeypatch):
    (tmp_path / "trainer").mkdir()
    monkeypatch.chdir(tmp_path)
    (found,) = [c for c in doctor.examine(["shadows"]) if c.what == "shadowed package"]
    assert (found.state, found.found) == ("wrong", str(tmp_path / "trainer"))
    assert "rename" in doctor.report([found])


def installed(folder, name, data=b"code", size=4):
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"fasttext.py,sha256=abc,{size}\n")
    (folder / "fasttext.py").write_bytes(data)


def test_two_distributions_of_fasttext_are_found(tmp_path, monkeypatch):
    installed(tmp_path, "fasttext-wheel")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = doctor.examine(["fasttext"])
    assert found.state == "wrong"
    assert "fasttext-predict, fasttext-wheel" in found.found


def test_an_overwritten_fasttext_is_found_by_its_record(tmp_path, monkeypatch):
    installed(tmp_path, "fasttext-predict", data=b"another's code")
    monkeypatch.syspath_prepend(tmp_path)
    (found,) = doctor.examine(["fasttext"])
    assert found.state == "wrong"
    assert "fasttext.py" in found.found


def unit(n_read=100, **dropped):
    return {
        "kind": "unit_done",
        "step": "web",
        "unit": "u",
        "n_read": n_read,
        "bytes_read": 10**6,
        "dropped": dropped,
    }


def shown(*events, every_s=5.0, step_s=1.0):
    stream, times = io.StringIO(), iter(i * step_s for i in range(1000))
    with Progress(PlainDisplay(stream, every_s), clock=lambda: next(times)) as show:
        for event in events:
            show(event)
    return stream.getvalue().splitlines()


STEP = {"kind": "step", "step": "web", "n_units": 20, "n_done": 0, "n_bytes": 0}


def test_plain_progress_is_a_line_every_five_seconds_and_one_at_the_end():
    lines = shown(STEP, *(unit() for _ in range(20)))
    assert len(lines) == 5
    assert lines[-1].startswith("web: 20/20 units")


def test_a_line_has_rates_the_heaviest_reasons_and_the_time_left():
    lines = shown(
        STEP,
        *(unit(language={"other_language": 30}, gopher={"too_few_words": 10}) for _ in range(5)),
        every_s=0,
    )
    assert (
        lines[-1]
        == "web: 5/20 units  100 docs/s  1.0 MB/s  kept 60%  other_language 30%  too_few_words 10%  ETA 0:15"
    )


def test_troubles_are_told_at_once_and_cannot_drive_the_terminal():
    event = {
        "kind": "quarantine",
        "step": "web",
        "unit": "\x1b[2Jx.warc.gz",
        "reason": "quarantined_hang",
        "record": 3,
    }
    assert shown(STEP, event)[-1] == "web \\x1b[2Jx.warc.gz: record set aside: quarantined_hang"


def test_done_units_of_an_earlier_build_count_as_done_and_not_as_speed():
    lines = shown({**STEP, "n_done": 18}, unit(), every_s=0)
    assert lines[-1].startswith("web: 19/20 units  100 docs/s")
    assert lines[-1].endswith("ETA 0:01")
