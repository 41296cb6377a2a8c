"""The `quern` command: exit codes, streams, refusals in words, and that no text drives a terminal."""

import json
import shutil

import pytest
from click.testing import CliRunner
from fabricated import fabricate, fabricate_run

from corpus_tools.cli import main
from corpus_tools.screen import clean, size, table
from manifests.errors import MissingFileError
from manifests.yamlfile import REMEDY
from pipelines.registry import READERS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("cli") / "corpus")


def quern(*args, **options):
    return CliRunner().invoke(main, [str(a) for a in args], **options)


def test_every_verb_of_the_grammar_is_there():
    assert set(main.commands) >= {
        *(
            "demo",
            "init",
            "plan",
            "build",
            "status",
            "verify",
            "audit",
            "explain",
            "trace",
            "train",
            "sample",
        ),
        *("mix", "doctor"),
    }
    assert set(main.commands["mix"].commands) >= {"check"}


@pytest.mark.parametrize("verb", ["status", "verify", "audit"])
def test_a_verb_about_a_corpus_answers_on_stdout_and_as_json(store, verb):
    plain = quern(verb, store.root)
    assert (plain.exit_code, plain.stderr) == (0, "")
    assert store.manifest.digest in plain.stdout
    as_json = quern(verb, store.root, "--json")
    assert as_json.exit_code == 0
    assert store.manifest.digest in json.dumps(json.loads(as_json.stdout))


def test_verify_ends_with_1_when_something_is_wrong(store, tmp_path):
    copy = shutil.copytree(store.root, tmp_path / "corpus")
    (copy / "stray").write_bytes(b"?")
    result = quern("verify", copy)
    assert result.exit_code == 1
    assert "no manifest of this store names it" in result.stdout
    assert json.loads(quern("verify", copy, "--json").stdout)["sound"] is False


def test_a_damaged_corpus_ends_with_1_and_words(store, tmp_path):
    copy = shutil.copytree(store.root, tmp_path / "corpus")
    (copy / "corpus.json").write_bytes(b"{}")
    result = quern("audit", copy)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "corpus.json" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("explain", "{corpus}", "https://example.org/none"),
        ("trace", "{run}", "--step", "0"),
        ("trace", "{run}"),
        ("explain", "{corpus}", "x", "--max", "0"),
        ("sample", "{run}", "--tokens", "-3"),
        ("sample", "{run}", "--temperature", "-1"),
        ("verify", "{corpus}@"),
        ("explain", "{corpus}", ""),
        ("audit", __file__),
        ("status", __file__),
        ("plan", "no-such-file.yaml"),
        ("pln",),
        ("verify", "{corpus}", "--deeep"),
        ("init",),
    ],
)
def test_wrong_use_ends_with_2_and_writes_to_stderr_alone(store, tmp_path, args):
    run = fabricate_run(tmp_path / "run", store)
    result = quern(*(a.format(corpus=store.root, run=run) for a in args))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_the_state_of_a_file_is_refused_by_what_it_is(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    said = quern("status", tmp_path / "recipe.yaml").stderr
    assert "recipe.yaml: expected a corpus folder, got a file." in said
    assert "stands. Mend" not in said


def test_a_missing_corpus_ends_with_the_commands_that_make_one(tmp_path):
    result = quern("verify", tmp_path / "none")
    assert result.exit_code == 1
    assert "quern build" in result.stderr


@pytest.mark.parametrize(
    ("verb", "written", "near"),
    [
        ("plan", "recpe.yaml", "recipe.yaml"),
        ("build", "recpe.yaml", "recipe.yaml"),
        ("mix check", "mx.yaml", "mix.yaml"),
        ("train", "trin.yaml", "train.yaml"),
        ("verify", "corpora/dmo", "corpora/demo"),
        ("audit", "corpora/dmo", "corpora/demo"),
        ("status", "corpora/dmo", "corpora/demo"),
        ("status", "corpora/began", "corpora/begun"),
        ("sample", "runs/bok", "runs/book"),
        ("init", "boks.txt", "books.txt"),
    ],
)
def test_what_is_misspelt_on_the_command_line_is_told_with_the_nearest_and_what_is_far_off_without(
    tmp_path, monkeypatch, verb, written, near
):
    for path in (
        *("recipe.yaml", "mix.yaml", "train.yaml", "books.txt", "corpora/demo/corpus.json"),
        *("corpora/begun/runs/plan.json", "corpora/dm/other", "runs/book/config.json", "runs/bk/other"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.chdir(tmp_path)
    refused = quern(*verb.split(), written)
    assert refused.exit_code in (1, 2)
    first = refused.stderr.splitlines()[0]
    assert first.startswith((f"{written}: expected a ", f"{written}: expected the "))
    assert f'; did you mean "{near}"?' in first
    assert "did you mean" not in quern(*verb.split(), "zebra").stderr


@pytest.mark.parametrize("verb", [("trace", "{run}", "--step", "1"), ("sample", "{run}")])
def test_a_folder_that_is_no_run_ends_with_the_command_that_makes_one(store, tmp_path, verb):
    for folder, found in ((tmp_path / "none", "none"), (store.root, "a corpus")):
        result = quern(*(word.format(run=folder) for word in verb))
        assert result.exit_code == 1
        assert f"{folder}: expected the folder of a run, found {found}. `quern train" in result.stderr


def test_the_help_of_a_probe_promises_no_more_than_it_reckons():
    told = " ".join(quern("plan", "--help").output.split())
    assert "reckon time and disk." in told


def test_a_traceback_is_shown_when_it_is_asked_for(tmp_path):
    result = quern("verify", tmp_path / "none", env={"QUERN_TRACEBACK": "1"})
    assert isinstance(result.exception, MissingFileError)


def test_trace_and_its_inverse_answer_as_json(store, tmp_path):
    run = fabricate_run(tmp_path / "run", store)
    read = json.loads(quern("trace", run, "--step", "1:3", "--json").stdout)
    assert {row["step"] for row in read} == {1, 2}
    back = json.loads(quern("trace", run, "--doc", read[0]["doc_id"], "--json").stdout)
    assert read[0]["row"] in {row["row"] for row in back}


def test_a_mix_that_can_be_fed_is_checked_and_one_that_cannot_is_refused_at_its_line(store, tmp_path):
    run = fabricate_run(tmp_path / "run", store)
    answer = quern("mix", "check", run / "mix.yaml", "--json")
    assert answer.exit_code == 0
    assert {row["source"] for row in json.loads(answer.stdout)["sources"]} == {"web", "books"}
    assert json.loads(answer.stdout)["remarks"] == []
    unused = quern("mix", "check", run / "mix.yaml", "--set", "sources.spare.from=['*/web']")
    assert unused.exit_code == 0
    assert "spare is defined under `sources`" in unused.stdout
    refused = quern("mix", "check", run / "mix.yaml", "--set", "phases.0.tokens=9M")
    assert refused.exit_code == 2
    assert "mix.yaml:6:" in refused.stderr


@pytest.mark.parametrize("command", [("mix", "check"), ("plan",), ("train",)])
def test_a_manifest_in_the_place_of_a_file_a_person_writes_is_one_line_and_what_to_write(store, command):
    path = store.root / "corpus.json"
    refused = quern(*command, path)
    assert refused.exit_code == 2
    told = (
        "expected a file that a person wrote, got a corpus's manifest; it was built from a recipe, and a mix"
    )
    assert refused.stderr.splitlines() == [f"{path}:1:1: {told} names it, as in  corpora: [{path}]", REMEDY]


@pytest.mark.parametrize("command", [("mix", "check"), ("plan",), ("train",)])
def test_an_empty_file_is_said_to_be_empty(tmp_path, command):
    (tmp_path / "empty.yaml").write_text("")
    refused = quern(*command, tmp_path / "empty.yaml")
    assert refused.exit_code == 2
    assert "empty.yaml:1:1: expected a " in refused.stderr
    assert ", got an empty file" in refused.stderr


SOURCES = "sources: [{name: web, read: wett, paths: [a.wet]}]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"nmae: a\n{SOURCES}",
            [
                "1:1: expected the key `name`, got nothing",
                '1:1: expected a known key (name, sources, steps, tokens), got "nmae"; did you mean "name"?',
                f'2:29: expected a reader ({", ".join(sorted(READERS))}), got "wett"; did you mean "wet"?',
            ],
        ),
        (f"name: 5\n{SOURCES.replace('wett', 'wet')}", ["1:7: expected text for `name`, got 5"]),
        ("- name: a\n", ["1:1: expected a mapping (key: value), got a list of 1"]),
    ],
)
def test_a_name_that_cannot_be_used_hides_no_other_mistake(tmp_path, text, told):
    (tmp_path / "r.yaml").write_text(text)
    refused = quern("plan", tmp_path / "r.yaml")
    assert refused.exit_code == 2
    assert refused.stderr.replace(f"{tmp_path}/r.yaml:", "").splitlines() == [*told, REMEDY]


def test_a_name_given_beside_the_file_names_no_folder(tmp_path):
    (tmp_path / "a.wet").touch()
    (tmp_path / "r.yaml").write_text(SOURCES.replace("wett", "wet"))
    refused = quern("plan", tmp_path / "r.yaml", "--set", "name=a")
    assert "r.yaml:1:1: expected a `name:` for the corpus, got none. " in refused.stderr


HOSTILE = "a\x1b]0;owned\x07b\x9bc\u202ed\u2066e\x7ff\rg\u200bh"


def test_text_that_could_drive_a_terminal_is_shown_as_escapes():
    shown = clean(HOSTILE)
    assert shown == "a\\x1b]0;owned\\x07b\\x9bc\\u202ed\\u2066e\\x7ff\\x0dg\\u200bh"
    assert clean("Ελλάδα 中文 नमस्ते می‌خواهم 👩‍🔬\tand\n") == "Ελλάδα 中文 नमस्ते می‌خواهم 👩‍🔬\tand\n"


def test_a_table_is_clean_and_keeps_a_row_on_a_line():
    shown = table([{"name": HOSTILE + "\nx", "n": 1234567}, {"name": "中文", "n": None}])
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3
    assert "1,234,567" in shown


def test_an_error_that_quotes_a_corpus_is_clean(tmp_path):
    result = quern("verify", f"{tmp_path}/\x1b[2Jnone")
    assert "\x1b" not in result.stderr


def test_a_size_has_the_unit_a_person_would_choose():
    assert [size(n) for n in (0, 999, 1000, 5_347_123, 2 * 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "5.3 MB",
        "2.0 TB",
    ]
