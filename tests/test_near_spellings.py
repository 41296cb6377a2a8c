"""A path that a recipe misspells is refused at its own place, with the nearest that is there."""

import errno
import json
import re

import pytest

from manifests.errors import RecipeError
from pipelines.recipe import load_recipe

RULES = "def long(text):\n    return 1.0\n\n\ndef lines(path):\n    yield {'text': 'a'}\n"
TOKENIZER = json.dumps(
    {
        "model": {"type": "BPE", "vocab": {"a": 0, "</s>": 1, "<eos>": 2}, "merges": []},
        "added_tokens": [
            {"id": i, "content": name, "special": True}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            for i, name in ((1, "</s>"), (2, "<eos>"))
        ],
    }
)
THERE = (
    "books.jsonl",
    "crawl/1.warc.gz",
    "crawl/2.warc.gz",
    "data/a.jsonl",
    "wiki/train.jsonl",
    "list.txt",
    "tokenizer.json",
    "lid.bin",
    "pg_catalog.csv",
    "lists/hosts.txt",
    "ut1/adult/domains",
    "bench/one.jsonl",
    "bench/one.pdf",
    "benchmarks/gsm8k/test.jsonl",
    "benchmarks/boolq.csv",
    "benchmarks/empty/LICENSE",
    "corpora/2026-09/corpus.json",
    "corpora/2026-09/corpora/abcd.json",
    "corpora/unfinished/files/a.json",
)


@pytest.fixture
def folder(tmp_path):
    for path in THERE:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "list.txt").write_text("crawl/1.warc.gz\n# the second\ncrwl/2.warc.gz\n")
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def load(folder, *, read="wet", paths='["crawl/*.warc.gz"]', root="", steps="[]", rest="", **options):
    """A recipe that is written a key a line: paths on line 5, root on 6, its steps from 7 on."""
    text = (
        f"name: a\nsources:\n  - name: web\n    read: {read}\n    paths: {paths}\n    {root or '# no root'}\n"
    )
    (folder / "r.yaml").write_text(f"{text}    steps: {steps}\n{rest}")
    return load_recipe(folder / "r.yaml", **options)


def mistakes(folder, **written):
    """What is wrong with the recipe that `load` writes."""
    with pytest.raises(RecipeError) as caught:
        load(folder, **written)
    return str(caught.value).replace(f"{folder}/", "").splitlines()[:-1]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ('["boks.jsonl"]', 'expected a file, found nothing at "boks.jsonl"; did you mean "books.jsonl"?'),
        (
            '["crawl/*.warc"]',
            'expected files like "crawl/*.warc", found none below crawl; did you mean "crawl/*.warc.gz"?',
        ),
        (
            '["crwl/*.warc.gz"]',
            'expected files like "crwl/*.warc.gz", but there is no folder crwl; did you mean "crawl/*.warc.gz"?',
        ),
        (
            '["@lst.txt"]',
            'lst.txt: expected a readable list of paths, plain or gzipped, found nothing; did you mean "list.txt"?',
        ),
        (
            '["@list.txt"]',
            'list.txt:3: expected a file, found nothing at crwl/2.warc.gz; did you mean "crawl/2.warc.gz"?',
        ),
        ("[{dataset: wki}]", 'expected a dataset\'s folder, found none at "wki"; did you mean "wiki"?'),
        ('["zebra.jsonl"]', 'expected a file, found nothing at "zebra.jsonl"'),
        ("[crawl]", 'expected a file, found a folder at "crawl"; write "crawl/*" for the files in it'),
        (
            "[corpora/]",
            'expected a file, found a folder at "corpora/"; write "corpora/**/*" for the files in it',
        ),
        ("['']", 'expected a file, found nothing at ""'),
        ('["crawl/*.parquet"]', 'expected files like "crawl/*.parquet", found none below crawl'),
    ],
)
def test_paths_of_a_source(folder, paths, said):
    assert mistakes(folder, paths=paths) == [f"r.yaml:5:13: {said}"]


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("dta", 'found nothing at "dta"; did you mean "data"?'),
        ("zebra", 'found nothing at "zebra"'),
        ("books.jsonl", 'found a file at "books.jsonl"'),
    ],
)
def test_a_root_is_refused_at_its_own_line_and_its_paths_are_not(folder, root, said):
    found = mistakes(
        folder, paths='["*.jsonl", "b.jsonl"]', root=f"root: {root}", rest="tokens: {use: tok.json}\n"
    )
    assert found == [
        f"r.yaml:6:11: expected a folder for `root`, {said}",
        'r.yaml:8:15: expected a tokenizer.json, found nothing at "tok.json"; did you mean "tokenizer.json"?',
    ]


@pytest.mark.parametrize(
    ("what", "place", "use", "said"),
    [
        (what, place, use, said)
        for what, place, written, near in [("step", "7:13", "lng", "long"), ("read", "4:11", "lnes", "lines")]
        for use, said in [
            ("./rul.py:long", 'expected a file, found nothing at "./rul.py"; did you mean "./rules.py"?'),
            ("./zebra.py:long", 'expected a file, found nothing at "./zebra.py"'),
            (f"./rules.py:{written}", f'found none; did you mean "{near}"?'),
        ]
    ],
)
def test_code_of_the_user_s_own(folder, what, place, use, said):
    own = f"{{use: '{use}'}}"
    told = {"steps": f"[{own}]"} if what == "step" else {"read": own}
    (found,) = mistakes(folder, **told, allow_code=True)
    assert found.startswith(f"r.yaml:{place}: ")
    assert found.endswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:", r"got SyntaxError from own.py: .* \(own.py, line 1\)"),
        ("import os\nraise RuntimeError('no')", r"got RuntimeError from own.py: no \(line 2\)"),
        ("import gone_away", r"got ModuleNotFoundError from own.py: No module .* \(line 1\)"),
        ("import sys\nsys.exit(3)", r"got SystemExit from own.py: 3 \(line 2\)"),
    ],
)
def test_a_file_of_the_user_s_own_that_cannot_be_imported(folder, text, said):
    (folder / "own.py").write_text(text)
    own = "{use: './own.py:f'}"
    step, reader = mistakes(folder, steps=f"[{own}]", read=own, allow_code=True)[::-1]
    assert re.fullmatch(f"r.yaml:7:13: expected a file that can be imported, {said}", step)
    assert reader == step.replace("7:13", "4:11")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "decontaminate: {against: [bench/on.jsonl]}",
            'at "bench/on.jsonl"; did you mean "bench/one.jsonl"?',
        ),
        ("decontaminate: {against: [bench/*.json]}", 'at "bench/*.json"; did you mean "bench/*.jsonl"?'),
        ("decontaminate: {against: [bench/one.pdx]}", 'at "bench/one.pdx"; did you mean "bench/one.jsonl"?'),
        ("decontaminate: {against: [gsm8]}", 'at "benchmarks/gsm8"; did you mean "gsm8k"?'),
        ("decontaminate: {against: [bolq]}", 'at "benchmarks/bolq"; did you mean "boolq"?'),
        (
            "decontaminate: {against: [empt]}",
            'at "benchmarks/empt"; put the benchmark there, none comes with Quern',
        ),
        ("minhash: {against: [corpora/2026-9]}", 'at "corpora/2026-9"; did you mean "corpora/2026-09"?'),
        (
            "minhash: {against: [corpora/2026-9@ab]}",
            'at "corpora/2026-9@ab"; did you mean "corpora/2026-09@ab"?',
        ),
        ("minhash: {against: [corpora/2026-9@cd]}", 'at "corpora/2026-9@cd"'),
        ("minhash: {against: [crpora/*]}", 'at "crpora/*"; did you mean "corpora/*"?'),
        ("minhash: {against: [corpora/unfinishd]}", 'at "corpora/unfinishd"'),
    ],
)
def test_what_documents_are_compared_with(folder, step, said):
    (found,) = mistakes(folder, rest=f"steps:\n  - {step}\n")
    column = 6 + step.index("[")
    assert found.startswith(f"r.yaml:9:{column}: expected a ")
    assert found.endswith(said)


KINDS = "in .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet"


@pytest.mark.parametrize(
    ("against", "column", "said"),
    [
        ("[boolq, rules.py]", 38, f'{KINDS}, got "rules.py"; convert it first, or leave it out'),
        ('["bench/*"]', 31, f'{KINDS}, got "bench/one.pdf"; convert it first, or leave it out'),
        ("[bench]", 31, 'found a folder at "bench"; write "bench/*.jsonl" for the files in it'),
        ("[boolq, bench/]", 38, 'found a folder at "bench/"; write "bench/*.jsonl" for the files in it'),
        ("['']", 31, f'{KINDS}, got ""; convert it first, or leave it out'),
        ("[crawl]", 31, 'found a folder at "crawl"'),
        (
            "[zebra]",
            31,
            'found nothing at "benchmarks/zebra"; put the benchmark there, none comes with Quern',
        ),
    ],
)
def test_what_is_no_benchmark_s_file_is_told_at_its_own_place(folder, against, column, said):
    (found,) = mistakes(folder, rest=f"steps:\n  - decontaminate: {{against: {against}}}\n")
    assert found == f"r.yaml:9:{column}: expected a file to compare with, {said}"


def test_the_corpus_that_is_built_is_not_proposed(folder):
    found = mistakes(
        folder, rest="steps: [minhash: {against: [corpora/2026-9]}]\n", out=folder / "corpora/2026-09"
    )
    assert found[0].endswith('found nothing at "corpora/2026-9"')


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("url: {domains: [lists/hosts.txt, lists/hsts.txt]}", "url.domains lists/hsts.txt lists/hosts.txt"),
        ("url: {urls: [list]}", "url.urls list list.txt"),
        ("url: {banned_words: [zebra]}", "url.banned_words zebra "),
        ("url: {ut1: [ut/adult]}", "url.ut1 ut/adult ut1/adult"),
        ("c4_bad_words: {file: lst.txt}", "c4_bad_words.file lst.txt list.txt"),
        ("language: {model: lid.bn}", "language.model lid.bn lid.bin"),
        ("book_catalogue: {file: pg_catalogue.csv}", "book_catalogue.file pg_catalogue.csv pg_catalog.csv"),
    ],
)
def test_side_inputs_of_a_step_at_their_own_line(folder, step, said):
    name, params = step.split(": ", 1)
    key, value = params.strip("{}").split(": ", 1)
    more = ", model_sha256: abc" if "model" in key else ""
    written = f"\n      - {name}:\n         {{action: mark{more},\n         {key}: {value}}}"
    (found,) = mistakes(folder, steps=written)
    what, path, near = said.split(" ")
    hint = f'; did you mean "{near}"?' if near else ""
    assert found.startswith("r.yaml:10:")
    kind = "folder" if key == "ut1" else "file"
    assert found.endswith(f': expected a {kind} for `{what}`, found nothing at "{path}"{hint}')


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("url: {domains: [crawl]}", 'expected a file for `url.domains`, found a folder at "crawl"'),
        ("url: {domains: ['']}", 'expected a file for `url.domains`, found nothing at ""'),
        (
            "url: {ut1: [list.txt]}",
            'expected a folder for `url.ut1`, found a file at "list.txt"; did you mean "lists"?',
        ),
        ("c4_bad_words: {file: crawl}", 'expected a file for `c4_bad_words.file`, found a folder at "crawl"'),
        (
            "book_catalogue: {file: crawl}",
            'expected a file for `book_catalogue.file`, found a folder at "crawl"',
        ),
        (
            "language: {model: crawl, model_sha256: abc}",
            'expected a file for `language.model`, found a folder at "crawl"',
        ),
    ],
)
def test_a_folder_for_a_file_and_a_file_for_a_folder(folder, step, said):
    (found,) = mistakes(folder, steps=f"[{step}]")
    assert found.startswith("r.yaml:7:")
    assert found.endswith(f": {said}")


def test_a_folder_for_a_tokenizer(folder):
    (found,) = mistakes(folder, rest="tokens: {use: crawl}\n")
    assert found == 'r.yaml:8:15: expected a tokenizer.json, found a folder at "crawl"'


def test_every_side_input_is_told_and_a_catalogue_where_it_is_read(folder):
    found = mistakes(
        folder,
        read="{gutenberg: {catalogue: pg_catalog.cvs}}",
        steps="[url: {domains: [a], urls: [b]}, exct]",
    )
    places = [line.partition(" expected")[0] for line in found]
    assert places == ["r.yaml:4:35:", "r.yaml:7:29:", "r.yaml:7:40:", "r.yaml:7:45:"]
    assert found[0].endswith('"pg_catalog.cvs"; did you mean "pg_catalog.csv"?')


def test_a_catalogue_s_key_is_known_where_books_are_read(folder):
    (found,) = mistakes(folder, read="{gutenberg: {catalog: pg_catalog.csv}}")
    assert found.startswith("r.yaml:4:24: expected a known key in `sources[0].read.gutenberg` (")
    assert found.endswith(', catalogue), got "catalog"; did you mean "catalogue"?')


def test_a_catalogue_is_no_mistake_beside_one(folder):
    (folder / "pg_catalog.csv").write_text(
        "Text#,Type,Issued,Title,Language,Authors\n1,Text,,Emma,en,Jane Austen\n"
    )
    (found,) = mistakes(folder, read="{gutenberg: {catalogue: pg_catalog.csv}}", root="licnce: MIT")
    assert found.startswith("r.yaml:6:5: expected a known key in `sources[0]` (")
    told = mistakes(
        folder,
        read="{gutenberg: {catalogue: pg.csv, max_ratio: nine}}",
        root="licnce: MIT",
    )
    assert [line.partition(" expected")[0] for line in told] == [
        "r.yaml:4:35:",
        "r.yaml:4:54:",
        "r.yaml:6:5:",
    ]


@pytest.mark.parametrize("params", ["", ", model: 'hf://x/y'", ", model: gone.bin"])
def test_what_a_stage_of_the_user_s_own_calls_a_path_is_its_own_to_check(folder, params):
    (folder / "own.py").write_text(
        "from pipelines.stage import Rule\n\n\nclass Own(Rule):\n    name = 'own'\n    version = 1\n"
        "    path_fields = ('model',)\n    model: str = 'builtin'\n"
    )
    assert load(folder, steps=f"[{{use: './own.py:Own'{params}}}]", allow_code=True).sources


# The library's Rust gives up on this one, which is no exception of Python's.
PANICS = json.dumps(
    {
        "model": {"type": "BPE", "vocab": {"</s>": 0}, "merges": []},
        "added_tokens": [
            {"id": 0, "content": "</s>", "special": True}
            | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        ],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
    }
)


@pytest.mark.parametrize(
    ("content", "eot", "said"),
    [
        (
            PANICS,
            "",
            "list.txt: expected a tokenizer.json with a `model`, found what it cannot read (Precompiled",
        ),
        (None, "", "list.txt: expected a tokenizer.json with a `model`, found something else"),
        (
            '{"model": {}}',
            "",
            "list.txt: expected a tokenizer.json with a `model`, found what it cannot read",
        ),
        (TOKENIZER, "", "list.txt: expected one end-of-text token, found </s>, <eos>"),
        (TOKENIZER, ", eot: '<end>'", "list.txt: expected one end-of-text token <end>, found none"),
    ],
)
def test_a_tokenizer_that_nothing_could_be_encoded_with(folder, content, eot, said):
    if content:
        (folder / "list.txt").write_text(content)
    (found,) = mistakes(folder, rest=f"tokens: {{use: list.txt{eot}}}\n")
    assert found.startswith(f"r.yaml:8:15: {said}")


def test_a_tokenizer_that_can_be_used(folder):
    (folder / "tokenizer.json").write_text(TOKENIZER)
    assert load(folder, rest="tokens: {use: tokenizer.json, eot: </s>}\n").tokens


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("model: list.txt", "list.txt: expected a fastText model of version 12, found another file"),
        ("model: lid.bin", "lid.bin: expected a fastText model of version 12, found another file"),
        (
            f"model: true.bin, model_sha256: {'a' * 64}",
            f"true.bin: expected a model of the SHA-256 {'a' * 64}, found ",
        ),
        ("model: true.bin", "true.bin: expected a model of the SHA-256 8f3472cfe8738a"),
        (
            "model_sha256: abc",
            "lid.176.ftz: expected a model of the SHA-256 abc, found one of 8f3472cfe8738a",
        ),
    ],
)
def test_a_model_that_is_another_file(folder, model, said):
    (folder / "true.bin").write_bytes(bytes.fromhex("ba164f2f0c000000"))
    (found,) = mistakes(folder, steps=f"[language: {{{model}, keep: [en]}}]")
    column = 31 if "model: " in model else 13
    assert found.startswith(f"r.yaml:7:{column}: ")
    assert said in found


@pytest.mark.parametrize("file", ["list.txt", "pg_catalog.csv", "crawl/1.warc.gz"])
def test_a_catalogue_that_is_another_file(folder, file):
    (found,) = mistakes(folder, read="gutenberg", steps=f"[book_catalogue: {{file: {file}}}]")
    assert found.startswith(f"r.yaml:7:36: {file}: expected Project Gutenberg's catalogue")


@pytest.mark.parametrize(("name", "data"), [("bench/one.jsonl", '{"question": '), ("boolq.csv", "")])
def test_a_benchmark_that_cannot_be_read_is_told_by_the_plan(folder, name, data):
    (folder / name).write_text(data)
    steps = "[decontaminate:\n      {against: [" + name + "]}]"
    (found,) = mistakes(folder, steps=steps)
    assert found.startswith(f"r.yaml:8:17: {name}")


def test_what_is_no_json_is_no_tokenizer_that_was_meant(folder):
    (folder / "gpt3.py").touch()
    (found,) = mistakes(folder, rest="tokens: {use: gpt2}\n")
    assert found == 'r.yaml:8:15: expected a tokenizer.json, found nothing at "gpt2"'


def test_a_fault_of_the_machine_is_no_mistake_of_the_recipe(folder, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipelines.registry.digest_file", fail)
    with pytest.raises(OSError, match="Input/output error"):
        load(folder, steps="[{use: './rules.py:long'}]", allow_code=True)
