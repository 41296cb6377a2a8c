"""A recipe is resolved into frozen stages and lists of files, or refused with every mistake at its place."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import ValidationError

from manifests.digest import canonical, digest_file
from manifests.errors import QuernError, RecipeError
from pipelines import recipe as recipe_module
from pipelines.filters.gopher import GopherQuality
from pipelines.recipe import load_recipe, resolved
from pipelines.registry import READERS, STAGES, reader_class, stage_class
from pipelines.stage import Edit, Gather, short_names
from pipelines.steps import stage_of

SHIPPED = sorted((Path(recipe_module.__file__).parent / "recipes").glob("*.yaml"))

LID = bytes.fromhex("ba164f2f0c000000")
"""How a fastText model begins; nothing more is read of it before work."""
LID_BIN = f"model: lid.bin, model_sha256: {hashlib.sha256(LID).hexdigest()}"


@pytest.fixture
def folder(tmp_path):
    """A folder with a small crawl, some books and a benchmark, all but the benchmark empty."""
    for path in ("crawl/a/1.warc.gz", "crawl/a/2.warc.gz", "crawl/b/1.warc.gz", "crawl/.hidden/3.warc.gz"):
        touch(tmp_path / path)
    for path in ("books/emma.txt", "books/emma.zip", "more/emma.txt", "more/[odd] name.txt"):
        touch(tmp_path / path)
    (tmp_path / "lid.bin").write_bytes(LID)
    touch(tmp_path / "bench" / "one.jsonl", '{"q": "How many apples are left?"}\n')
    touch(tmp_path / "bench" / "two.jsonl", '{"q": "Which planet is the largest one?"}\n')
    return tmp_path


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def load(folder, text, *overrides, **options):
    path = folder / "r.yaml"
    path.write_text(text)
    return load_recipe(path, overrides, **options)


def mistakes(folder, text, *overrides, **options):
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides, **options)
    return str(caught.value).replace(f"{folder}/", "").splitlines()[:-1]


def web(paths='["crawl/**/*.warc.gz"]', rest="", read="wet "):
    return f"name: small\nsources:\n  - {{name: web, read: {read}, paths: {paths}{rest}}}\n"


def paths_of(recipe, source=0):
    return [file.path for file in recipe.sources[source].files]


# --- files -----------------------------------------------------------------------------------------


def test_a_glob_is_rooted_at_what_stands_before_its_first_wildcard(folder):
    recipe = load(folder, web(rest=", steps: []"))
    assert paths_of(recipe) == ["a/1.warc.gz", "a/2.warc.gz", "b/1.warc.gz"]
    assert {file.root for file in recipe.sources[0].files} == {folder / "crawl"}


def test_a_single_file_is_rooted_at_its_folder(folder):
    recipe = load(folder, web('["crawl/a/2.warc.gz"]', ", steps: []"))
    assert paths_of(recipe) == ["2.warc.gz"]


def test_a_file_whose_name_is_no_unicode_is_refused_by_its_name(folder):
    odd = folder / "books" / os.fsdecode(b"b\xff.txt")
    touch(odd)
    for paths, root in (('["books/*.txt"]', ""), ('["**/*.txt"]', ", root: books")):
        (found,) = mistakes(folder, web(paths, f"{root}, steps: []", "gutenberg"))
        assert "expected files whose names are UTF-8, got books/b\\udcff.txt: " in found
        assert found.startswith("r.yaml:3:")
        assert found.endswith("; rename them")


def test_a_declared_root_names_files_below_it(folder):
    recipe = load(folder, web('["a/*.gz", "b/1.warc.gz"]', ", root: crawl, steps: []"))
    assert paths_of(recipe) == ["a/1.warc.gz", "a/2.warc.gz", "b/1.warc.gz"]


def test_a_name_with_brackets_is_found_as_it_stands(folder):
    assert paths_of(load(folder, web('["more/[odd] name.txt"]', ", steps: []"))) == ["[odd] name.txt"]


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_a_path_list_is_read_plain_and_gzipped(folder, pack):
    (folder / "list").write_bytes(pack("# a crawl\ncrawl/b/1.warc.gz\n\ncrawl/a/1.warc.gz\n"))
    assert paths_of(load(folder, web('["@list"]', ", steps: []"))) == [
        "crawl/a/1.warc.gz",
        "crawl/b/1.warc.gz",
    ]


def test_a_path_list_counts_from_the_declared_root(folder):
    touch(folder / "list", "a/1.warc.gz\n")
    recipe = load(folder, web('["@list"]', ", root: crawl, steps: []"))
    assert recipe.sources[0].files[0].full == folder / "crawl" / "a" / "1.warc.gz"


def test_the_order_of_files_is_that_of_their_paths_not_of_the_patterns(folder):
    recipe = load(folder, web('["b/*", "a/*"]', ", root: crawl, steps: []"))
    assert paths_of(recipe) == ["a/1.warc.gz", "a/2.warc.gz", "b/1.warc.gz"]


def test_the_folder_s_place_on_the_machine_leaves_no_trace(folder, tmp_path_factory):
    text = web(rest=", steps: []") + "steps: [exact, decontaminate: {against: ['bench/*.jsonl']}]\n"
    first = canonical(resolved(load(folder, text)))
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    folder.rename(moved)
    assert canonical(resolved(load(moved, text))) == first
    assert str(folder).encode() not in first


def test_taking_more_files_keeps_those_already_taken(folder):
    taken = [set(paths_of(load(folder, web(rest=f", take: {{files: {n}}}, steps: []")))) for n in (1, 2, 3)]
    assert [len(each) for each in taken] == [1, 2, 3]
    assert taken[0] < taken[1] < taken[2]


def test_another_seed_takes_other_files(folder):
    for i in range(40):
        touch(folder / "crawl" / f"{i}.warc.gz")
    chosen = [load(folder, web(rest=f", take: {{files: 5, seed: {seed}}}, steps: []")) for seed in (1, 1, 2)]
    assert paths_of(chosen[0]) == paths_of(chosen[1]) != paths_of(chosen[2])


@pytest.mark.parametrize(
    ("paths", "rest", "place", "what"),
    [
        ('["crawl/*.zip"]', "", "3:37", 'expected files like "crawl/*.zip", found none below'),
        ('["none/*.zip"]', "", "3:37", "there is no folder none"),
        ('["a.warc", "crawl/a/3.gz"]', "", "3:47", 'expected a file, found nothing at "crawl/a/3.gz"'),
        ('["@missing"]', "", "3:37", "missing: expected a readable list of paths"),
        ('["@list"]', "", "3:37", "list:2: expected a file, found nothing at crawl/c.gz"),
        ('["@absolute"]', "", "3:37", "absolute:1: expected a relative path, got /x/1.gz; add  root: /x"),
        ('["@broken"]', "", "3:37", "broken: expected a readable list of paths"),
        ('["@empty"]', "", "3:37", "empty: expected a list of paths, got an empty file"),
        ('["https://host/*.warc.gz"]', "", "3:37", "expected an address without wildcards"),
        ('["nonsense://bucket/*.warc.gz"]', "", "3:37", "expected an address of a known protocol"),
        ('["../*.yaml"]', ", root: crawl", "3:37", "expected a path below root"),
        ('["crawl/a/*", "crawl/*/1.warc.gz"]', ", root: .", "3:36", "expected every file once"),
        ('["books/*.txt", "more/*.txt"]', "", "3:36", "documents would have equal ids; add  root:"),
        ('["crawl/a/*"]', ", take: {files: 3}", "3:65", "expected at most 2"),
        ("[]", "", "3:36", "expected a list of 1 or more"),
    ],
)
def test_paths_that_name_no_input_are_refused_at_their_place(folder, paths, rest, place, what):
    touch(folder / "list", "crawl/a/1.warc.gz\ncrawl/c.gz\n")
    touch(folder / "absolute", "/x/1.gz\n")
    touch(folder / "empty", "\n# nothing\n")
    (folder / "broken").write_bytes(b"\x1f\x8b\x08broken")
    found = [line for line in mistakes(folder, web(paths, rest + ", steps: []")) if what in line]
    assert [line.startswith(f"r.yaml:{place}: ") for line in found] == [True]


# --- steps -----------------------------------------------------------------------------------------


def names(steps):
    return [step.name for step in steps]


def test_a_stage_used_again_gets_a_number(folder):
    text = (
        web(rest=", steps: [save]")
        + "steps: [exact, minhash: {ngram: 3}, exact: {by: normalised}, minhash]\n"
    )
    recipe = load(folder, text)
    assert names(recipe.steps) == ["exact", "minhash", "exact_2", "minhash_2"]
    assert [recipe.steps[1].stage.ngram, recipe.steps[3].stage.ngram] == [3, 5]


def test_sources_with_the_same_step_share_its_name_and_later_steps_count_on(folder):
    text = (
        "name: two\nsources:\n  - {name: a, read: wet, paths: ['crawl/a/*'], steps: [gopher_quality]}\n"
        "  - {name: b, read: {wet: }, paths: ['crawl/b/*'], steps: [gopher_quality, gopher_quality]}\n"
    )
    recipe = load(folder, text)
    assert [names(source.steps) for source in recipe.sources] == [
        ["gopher_quality"],
        ["gopher_quality", "gopher_quality_2"],
    ]


@pytest.mark.parametrize(
    ("rest", "steps", "what"),
    [
        (", steps: [exact]", "", "expected a step of one source, got exact"),
        (", steps: []", "steps: [gopher_quality]\n", "expected a step over all sources (exact, minhash"),
        (", steps: []", "steps: [save]\n", "got save"),
        # The name it goes by has a number, for the source has one of it.
        (", steps: [gopher_quality]", "steps: [gopher_quality]\n", "got gopher_quality, which runs on one"),
        (", steps: [exact]", "steps: [exact]\n", "got exact, which compares"),
    ],
)
def test_a_step_that_stands_where_steps_of_another_kind_run_is_refused(folder, rest, steps, what):
    found = mistakes(folder, web(rest=rest) + steps)
    assert len(found) == 1
    assert what in found[0]


def test_save_is_a_step_without_a_stage(folder):
    recipe = load(folder, web(rest=", steps: [save]"))
    assert [(step.name, step.stage) for step in recipe.sources[0].steps] == [("save", None)]


def test_only_name_and_sources_are_required_and_the_reader_brings_its_steps(folder):
    recipe = load(folder, web())
    assert names(recipe.sources[0].steps) == ["language", "gopher_repetition", "gopher_quality"]
    assert recipe.sources[0].steps[0].stage.keep == ("en",)
    assert (recipe.steps, recipe.tokens, recipe.sources[0].licence) == ((), None, None)


@pytest.mark.parametrize(
    ("steps", "place", "what"),
    [
        ("[exct]", "3:68", 'got "exct"; did you mean "exact"?'),
        ("[exact: {bye: text}]", "3:76", 'got "bye"; did you mean "by"?'),
        ("[exact: {by: texts}]", "3:80", 'got "texts"; did you mean "text"?'),
        (
            "[minhash: {ngram: five}]",
            "3:85",
            'expected a whole number for `sources[0].steps[0].minhash.ngram`, got "five"',
        ),
        ("[exact: text]", "3:75", "expected a mapping (key: value)"),
        ("[save: {now: 1}]", "3:68", "expected `save` alone"),
        ("[{exact: {}, minhash: {}}]", "3:68", "expected a step: name, name: {parameters}"),
        ("[7]", "3:68", "expected a step: name, name: {parameters}"),
        ("[[exact]]", "3:68", "expected a step: name, name: {parameters}"),
        ("exact", "3:67", "expected a list"),
        ("[warc]", "3:68", "readers stand under `read`"),
        (
            "[decontaminate: {against: [none.jsonl]}]",
            "3:94",
            'expected a file to compare with, found nothing at "none.jsonl"',
        ),
        ("[decontaminate: {against: ['x/*.jsonl']}]", "3:94", 'found nothing at "x/*.jsonl"'),
        (
            "[decontaminate: {against: [mmlu]}]",
            "3:94",
            'found nothing at "benchmarks/mmlu"; put the benchmark there',
        ),
        ("[decontaminate]", "3:68", "expected the key `sources[0].steps[0].against`"),
        ("[{use: rules.py}]", "3:68", "expected use: ./FILE.py:Name"),
        ("[{use: './none.py:Rule'}]", "3:68", 'found nothing at "./none.py"'),
    ],
)
def test_a_wrong_step_is_refused_at_its_place(folder, steps, place, what):
    found = mistakes(folder, web(rest=f", steps: {steps}"))
    assert len(found) == 1
    assert found[0].startswith(f"r.yaml:{place}: ")
    assert what in found[0]


def test_a_rule_for_words_before_there_is_text_is_refused(folder):
    found = mistakes(folder, web(rest=", steps: [gopher_quality]", read="warc"))
    assert found == [
        (
            "r.yaml:3:68: expected `text`, which gopher_quality reads, to be made by a step before it, found none; "
            "put `extract` before it"
        )
    ]


def test_a_benchmark_glob_is_replaced_by_the_files_it_matches_in_order(folder):
    recipe = load(
        folder,
        web(rest=", steps: []") + "steps: [decontaminate: {against: ['bench/*']}]\n",
    )
    assert recipe.steps[0].stage.against == ("bench/one.jsonl", "bench/two.jsonl")


def test_a_benchmark_s_name_stands_for_the_files_that_the_recipe_s_folder_keeps_of_it(folder):
    home = folder / "benchmarks"
    for name in ("mmlu/test/law.jsonl", "mmlu/dev.jsonl", "gsm8k.jsonl.gz"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        item = json.dumps({"question": f"What does {name} hold?"}).encode()
        (home / name).write_bytes(gzip.compress(item) if name.endswith(".gz") else item)
    (home / "mmlu" / "LICENSE").write_text("MIT")
    (folder / "mmlu").mkdir()  # a folder of that name beside the recipe is no benchmark
    steps = "steps: [decontaminate: {against: [mmlu, bench/one.jsonl, gsm8k]}]\n"
    against = load(folder, web(rest=", steps: []") + steps).steps[0].stage.against
    expected = ("mmlu/dev.jsonl", "mmlu/test/law.jsonl", "../bench/one.jsonl", "gsm8k.jsonl.gz")
    assert against == tuple(os.path.normpath(f"benchmarks/{name}") for name in expected)


# --- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "column", "what"),
    [
        (
            "gopher_quality: {min_alpha_word_frac: 80}",
            39,
            "expected a number of 1 or less for `{}.min_alpha_word_frac`, got 80; 80% is 0.8",
        ),
        (
            "gopher_quality: {min_alpha_word_frac: 800}",
            39,
            "a number of 1 or less for `{}.min_alpha_word_frac`, got 800",
        ),
        ("gopher_quality: {min_words: -3}", 29, "expected a number of 0 or more for `{}.min_words`, got -3"),
        (
            "gopher_quality: {min_words: 100, max_words: 10}",
            17,
            "expected min_words of at most max_words, 10, got 100; no",
        ),
        (
            "gopher_quality: {min_words: 200000}",
            17,
            "expected min_words of at most max_words, 100000, got 200000; no",
        ),
        (
            "gopher_quality: {min_mean_word_chars: 11}",
            17,
            "expected min_mean_word_chars of at most max_mean_word_chars, 10.0, got 11.0; no document would pass",
        ),
        (
            "gopher_quality: {stop_words: []}",
            17,
            "at least as many as min_stop_words, 2, got 0; no document would",
        ),
        (
            "gopher_quality: {stop_words: [the, the]}",
            17,
            "as many as min_stop_words, 2, got 1; no document would",
        ),
        ("gopher_quality: {for: []}", 23, "expected a list of 1 or more for `{}.for`, got a list of 0"),
        (
            "gopher_repetition: {max_dup_line_frac: 30}",
            40,
            "a number of 1 or less for `{}.max_dup_line_frac`, got 30",
        ),
        (
            "fineweb_quality: {max_newlines_per_word: -0.1}",
            42,
            "a number of 0 or more for `{}.max_newlines_per_word`",
        ),
        ("c4_lines: {for: []}", 17, "expected a list of 1 or more for `{}.for`, got a list of 0"),
        (
            "c4_lines: {max_word_chars: -1}",
            28,
            "expected a number of 0 or more for `{}.max_word_chars`, got -1",
        ),
        (
            "language: {min_score: 5}",
            23,
            "expected a number of 1 or less for `{}.min_score`, got 5; 5% is 0.05",
        ),
        ("language: {min_score: -1}", 23, "expected a number of 0 or more for `{}.min_score`, got -1"),
        (
            "language: {min_scores: {de: 50}}",
            29,
            "expected a number of 1 or less for `{}.min_scores.de`, got 50",
        ),
        ("language: {above_score: 1}", 25, "expected a number below 1 for `{}.above_score`, got 1"),
        ("language: {keep: []}", 18, "expected a list of 1 or more for `{}.keep`, got a list of 0"),
    ],
)
def test_a_limit_that_nothing_could_meet_is_refused_at_its_place(folder, step, column, what):
    text = web(rest=f", steps: [{step}]")
    (found,) = mistakes(folder, text)
    name = step.partition(":")[0]
    place = text.splitlines()[2].index(step) + column
    assert found.startswith(f"r.yaml:3:{place}: ")
    assert what.format(f"sources[0].steps[0].{name}") in found
    # By `--set` it is told alike, where it was set.
    params = re.findall(r"(\w+): ((?:\{.*?\}|\[.*?\]|[^,{}])+)", step.partition("{")[2].removesuffix("}"))
    (again,) = mistakes(
        folder, web(rest=f", steps: [{name}]"), *(f"{name}.{key}={value}" for key, value in params)
    )
    assert again.startswith("--set ")
    assert again.partition("expected ")[2] == found.partition("expected ")[2].replace(".de`", "`")


def test_every_limit_of_a_shipped_rule_has_bounds():
    rules = [stage_class(name) for name in STAGES]
    rules = [rule for rule in rules if rule.__module__.startswith("pipelines.filters.")]
    limits = [
        (rule, name) for rule in rules for name in rule.model_fields if name.startswith(("min_", "max_"))
    ]
    assert len(limits) >= 40
    for rule, name in limits:
        beyond = (-1, 1.5) if name.endswith(("_frac", "_score", "_scores")) else (-1,)
        for value in beyond:
            needed = {"file": "bad.txt"} if "file" in rule.model_fields else {}
            with pytest.raises(
                ValidationError, match=rf"{name}(\.de)?\n  Input should be (greater|less) than or equal"
            ):
                rule.model_validate({name: {"de": value} if name == "min_scores" else value, **needed})


SIGNED = {("c4_bad_words", "seed")}  # a word to draw lots by: it counts nothing
NEEDED = {"against": ["bench/one.jsonl"], "file": "bad.txt"}


def model_of(stage):
    return reader_class(stage) if stage in READERS else stage_class(stage)


EVERY_NUMBER = [
    (stage, name)
    for stage in (*READERS, *STAGES)
    for name, info in model_of(stage).model_fields.items()
    if re.search(r"\b(int|float)\b", str(info.annotation))
]


@pytest.mark.parametrize(("stage", "name"), [each for each in EVERY_NUMBER if each not in SIGNED])
def test_a_number_below_nought_is_refused_at_its_place_by_every_stage(folder, stage, name):
    model = model_of(stage)
    params = {key: value for key, value in NEEDED.items() if key in model.model_fields}
    params[name] = {"de": -1} if name == "min_scores" else -1
    written = f"{{{stage}: {canonical(params).decode()}}}"
    if stage in READERS:
        text = web(read=written, rest=", steps: []")
    elif issubclass(model, Gather):
        text = web(rest=", steps: []") + f"steps: [{written}]\n"
    else:
        text = web(rest=f", steps: [{written}]")
    (found,) = mistakes(folder, text)
    line, column = next((n, row.index("-1") + 1) for n, row in enumerate(text.splitlines(), 1) if "-1" in row)
    assert re.match(rf"r\.yaml:{line}:{column}: expected a number (of [\d.]+ or more|above 0) for `", found)
    assert f"{stage}.{name}" in found
    assert found.endswith(", got -1")


WHOLE = [
    (stage, name)
    for stage, name in EVERY_NUMBER
    if re.search(r"\bint\b", str(model_of(stage).model_fields[name].annotation)) and name != "seed"
]


@pytest.mark.parametrize(("stage", "name"), WHOLE)
def test_a_number_that_no_kernel_holds_is_refused_by_every_stage(stage, name):
    model = model_of(stage)
    needed = {key: value for key, value in NEEDED.items() if key in model.model_fields}
    with pytest.raises(ValidationError, match=rf"{name}(\.int)?\n  Input should be less than"):
        model.model_validate({**needed, name: 10**18 + 1})


def test_a_number_that_no_kernel_holds_is_refused_at_its_place(folder):
    text = web(rest=f", steps: [c4_lines: {{max_word_chars: {10**22}}}]")
    (found,) = mistakes(folder, text + f"tokens: {{train: {{vocab_size: 4k}}, shard_tokens: {10**22}}}\n")[:1]
    assert found.startswith("r.yaml:3:")
    most = f"expected a number of {10**18} or less for `sources[0].steps[0].c4_lines.max_word_chars`"
    assert most in found
    (found,) = mistakes(
        folder, web(rest=", steps: []") + f"tokens: {{use: t.json, holdout_gap_bytes: {10**22}}}\n"
    )
    assert f"expected a number of {10**18} or less for `tokens.holdout_gap_bytes`" in found


@pytest.mark.parametrize(("words", "refused"), [("spaces", True), ("light", True), ("spacy", False)])
def test_stop_words_that_a_kernel_takes_for_one_are_counted_once(words, refused):
    given = {"words": words, "stop_words": ("the", "THE"), "min_stop_words": 2}
    if refused:
        with pytest.raises(ValidationError, match="at least as many as min_stop_words, 2, got 1"):
            GopherQuality(**given)
    else:
        assert GopherQuality(**given).min_stop_words == 2


def test_every_number_of_every_stage_was_walked():
    assert len(WHOLE) >= 40
    assert len(EVERY_NUMBER) >= 70
    assert set(EVERY_NUMBER) >= SIGNED
    assert {("gutenberg", "max_ratio"), ("extract", "max_depth"), ("minhash", "bands")} <= set(EVERY_NUMBER)


@pytest.mark.parametrize(
    ("stage", "name"), [each for each in EVERY_NUMBER if each[0] in (*READERS, "extract")]
)
def test_nothing_at_all_is_no_limit_of_a_reader_or_an_extractor(stage, name):
    with pytest.raises(ValidationError, match=rf"{name}\n  Input should be greater than or equal to 1 "):
        model_of(stage).model_validate({name: 0})
    assert model_of(stage).model_validate({name: 1})


def test_a_tokenizer_is_trained_on_some_text(folder):
    (found,) = mistakes(
        folder, web(rest=", steps: []") + "tokens: {train: {vocab_size: 1k, sample_bytes: 0}}\n"
    )
    assert found == "r.yaml:4:48: expected a number of 1 or more for `tokens.train.sample_bytes`, got 0"


@pytest.mark.parametrize(
    "step",
    [
        "gopher_quality: {min_words: null, max_words: 0, min_alpha_word_frac: 0, max_bullet_line_frac: 1}",
        "gopher_quality: {min_words: 9, max_words: 9, stop_words: [], min_stop_words: 0}",
        "gopher_quality: {stop_words: [], min_stop_words: null, min_mean_word_chars: null, min_alpha_word_frac: 1}",
        "language: {min_score: 0, above_score: 0}",
        "language: {min_score: 1, whole_below: null}",
    ],
)
def test_limits_at_their_bounds_and_turned_off_are_let_through(folder, step):
    assert load(folder, web(rest=f", steps: [{step}]")).sources[0].steps


def test_a_recorded_parameter_that_this_version_refuses_is_told_by_its_name(folder):
    params = {"min_alpha_word_frac": "80"}
    spec = {"step": "q", "stage": "gopher_quality", "version": GopherQuality.version, "params": params}
    with pytest.raises(
        RecipeError, match=r"gopher_quality\.min_alpha_word_frac: expected a parameter of this version"
    ):
        stage_of(spec, folder)


def test_a_function_s_minimum_above_its_maximum_is_refused(folder):
    touch(folder / "own.py", "def score(text):\n    return 1.0\n")
    steps = ", steps: [{use: './own.py:score', min: 2, max: 1}]"
    (found,) = mistakes(folder, web(rest=steps), allow_code=True)
    assert "expected min of at most max, 1.0, got 2.0; no document would pass" in found


# --- languages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "strangers"),
    [
        ("[language: {keep: [en, de]}, gopher_quality]", "got de"),
        ("[language: {keep: [en, de]}, gopher_quality: {for: [de]}]", "got de"),
        ("[language: {keep: [de]}, save, gopher_quality]", "got de"),
        ("[language, gopher_quality]", "got any language"),
        ("[language: {keep: [en], action: mark}, gopher_quality]", "got any language"),
    ],
)
def test_another_language_through_an_english_rule_is_refused_with_the_ways_out(folder, steps, strangers):
    found = mistakes(folder, web(rest=f", steps: {steps}"))
    assert len(found) == 1
    assert strangers in found[0]
    for way_out in ("stop_words: [...]", "leave gopher_quality out"):
        assert way_out in found[0]
    # A route to a language that is not let through would reach nothing.
    assert ("{for: [en]}" in found[0]) == ("{keep: [de]}" not in steps)
    # With a route it would be refused whatever is kept.
    assert ("language: {keep: [en]}" in found[0]) == ("for:" not in steps)


@pytest.mark.parametrize(
    "steps",
    [
        "[language: {keep: [en]}, gopher_quality]",
        "[language: {keep: [en, de]}, gopher_quality: {for: [en]}]",
        "[gopher_quality]",
        "[language: {keep: [de]}, gopher_quality: {stop_words: [der, die, und]}]",
        "[language: {keep: [de]}, gopher_quality: {min_stop_words: }]",
    ],
)
def test_english_through_an_english_rule_is_let_through(folder, steps):
    assert "gopher_quality" in names(load(folder, web(rest=f", steps: {steps}")).sources[0].steps)


@pytest.mark.parametrize(
    ("keep", "rule", "way_out"),
    [
        (
            "zh",
            "gopher_repetition",
            "Write  gopher_repetition: {words: light} (and the limits of docs/recipes.md, Other languages), or",
        ),
        (
            "zh",
            "gopher_repetition: {words: spacy}",
            "give it words: light (and the limits of docs/recipes.md",
        ),
        (
            "zh",
            "gopher_quality",
            "give it stop_words: [...], words: light and min_mean_word_chars: 1 (and the",
        ),
        (
            "zh",
            "gopher_quality: {words: spacy}",
            "give it stop_words: [...], words: light and min_mean_word_chars: 1 (and the",
        ),
        (
            "zh",
            "gopher_quality: {stop_words: [的, 是]}",
            "give it stop_words: [...], words: light and min_mean_word_chars: 1 (and the",
        ),
        ("de", "gopher_quality: {words: spacy}", "give it stop_words: [...] and words: spaces,"),
        ("de", "c4_quality", "give it words: light"),
        ("zh", "c4_quality: {words: spacy}", "give it words: light"),
        ("th", "fineweb_quality", "Write  fineweb_quality: {words: light}"),
        ("th", "gopher_quality", "give it stop_words: [...] and words: light (and the"),
        ("th", "gopher_quality: {words: light}", "give it stop_words: [...],"),
        (
            "de",
            "c4_quality: {units: sentences, words: spacy}",
            "give it units: lines and words: light (and the",
        ),
    ],
)
def test_a_language_without_spaces_is_shown_light_words_among_the_ways_out(folder, keep, rule, way_out):
    (found,) = mistakes(folder, web(rest=f", steps: [language: {{keep: [{keep}]}}, {rule}]"))
    assert way_out in found


@pytest.mark.parametrize(
    "rule",
    [
        "gopher_repetition: {words: light}",
        "fineweb_quality: {words: light}",
        "c4_quality: {words: light}",
        "gopher_quality: {words: light, min_mean_word_chars: 1, stop_words: [的, 是]}",
        "gopher_quality: {words: light, min_mean_word_chars: null, min_stop_words: null}",
    ],
)
def test_light_words_are_let_through_in_any_language(folder, rule):
    steps = f", steps: [language: {{keep: [en, zh, th]}}, {rule}]"
    assert rule.partition(":")[0] in names(load(folder, web(rest=steps)).sources[0].steps)


@pytest.mark.parametrize(
    ("keep", "rule", "cut", "groups"),
    [
        ("en, zh", "gopher_quality: {words: light, stop_words: [的, 是]}", "zh", ["en", "zh"]),
        (
            "en, ja, zh, th",
            "gopher_quality: {for: [ja, th, zh], words: light, stop_words: [的, 是]}",
            "ja, zh",
            ["th", "ja, zh"],
        ),
        ("en, zh, de", "gopher_quality: {words: light}", "zh", ["en", "de", "zh"]),
        ("zh, th", "gopher_quality: {words: light}", "zh", ["th", "zh"]),
    ],
)
def test_a_mean_word_length_for_words_between_spaces_is_refused_for_grams(folder, keep, rule, cut, groups):
    steps = f", steps: [language: {{keep: [{keep}]}}, %s]"
    found = mistakes(folder, web(rest=steps % rule))[-1]
    assert f"expected min_mean_word_chars to be chosen for {cut}, whose words" in found
    written = re.findall(r"gopher_quality: \{.*?\}", found)
    assert [re.findall(r"for: \[(.*?)\]", step) for step in written] == [[group] for group in groups]
    # Those that the rule does not know are asked for their own stop words.
    assert ["stop_words: [...]" in step for step in written] == [group != "en" for group in groups]
    assert load(folder, web(rest=steps % ", ".join(written).replace("...", "的, 是"))).sources


@pytest.mark.parametrize("language", ["th", "km", "lo", "my"])
def test_grams_of_other_scripts_are_as_long_as_words(folder, language):
    rule = "gopher_quality: {words: light, min_stop_words: null}"
    assert load(folder, web(rest=f", steps: [language: {{keep: [{language}]}}, {rule}]")).sources


def test_labels_of_another_model_are_taken_for_the_languages_they_mean(folder):
    model = f"{LID_BIN}, keep: [eng_Latn, deu_Latn]"
    text = web(rest=f", steps: [language: {{{model}}}, gopher_quality: {{for: [eng_Latn]}}, gopher_quality]")
    (found,) = mistakes(folder, text)
    assert "got deu_Latn: they would be dropped" in found
    assert "gopher_quality: {for: [eng_Latn]}" in found


@pytest.mark.parametrize(
    ("route", "near"),
    [
        ("english", "en"),
        ("EN", "en"),
        ("eng", "en"),
        ("eng_Latn", "en"),
        ("en-GB", "en"),
        ("germann", "de"),
        ("xx", None),
    ],
)
@pytest.mark.parametrize("step", ["pii", "gopher_quality", "c4_lines"])
def test_a_route_to_what_the_model_labels_nothing_is_refused_with_the_nearest_label(
    folder, step, route, near
):
    steps = f", steps: [language, {step}: {{for: [en, {route}]}}]"
    (found,) = mistakes(folder, web(rest=steps))
    assert f'expected languages as lid.176 labels them for `{step}.for`, got "{route}"' in found
    assert found.endswith(f'; did you mean "{near}"?' if near else "is meant for")
    (kept,) = mistakes(folder, web(rest=f", steps: [language: {{keep: [{route}]}}]"))
    assert f'expected languages as lid.176 labels them, got "{route}"' in kept
    assert kept.endswith(f'; did you mean "{near}"?' if near else f'"{route}"')


@pytest.mark.parametrize(
    ("language", "route"),
    [
        ("keep: [en]", "de"),
        ("keep: [en, fr]", "de, es"),
        (f"{LID_BIN}, keep: [eng_Latn]", "en"),
    ],
)
def test_a_route_to_what_is_not_let_through_is_refused(folder, language, route):
    steps = f", steps: [language: {{{language}}}, pii: {{for: [{route}]}}]"
    (found,) = mistakes(folder, web(rest=steps))
    assert f"for `pii.for`, got {route}: pii would pass over every document. Leave pii out" in found


def test_a_route_is_let_through_where_nobody_can_say_what_documents_are_labelled(folder):
    touch(folder / "own.py", OWN_LABELS)
    touch(
        folder / "pg_catalog.csv",
        "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\n1,,,,,,,,\n",
    )
    for before in (
        f"language: {{{LID_BIN}}}",
        "language: {keep: [en]}, {use: './own.py:Labels', keep: [en]}",
        f"language: {{keep: [en], action: mark}}, language: {{for: [de], {LID_BIN}}}",
        "{use: './own.py:Labels'}",
        "{use: './own.py:Labels'}, language: {for: [fra], keep: [fr]}",
    ):
        steps = f", steps: [{before}, pii: {{for: [fra, eng]}}]"
        assert load(folder, web(rest=steps), allow_code=True).sources
    catalogue = "book_catalogue: {file: pg_catalog.csv}, pii: {for: [fra]}"
    assert load(folder, web('["books/*.txt"]', f", steps: [{catalogue}]", "gutenberg")).sources


OWN_LABELS = """\
import pyarrow as pa
from pipelines.stage import Rule

class Labels(Rule):
    \"\"\"Labels by somebody's own code.\"\"\"

    name = "labels"
    version = 1
    writes = ("language",)
    reasons = ("other_language",)
    keep: tuple[str, ...] = ("en",)
    \"\"\"Languages, by other names than its labels.\"\"\"
"""


def test_a_route_needs_a_language_step_before_it(folder):
    found = mistakes(folder, web(rest=", steps: [gopher_quality: {for: [en]}]"))
    assert "expected a `language` step before gopher_quality" in found[0]


@pytest.mark.parametrize(
    ("steps", "at", "ways_out"),
    [
        (
            "[c4_lines: {units: sentences}, save, c4_quality]",
            "c4_quality]",
            ("c4_quality: {units: sentences, words: spacy}", "c4_lines: {units: lines}"),
        ),
        (
            "[c4_lines, c4_quality: {units: sentences, words: spacy}]",
            "sentences, words",
            ("c4_quality: {units: lines}", "c4_lines: {units: sentences}"),
        ),
        (
            "[language, c4_lines: {for: [en], units: sentences}, c4_quality: {for: [de, en], words: light}]",
            "c4_quality",
            (
                "c4_quality: {for: [en], units: sentences, words: spacy}",
                "c4_lines: {for: [en], units: lines}",
            ),
        ),
    ],
)
def test_c4_s_rule_counts_in_the_units_its_lines_were_cut_in(folder, steps, at, ways_out):
    text = web(rest=f", steps: {steps}")
    found = mistakes(folder, text)
    assert len(found) == 1
    assert found[0].startswith(f"r.yaml:3:{text.splitlines()[2].index(at) + 1}: ")
    assert "got units: " in found[0]
    for way_out in ways_out:
        assert way_out in found[0]


@pytest.mark.parametrize(
    "steps",
    [
        "[c4_lines: {units: sentences}, c4_quality: {units: sentences, words: spacy}]",
        "[c4_lines, c4_quality: {words: spacy}]",
        "[c4_quality: {units: sentences, words: spacy}]",
        "[c4_lines: {units: sentences}]",
        "[language: {keep: [en, zh]}, c4_lines: {for: [en], units: sentences}, c4_quality: {for: [zh], words: light}]",
    ],
)
def test_c4_s_rule_alone_or_in_the_same_units_is_let_through(folder, steps):
    assert load(folder, web(rest=f", steps: {steps}")).sources[0].steps


def test_bad_words_that_stand_by_themselves_are_refused_where_words_have_no_spaces(folder):
    (folder / "bad.txt").write_text("bad\n")
    steps = "[language: {keep: [en, zh]}, c4_bad_words: {for: [zh], file: bad.txt%s}]"
    found = mistakes(folder, web(rest=f", steps: {steps % ''}"))
    assert "by_themselves: false of c4_bad_words for zh" in found[0]
    assert load(folder, web(rest=f", steps: {steps % ', by_themselves: false'}")).sources
    (both,) = mistakes(folder, web(rest=f", steps: {steps.replace('for: [zh], ', '') % ''}"))
    apart, joined = re.findall(r"c4_bad_words: \{.*?\}", both)
    assert (apart, joined) == (
        "c4_bad_words: {for: [en], file: ...}",
        "c4_bad_words: {for: [zh], by_themselves: false, file: ...}",
    )
    written = f"[language: {{keep: [en, zh]}}, {apart}, {joined}]".replace("...", "bad.txt")
    assert load(folder, web(rest=f", steps: {written}")).sources


# --- the rest of a recipe --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("nam: x\n", "4:1", 'got "nam"; did you mean "name"?'),
        ("tokens: {train: {vocab_size: 4k, vocab: 4k}}\n", "4:34", 'got "vocab"'),
        ("tokens: {train: {vocab_size: many}}\n", "4:30", "expected a whole number"),
        (
            "tokens: {train: {vocab_size: 100}}\n",
            "4:30",
            "expected at least 257 (256 bytes and the special tokens), got 100 for `tokens.train.vocab_size`",
        ),
        (
            "tokens: {train: {vocab_size: 257, special_tokens: [a]}}\n",
            "4:30",
            "expected at least 258 (256 bytes and the special tokens), got 257",
        ),
        (
            "tokens: {train: {vocab_size: 1k, special_tokens: [a, a]}}\n",
            "4:50",
            "expected different tokens, without <|endoftext|>, got a list of 2",
        ),
        ("tokens: {train: {vocab_size: 1k}, eot: x}\n", "4:9", "expected `eot` only beside `use`"),
        ("tokens: {use: none.json}\n", "4:15", 'found nothing at "none.json"'),
        ("tokens: {use: r.yaml, holdout: 60%}\n", "4:32", "expected a number of 0.5 or less"),
        (
            "tokens: {train: {vocab_size: 1k}, use: r.yaml}\n",
            "4:9",
            "expected one of `train: {vocab_size: 32768}` and `use: tokenizer.json`",
        ),
        ("tokens: {train: {vocab_size: 1k}, partition: [licens]}\n", "4:47", 'did you mean "licence"?'),
        ("steps: {exact: {}}\n", "4:8", "expected a list"),
        (
            "steps: [exact, editions: {sources: [wev]}]\n",
            "4:37",
            "expected sources of this recipe (web) for ",
        ),
        ("steps: [exact, editions: {sources: [wev]}]\n", "4:37", 'got "wev"; did you mean "web"?'),
        ("steps: [editions: {sources: []}]\n", "4:29", "expected a list of 1 or more"),
        (
            "steps: [editions, exact: {keep: highest, score: qualty}]\n",
            "4:49",
            "a step or a reader of your own makes for `exact.score` (there is none), ",
        ),
        ("steps: [minhash: {keep: highest, score: title}]\n", "4:41", 'got "title"'),
    ],
)
def test_a_wrong_key_is_refused_at_its_place(folder, text, place, what):
    found = mistakes(folder, web(rest=", steps: []") + text)
    assert found[0].startswith(f"r.yaml:{place}: ")
    assert what in found[0]


@pytest.mark.parametrize("score", ["language_score", "gopher_quality.n_words"])
def test_a_score_that_a_step_of_some_source_makes_is_taken(folder, score):
    own = ", steps: [language: {keep: [en]}, gopher_quality]}\n"
    own += '  - {name: more, read: wet, paths: ["crawl/b/*"], steps: []'
    load(folder, web(rest=own) + f"steps: [exact: {{keep: highest, score: {score}}}]\n")
    said = mistakes(folder, web(rest=own) + "steps: [exact: {keep: highest, score: gopher_qality.n_words}]\n")
    assert 'got "gopher_qality.n_words"; did you mean "gopher_quality.n_words"?' in said[0]


OWN_SCORES = "def title(text):\n    return 1.0\n\n\nqual = title\n"


@pytest.mark.parametrize("name", ["title", "qual"])
def test_a_step_of_the_user_makes_values_even_under_the_name_of_a_column(folder, name):
    touch(folder / "own.py", OWN_SCORES)
    own = f", steps: [{{use: './own.py:{name}', min: 0}}]"
    text = web(rest=own) + f"steps: [exact: {{keep: highest, score: {name}.score}}]\n"
    load(folder, text, allow_code=True)
    [said] = mistakes(folder, text.replace(".score", ""), allow_code=True)
    assert said.endswith(f'got "{name}", a step; name a value of it, {name}.VALUE')


@pytest.mark.parametrize(
    ("steps", "score", "what"),
    [
        (
            "gopher_quality: {words: light}",
            "gopher_quality",
            ", a step; name a value of it, gopher_quality.VALUE",
        ),
        ("language: {keep: [en]}", "language", ', which holds no numbers; did you mean "language_score"?'),
        ("language: {keep: [en]}", "text", ", which holds no numbers"),
    ],
)
def test_a_step_or_a_text_is_no_score(folder, steps, score, what):
    own = f", steps: [{steps}]"
    [said] = mistakes(folder, web(rest=own) + f"steps: [exact: {{keep: highest, score: {score}}}]\n")
    assert said.endswith(f'got "{score}"{what}')


@pytest.mark.parametrize(
    ("step", "what"), [("langauge", "did you mean"), ("language: {min_scroe: 0.5}", "did you mean")]
)
def test_of_a_score_nothing_is_said_while_its_step_is_wrong(folder, step, what):
    text = web(rest=f", steps: [{step}]") + "steps: [exact: {keep: highest, score: language_score}]\n"
    [said] = mistakes(folder, text)
    assert what in said
    assert "score`" not in said


@pytest.mark.parametrize(
    ("read", "place", "what"),
    [
        (
            "wrc",
            "3:23",
            'expected a reader (code, gutenberg, jsonl, parquet, warc, wet), got "wrc"; did you mean "warc"?',
        ),
        ("{warc: {max_byte: 1}}", "3:31", 'got "max_byte"; did you mean "max_bytes"?'),
        ("{warc: {}, wet: {}}", "3:23", "expected one reader"),
        ("7", "3:23", "expected text or a mapping (key: value) for `sources[0].read`, got 7"),
    ],
)
def test_a_wrong_reader_is_refused_at_its_place(folder, read, place, what):
    found = mistakes(folder, web(rest=", steps: []", read=read))
    assert found[0].startswith(f"r.yaml:{place}: ")
    assert what in found[0]


def test_two_sources_of_one_name_are_refused(folder):
    second = "  - {name: web, read: wet, paths: [books/emma.txt], steps: []}\n"
    found = mistakes(folder, web(rest=", steps: []") + second)
    assert len(found) == 1
    assert found[0].startswith('r.yaml:4:12: expected a new name, got "web" again (first at')


def test_a_source_named_like_a_stretch_of_another_is_refused(folder):
    second = "  - {name: web.2, read: wet, paths: [books/emma.txt], steps: []}\n"
    found = mistakes(folder, web(rest=", steps: [save]") + second)
    assert len(found) == 1
    assert found[0].startswith('r.yaml:4:12: expected another name, got "web.2"')


def test_a_function_called_read_has_an_account_of_its_own(folder):
    touch(folder / "own.py", "def read(text):\n    return 1.0\n")
    recipe = load(folder, web(rest=", steps: [{use: './own.py:read', min: 0.5}]"), allow_code=True)
    assert names(recipe.sources[0].steps) == ["read_2"]


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(folder):
    text = web('["none.warc"]', ", steps: [exct]") + "steps: [save: 1, minhash: {ngrams: 5}]\n"
    found = mistakes(folder, text)
    assert [line.split(":")[1:3] for line in found] == [["3", "37"], ["3", "59"], ["4", "9"], ["4", "28"]]


def test_wrong_readers_and_steps_are_told_beside_wrong_keys(folder):
    text = (
        "name: small\nsources:\n"
        "  - name: web\n    read: jsonll\n    pths: [a]\n    steps: [exct, gopher_quality: {min_words: fifty}]\n"
        "  - name: more\n    read: {warc: {max_byte: 1}}\n    paths: 7\n    steps: text\n"
        "  - 7\n"
        "steps: [exact: {bye: text}]\nseed: 1\n"
    )
    found = [line.removeprefix("r.yaml:") for line in mistakes(folder, text)]
    assert [(int(line.split(":")[0]), line.partition("got ")[2].partition(";")[0]) for line in found] == [
        (3, "nothing"),
        (4, '"jsonll"'),
        (5, '"pths"'),
        (6, '"exct"'),
        (6, '"fifty"'),
        (8, '"max_byte"'),
        (9, "7"),
        (10, '"text"'),
        (11, "7"),
        (12, '"bye"'),
        (13, '"seed"'),
    ]


@pytest.mark.parametrize("text", ["7\n", "[a]\n", "sources: 7\nsteps: 7\n", "sources: [[exct]]\n"])
def test_what_is_no_recipe_at_all_is_refused_and_nothing_more(folder, text):
    assert all(line.startswith("r.yaml:") for line in mistakes(folder, text))


def test_two_parameters_that_exclude_each_other_are_told_with_their_values_and_nothing_else(folder):
    steps = "steps: [decontaminate: {against: [bench/one.jsonl], method: ngram, ngram: 8, min_words: 9}]\n"
    found = mistakes(folder, web(rest=", steps: []") + steps)
    remedy = "write min_words: 8 (or less), or ngram: 9 (or more)"
    assert found == [f"r.yaml:4:24: expected min_words of at most ngram, 8, got 9; {remedy}"]


def test_a_wrong_key_of_a_listed_layout_is_told_with_those_there_are(folder):
    steps = 'steps: [decontaminate: {against: [bench/one.jsonl], layouts: [{file: "*", fields: mmlu}]}]\n'
    found = mistakes(folder, web(rest=", steps: []") + steps)
    assert any('(files, fields), got "file"; did you mean "files"?' in line for line in found)


def test_an_empty_recipe_is_said_to_be_empty(folder):
    assert mistakes(folder, "# nothing yet\n") == [
        "r.yaml:1:1: expected a mapping (key: value), got an empty file"
    ]


def test_a_missing_recipe_is_one_line(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.yaml: expected a readable file"):
        load_recipe(tmp_path / "none.yaml")


def test_holdout_is_exact(folder):
    recipe = load(
        folder,
        web(rest=", steps: []") + "tokens: {train: {vocab_size: 16k}, holdout: 1%}\n",
    )
    assert (recipe.tokens.train.vocab_size, recipe.tokens.holdout) == (16_000, Fraction(1, 100))


# --- --set -----------------------------------------------------------------------------------------

TWO_USES = "steps: [minhash, exact, minhash: {ngram: 3}]\n"


@pytest.mark.parametrize(
    ("override", "ngrams"),
    [
        ("minhash.ngram=7", [7, 3]),
        ("minhash_2.ngram=7", [5, 7]),
        ("steps.minhash.ngram=7", [7, 3]),
        ("steps.2={minhash: {ngram: 8}}", [5, 8]),
    ],
)
def test_set_reaches_a_step_by_its_name(folder, override, ngrams):
    recipe = load(folder, web(rest=", steps: []") + TWO_USES, override)
    assert [step.stage.ngram for step in recipe.steps if step.name.startswith("minhash")] == ngrams


def test_set_reaches_a_step_in_every_source_and_one_the_reader_brought(folder):
    text = (
        "name: two\nsources:\n  - {name: a, read: wet, paths: ['crawl/a/*']}\n"
        "  - {name: b, read: wet, paths: ['crawl/b/*'], steps: [gopher_quality]}\n"
    )
    recipe = load(folder, text, "gopher_quality.min_words=61")
    limits = [
        step.stage.min_words for s in recipe.sources for step in s.steps if step.name == "gopher_quality"
    ]
    assert limits == [61, 61]


def test_a_value_set_is_part_of_the_recipe_as_if_it_stood_in_the_file(folder):
    text = web(rest=", steps: []")
    in_file = resolved(load(folder, text + "steps: [minhash: {ngram: 7}]\n"))
    assert resolved(load(folder, text + "steps: [minhash]\n", "minhash.ngram=7")) == in_file


def test_a_wrong_value_set_is_reported_as_set(folder):
    found = mistakes(folder, web(rest=", steps: []") + "steps: [minhash]\n", "minhash.ngrm=7")
    assert found[0].startswith("--set steps.0.minhash.ngrm=7: expected a known key")
    assert found[0].endswith('did you mean "ngram"?')


@pytest.mark.parametrize("override", ["gopher_quality.min_words", "steps.exact.by", "gopher_quality", "=1"])
def test_what_is_set_without_a_value_is_refused_and_turns_no_rule_off(folder, override):
    found = mistakes(folder, web(rest=", steps: [gopher_quality]") + "steps: [exact]\n", override)
    assert found[0] == f"--set {override}: expected a.b=value, got no such form"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("gopher_qality.min_words=60", 'got "gopher_qality"; did you mean "gopher_quality"?'),
        ("exct.by=text", 'got "exct"; did you mean "exact"?'),
        ("toknes.holdout=1%", 'got "toknes"; did you mean "tokens"?'),
        ("zebra.min_words=60", 'got "zebra"'),
    ],
)
def test_a_step_that_what_is_set_misspells_is_told_with_the_nearest(folder, override, said):
    found = mistakes(folder, web() + "steps: [exact]\n", override)
    known = "language, gopher_repetition, gopher_quality, exact, name, sources, steps, tokens"
    assert found[0] == f"--set {override}: expected a step of this recipe or a key of it ({known}), {said}"


@pytest.mark.parametrize("wrong", ["sources: 5", "sources: [{name: a, read: [wet], paths: [a]}]"])
def test_what_is_set_in_a_recipe_that_is_wrong_elsewhere_is_refused_in_words(folder, wrong):
    assert "did you mean" in mistakes(folder, f"name: a\n{wrong}\nsteps: [exact]\n", "exct.by=text")[0]


# --- code of the user's own ------------------------------------------------------------------------

RULES = """\
from typing import ClassVar

import numpy as np

from pipelines.stage import Rule


class TooMany(Rule):
    name: ClassVar[str] = "too_many"
    version: ClassVar[int] = 3
    reasons: ClassVar[tuple[str, ...]] = ("too_many",)
    max_frac: float = 0.5

    def measure(self, batch):
        return {}

    def decide(self, values):
        return np.zeros(0, dtype=np.uint8)


def vowels(text):
    return sum(text.count(v) for v in "aeiou")


NUMBER = 3
"""


def with_rules(folder, step):
    touch(folder / "rules.py", RULES)
    return web(rest=f", steps: [{step}]")


def test_code_is_not_run_without_leave(folder):
    touch(folder / "rules.py", "raise SystemExit('this ran')\n")
    found = mistakes(folder, web(rest=", steps: [{use: './rules.py:TooMany'}]"))
    assert "add  --allow-code" in found[0]


def test_a_class_of_the_user_s_own_is_a_stage_like_any_other(folder):
    recipe = load(folder, with_rules(folder, "{use: './rules.py:TooMany', max_frac: 0.25}"), allow_code=True)
    step = recipe.sources[0].steps[0]
    assert (step.name, step.stage.max_frac, step.digest) == (
        "too_many",
        0.25,
        digest_file(folder / "rules.py"),
    )


def test_a_wrong_parameter_of_the_user_s_own_stage_is_refused_at_its_place(folder):
    text = with_rules(folder, "{use: './rules.py:TooMany', max_frc: 1}")
    found = mistakes(folder, text, allow_code=True)
    assert found[0].startswith("r.yaml:3:96: ")
    assert 'did you mean "max_frac"?' in found[0]


def test_a_function_becomes_a_rule_with_two_limits(folder):
    from pipelines.batch import BatchBuilder, Record

    recipe = load(folder, with_rules(folder, "{use: './rules.py:vowels', min: 2, max: 4}"), allow_code=True)
    stage = recipe.sources[0].steps[0].stage
    builder = BatchBuilder("web")
    texts = ["xyz", "aei", "aeiouaeiou"]
    assert [list(builder.add(Record("p", i, 0, 0, text=text))) for i, text in enumerate(texts)] == [
        [],
        [],
        [],
    ]
    verdicts = stage.decide(stage.measure(next(builder.flush())))
    assert [stage.reasons[v - 1] if v else "kept" for v in verdicts] == [
        "score_too_low",
        "kept",
        "score_too_high",
    ]


@pytest.mark.parametrize("name", ["NUMBER", "Missing"])
def test_what_is_neither_stage_nor_function_is_refused(folder, name):
    found = mistakes(folder, with_rules(folder, f"{{use: './rules.py:{name}'}}"), allow_code=True)
    assert f"expected a stage class or a function text -> float named {name}" in found[0]


# --- what a manifest holds -------------------------------------------------------------------------


def test_a_worker_makes_the_same_stages_from_what_is_recorded(folder):
    text = with_rules(folder, "{use: './rules.py:TooMany', max_frac: 0.25}, save")
    recipe = load(
        folder,
        text + "steps: [exact, minhash: {ngram: 4}, decontaminate: {against: ['bench/*']}]\n",
        allow_code=True,
    )
    steps = [*recipe.sources[0].steps, *recipe.steps]
    record = resolved(recipe)
    again = [stage_of(spec, folder) for spec in [*record["sources"][0]["steps"], *record["steps"]]]
    assert again == [step.stage for step in steps]
    assert stage_of(record["sources"][0]["read"], folder) == recipe.sources[0].reader


def test_a_file_edited_after_planning_is_not_run(folder):
    recipe = load(folder, with_rules(folder, "{use: './rules.py:TooMany'}"), allow_code=True)
    spec = resolved(recipe)["sources"][0]["steps"][0]
    (folder / "rules.py").write_text(RULES + "# edited\n")
    with pytest.raises(RecipeError, match="it was edited meanwhile"):
        stage_of(spec, folder)


def test_a_stage_of_another_version_is_not_mistaken_for_the_recorded_one(folder):
    spec = {"step": "exact", "stage": "exact", "version": 99, "params": {}}
    with pytest.raises(RecipeError, match="expected version 99 of exact"):
        stage_of(spec, folder)


def test_a_resolved_recipe_does_not_depend_on_the_hash_seed(folder):
    touch(folder / "r.yaml", web(rest=", steps: []") + "steps: [exact, minhash]\n")
    code = (
        "from pathlib import Path; from manifests.digest import digest_value; from pipelines.recipe import *; "
        f"print(digest_value(resolved(load_recipe(Path({str(folder / 'r.yaml')!r})))))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "LC_ALL": locale},
            check=True,
            capture_output=True,
        ).stdout
        for seed, locale in (("1", "C"), ("2", "C.UTF-8"))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("kind", [*READERS, *STAGES])
def test_every_registered_name_is_a_class_that_goes_by_it(kind):
    found = reader_class(kind) if kind in READERS else stage_class(kind)
    assert found.name == kind
    assert found.version >= 1


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_wrong_in_nothing_but_its_missing_files(path):
    try:
        load_recipe(path)
    except RecipeError as error:
        lines = str(error).splitlines()[:-1]
        assert [
            line for line in lines if "expected files like" not in line and "found nothing" not in line
        ] == []


def test_absolute_paths_do_not_enter_what_is_recorded(folder):
    near = load(folder, web(rest=", steps: []") + "steps: [decontaminate: {against: [bench/one.jsonl]}]\n")
    text = web(rest=", steps: []") + f"steps: [decontaminate: {{against: [{folder}/bench/o*.jsonl]}}]\n"
    far = load(folder, text)
    assert resolved(far) == resolved(near)
    assert far.steps[0].stage.side_inputs(folder) == near.steps[0].stage.side_inputs(folder)


def test_a_users_file_named_by_an_absolute_path_is_recorded_by_its_name(folder):
    (folder / "own").mkdir()
    (folder / "own" / "rules.py").write_text(RULES)
    near = load(folder, with_rules(folder, "{use: './own/rules.py:TooMany'}"), allow_code=True)
    far = load(folder, with_rules(folder, f"{{use: '{folder}/own/rules.py:TooMany'}}"), allow_code=True)
    assert resolved(far) == resolved(near)
    (folder / "recipes").mkdir()
    text = with_rules(folder, f"{{use: '{folder}/own/rules.py:TooMany'}}")
    outside = load(
        folder / "recipes",
        text.replace("[crawl", f"[{folder}/crawl").replace('["crawl', f'["{folder}/crawl'),
        allow_code=True,
    )
    assert resolved(outside)["sources"][0]["steps"][0]["use"] == "rules.py:TooMany"


@pytest.mark.parametrize("again", ["bench/one.jsonl", "./bench/one.jsonl", "{folder}/bench/one.jsonl"])
def test_a_benchmark_named_twice_is_refused_however_it_is_spelt(folder, again):
    against = f"[bench/one.jsonl, bench/two.jsonl, {again.format(folder=folder)}]"
    found = mistakes(folder, web(rest=", steps: []") + f"steps: [decontaminate: {{against: {against}}}]\n")
    got = again.removeprefix("{folder}/")
    assert any(f"got {got}, the same file as bench/one.jsonl" in line for line in found)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/t", "t"], ["/t", "t"]),
        (["./b/t.jsonl", "/b/t.jsonl"], ["b/t.jsonl", "t.jsonl"]),
        (["../x/t.jsonl", "/y/t.jsonl"], ["x/t.jsonl", "y/t.jsonl"]),
    ],
)
def test_short_names_tell_files_apart_without_saying_where_they_lie(paths, names):
    assert short_names(paths) == names


RULE_SETS = """\
name: sets
sources:
  - name: web
    read: {jsonl: {}}
    paths: ["*.jsonl"]
    steps: [language: {keep: [en]}, c4: {for: [en], min_sentences: 2}, fineweb]
"""


def test_the_rules_of_a_paper_are_its_steps(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "r.yaml").write_text(RULE_SETS)
    [source] = load_recipe(tmp_path / "r.yaml").sources
    names = ["language", "c4_lines", "c4_quality", "fineweb_quality"]
    assert [step.name for step in source.steps] == names
    assert [step.stage.route for step in source.steps[1:3]] == [("en",), ("en",)]
    assert source.steps[2].stage.min_sentences == 2
    (tmp_path / "r.yaml").write_text(RULE_SETS.replace("min_sentences", "min_sentence"))
    with pytest.raises(
        QuernError, match=r'r\.yaml:6:\d+: expected a known key in `c4` .*did you mean "min_sentences"'
    ):
        load_recipe(tmp_path / "r.yaml")


def sets(folder, steps):
    (folder / "a.jsonl").write_text('{"text": "x"}\n')
    (folder / "r.yaml").write_text(RULE_SETS.replace("c4: {for: [en], min_sentences: 2}, fineweb", steps))
    return folder / "r.yaml"


@pytest.mark.parametrize(
    ("steps", "overrides"), [("c4: {for: [en], action: mark}", []), ("c4", ["c4.action=mark"])]
)
def test_a_set_of_rules_that_cuts_lines_is_not_told_to_mark_only(tmp_path, steps, overrides):
    with pytest.raises(RecipeError, match=r"`c4` without action: mark.*c4_lines.*would cut") as caught:
        load_recipe(sets(tmp_path, steps), overrides)
    assert "Write  c4_quality: {action: mark}  to mark" in str(caught.value)


def test_what_marks_only_leaves_every_text_as_it_is(tmp_path):
    [source] = load_recipe(sets(tmp_path, "c4_quality: {action: mark}, fineweb: {action: mark}")).sources
    marking = source.steps[1:]
    assert [step.stage.action for step in marking] == ["mark", "mark"]
    assert not any(isinstance(step.stage, Edit) for step in marking)
    load_recipe(sets(tmp_path, "c4: {action: drop}"))


@pytest.mark.parametrize(
    ("step", "meant"), [("finewb", "fineweb"), ("c4s", "c4"), ("sav", "save"), ("exactly", "exact")]
)
def test_every_name_that_a_step_may_have_is_told_where_it_has_none(tmp_path, step, meant):
    with pytest.raises(RecipeError, match=rf'got "{step}"; did you mean "{meant}"') as caught:
        load_recipe(sets(tmp_path, step))
    told = str(caught.value).partition("expected a stage (")[2].partition(")")[0].split(", ")
    assert told == sorted([*STAGES, "c4", "fineweb", "save"])


def test_a_catalogue_of_books_may_stand_where_they_are_read(tmp_path):
    (tmp_path / "1342.txt").write_text("A book.\n")
    (tmp_path / "pg_catalog.csv").write_text(
        "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\n1,,,,,,,,\n"
    )
    (tmp_path / "r.yaml").write_text(
        "name: books\nsources:\n  - name: books\n    read: {gutenberg: {catalogue: pg_catalog.csv, max_ratio: 9}}\n"
        '    paths: ["*.txt"]\n'
    )
    [source] = load_recipe(tmp_path / "r.yaml").sources
    assert source.steps[0].name == "book_catalogue"
    assert source.reader.max_ratio == 9
    (tmp_path / "pg_catalog.csv").unlink()
    with pytest.raises(QuernError, match=r"r\.yaml:4:35: .*pg_catalog"):
        load_recipe(tmp_path / "r.yaml")
