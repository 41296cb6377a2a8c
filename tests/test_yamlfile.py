"""YAML is read as YAML 1.2 says, and every mistake is reported at its line and column."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from manifests.quantities import parse_percent, share_text
from manifests.yamlfile import (
    Count,
    Percent,
    Share,
    YamlError,
    apply_overrides,
    load_yaml,
    parse_count,
    parse_share,
    parse_yaml,
    validate,
)


def read(text):
    return parse_yaml(text, file="r.yaml")


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Take(Frozen):
    files: Count
    seed: int = 0


class Source(Frozen):
    name: str
    take: Take | None = None
    kind: Literal["warc", "gutenberg"] = "warc"
    paths: tuple[str, ...] = ()


class Doc(Frozen):
    name: str
    sources: tuple[Source, ...] = ()
    weights: dict[str, Share] = {}
    holdout: Percent | None = None
    min_words: int = Field(default=1, ge=0)
    limit: float | None = None


def refusal(text, model=Doc):
    value, positions = read(text)
    with pytest.raises(YamlError) as caught:
        validate(model, value, positions)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("n", "n"),
        ("true", True),
        ("FALSE", False),
        ("3e-4", 3e-4),
        ("3E4", 3e4),
        (".5", 0.5),
        ("1.", 1.0),
        ("+12", 12),
        ("-7", -7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-20", "2026-11-20"),
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("null", None),
        ("~", None),
        ("", None),
        ("-.inf", float("-inf")),
        ("=", "="),
        ("'3'", "3"),
        ('"true"', "true"),
        ("1.2.3", "1.2.3"),
        ("٣", "٣"),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(written, meant):
    value, _ = read(f"key: {written}\n")
    assert value == {"key": meant}
    assert type(value["key"]) is type(meant)


def test_keys_are_text_as_written():
    assert read("no: 1\n2024: 2\n<<: 3\ntrue: 4\n")[0] == {"no": 1, "2024": 2, "<<": 3, "true": 4}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: &x 1\nb: *x\n", "1:4", "anchor &x"),
        ("a: 1\nb: *x\n", "2:4", "alias *x"),
        ("a: 1\nb: 2\na: 3\n", "3:1", 'got "a" again (first on line 1)'),
        ("a: !!python/object:os.system {}\n", "1:4", "tag"),
        ("a: !thing 1\n", "1:4", "tag"),
        ("? [1, 2]\n: 3\n", "1:3", "expected a word as key"),
        ("a: 1\n---\nb: 2\n", "2:1", "second one"),
        ("a: [1, 2\n", "2:1", "expected YAML"),
        ("a:\n\t- 1\n", "2:1", "expected YAML"),
        ("a: 1\nb: x\x00y\n", "2:5", "control character"),
        ("a: 1e999\n", "1:4", "64 bits"),
        ("a: " + "[" * 70 + "]" * 70 + "\n", "1:68", "64 levels"),
    ],
)
def test_what_hides_a_meaning_is_refused_at_its_place(text, place, what):
    with pytest.raises(YamlError) as caught:
        read(text)
    assert str(caught.value).startswith(f"r.yaml:{place}: expected")
    assert what in str(caught.value)


def test_a_file_above_one_mebibyte_is_refused(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n#" + b"x" * (1 << 20))
    with pytest.raises(YamlError, match="at most 1 MiB"):
        load_yaml(path)


def test_a_manifest_is_told_as_one_whatever_its_size(tmp_path):
    path = tmp_path / "corpus.json"
    path.write_text(f'{{"benchmarks":[],"format":"quern.corpus","name":"{"x" * (1 << 20)}"}}\n')
    with pytest.raises(
        YamlError,
        match=r"corpus\.json:1:1: .*got a corpus's manifest; it was built from a recipe, and a mix names it",
    ):
        load_yaml(path)
    path.write_text('{"config":{},"format":"quern.run/1"}\n')
    with pytest.raises(YamlError, match=r"got a file that Quern wrote \(quern\.run\)"):
        load_yaml(path)


def test_a_byte_that_is_not_utf8_is_refused_at_its_place(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(YamlError, match=r"latin\.yaml:2:7: expected UTF-8, got byte 0xe9"):
        load_yaml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(YamlError, match=r"nowhere\.yaml: expected a readable file"):
        load_yaml(tmp_path / "nowhere.yaml")


def test_an_empty_file_is_no_recipe(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    value, positions = load_yaml(path)
    with pytest.raises(YamlError, match="expected a mapping"):
        validate(Doc, value, positions)


def test_every_node_keeps_its_place():
    _, positions = read("name: x\nsources:\n  - {name: web, paths: [a, b]}\n  - name: books\n")
    assert positions.at(()) == (1, 1)
    assert positions.at(("name",)) == (1, 7)
    assert positions.at(("sources", 0, "paths", 1)) == (3, 28)
    assert positions.at(("sources", 1)) == (4, 5)
    assert positions.at(("sources", 1, "no-such")) == (4, 5)


def test_a_value_becomes_a_frozen_model():
    value, positions = read("name: x\nsources: [{name: web, take: {files: 25k, seed: 1}}]\nholdout: 0.5%\n")
    doc = validate(Doc, value, positions)
    assert doc.sources[0].take == Take(files=25_000, seed=1)
    assert doc.holdout == Fraction(1, 200)


def test_a_value_inside_a_file_is_reported_at_its_own_place():
    value, positions = read("name: x\nstep:\n  filez: 3\n")
    with pytest.raises(YamlError, match=r'r\.yaml:3:3: .*"filez"; did you mean "files"'):
        validate(Take, value["step"], positions, base=("step",))


def test_every_mistake_of_a_file_is_one_line():
    lines = refusal("name: 3\nsources:\n  - name: web\n    pathz: []\nmin_word: 60\n")
    assert lines[0] == "r.yaml:1:7: expected text for `name`, got 3"
    assert lines[1].startswith("r.yaml:4:5: expected a known key in `sources[0]` (name, take, kind, paths)")
    assert lines[1].endswith('got "pathz"; did you mean "paths"?')
    assert lines[2].endswith('got "min_word"; did you mean "min_words"?')
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sources: []\n", "r.yaml:1:1: expected the key `name`, got nothing"),
        (
            "name: x\nsources: [{name: a, take: {files: -1}}]\n",
            (
                "r.yaml:2:35: expected a whole number, 0 or more, such as 2000, 2k, 1.5M or 512Ki, "
                "got -1 for `sources[0].take.files`"
            ),
        ),
        (
            "name: x\nsources: [{name: a, kind: gutemberg}]\n",
            (
                "r.yaml:2:27: expected 'warc' or 'gutenberg' for `sources[0].kind`, "
                'got "gutemberg"; did you mean "gutenberg"?'
            ),
        ),
        ("name: x\nmin_words: '60'\n", 'r.yaml:2:12: expected a whole number for `min_words`, got "60"'),
        ("name: x\nmin_words: true\n", "r.yaml:2:12: expected a whole number for `min_words`, got true"),
        ("name: x\nmin_words: -1\n", "r.yaml:2:12: expected a number of 0 or more for `min_words`, got -1"),
        ("name: x\nlimit: high\n", 'r.yaml:2:8: expected a number for `limit`, got "high"'),
        ("name: x\nsources: web\n", 'r.yaml:2:10: expected a list for `sources`, got "web"'),
        (
            "name: x\nsources: [web]\n",
            'r.yaml:2:11: expected a mapping (key: value) for `sources[0]`, got "web"',
        ),
        (
            "name: x\nweights: {web: 1.5}\n",
            (
                "r.yaml:2:16: expected a share between 0 and 1, such as 0.3, 30% or 1/3, "
                "got 1.5 for `weights.web`"
            ),
        ),
        (
            "name: x\nholdout: 0.5\n",
            (
                "r.yaml:2:10: expected a percentage between 0% and 100%, with its sign, such as 0.5%, "
                "got 0.5 for `holdout`"
            ),
        ),
    ],
)
def test_a_mistake_says_place_expectation_and_finding(text, line):
    assert refusal(text)[0] == line


def test_a_word_near_nothing_gets_no_suggestion():
    assert "did you mean" not in refusal("name: x\nzzzzqq: 1\n")[0]


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("2M", 2_000_000),
        ("30B", 30_000_000_000),
        ("1T", 10**12),
        ("25k", 25_000),
        ("512Ki", 524_288),
        ("4Mi", 4 << 20),
        ("1Gi", 1 << 30),
        ("1.5k", 1_500),
        ("1_000_000", 1_000_000),
        (7, 7),
        (2e6, 2_000_000),
    ],
)
def test_a_count_takes_decimal_and_binary_units(written, count):
    assert parse_count(written) == count
    assert isinstance(parse_count(written), int)


@pytest.mark.parametrize(
    "wrong", ["1.5", "1.0001k", "-1", "2 MB", "2K", "", "M", True, None, 0.5, float("nan")]
)
def test_what_is_not_a_whole_number_is_no_count(wrong):
    with pytest.raises(ValueError, match="whole number"):
        parse_count(wrong)


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("0.5%", Fraction(1, 200)),
        ("100%", Fraction(1)),
        (0.3, Fraction(3, 10)),
        (1e-05, Fraction(1, 100_000)),
        ("1/3", Fraction(1, 3)),
        (0, Fraction(0)),
    ],
)
def test_a_share_is_exact(written, share):
    assert parse_share(written) == share


@pytest.mark.parametrize("wrong", ["101%", -0.1, "1/0", "half", True, None, float("inf"), "5 %%"])
def test_what_is_not_between_zero_and_one_is_no_share(wrong):
    with pytest.raises(ValueError, match="share between 0 and 1"):
        parse_share(wrong)


def test_a_percentage_needs_its_sign_except_for_zero():
    assert parse_percent("0.5%") == Fraction(1, 200)
    assert parse_percent(0) == 0
    with pytest.raises(ValueError, match="with its sign"):
        parse_percent(0.5)


@given(st.fractions(min_value=0, max_value=1))
def test_a_share_reads_back_from_its_one_text(share):
    assert parse_share(share_text(share)) == share


def test_a_model_leaves_no_float_for_the_manifest():
    value, positions = read("name: x\nweights: {web: 0.30, books: 1/3}\nholdout: 0.50%\n")
    doc = validate(Doc, value, positions)
    assert doc.model_dump()["weights"] == {"web": "0.3", "books": "1/3"}
    assert doc.model_dump()["holdout"] == "0.5%"


STEPS = """\
name: x
steps: [extract, language: {keep: [en]}, gopher_quality, newlines: {max: 1}, newlines]
sources:
  - {name: web, paths: [a]}
  - {name: books, paths: [b]}
"""


@pytest.mark.parametrize(
    ("override", "path", "meant"),
    [
        ("name=y", ["name"], "y"),
        ("seed=7", ["seed"], 7),
        ("take.files=3", ["take", "files"], 3),
        ("steps.gopher_quality.min_words=60", ["steps", 2], {"gopher_quality": {"min_words": 60}}),
        ("steps.language.keep=[de, no]", ["steps", 1], {"language": {"keep": ["de", "no"]}}),
        ("steps.newlines.max=", ["steps", 3], {"newlines": {"max": None}}),
        ("steps.newlines_2.max=3", ["steps", 4], {"newlines": {"max": 3}}),
        ("steps.0=wet", ["steps", 0], "wet"),
        ("sources.books.paths=[c]", ["sources", 1, "paths"], ["c"]),
        ("sources.0.licence=MIT", ["sources", 0, "licence"], "MIT"),
    ],
)
def test_an_override_sets_one_value(override, path, meant):
    value, positions = read(STEPS)
    node = apply_overrides(value, positions, [override])
    for part in path:
        node = node[part]
    assert node == meant


def test_an_override_leaves_the_file_s_own_value_alone():
    value, positions = read(STEPS)
    apply_overrides(value, positions, ["sources.web.paths=[z]"])
    assert value["sources"][0]["paths"] == ["a"]


def test_a_later_override_wins():
    value, positions = read(STEPS)
    assert apply_overrides(value, positions, ["name=y", "name=z"])["name"] == "z"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps.gopher_qualty.min_words=60", 'did you mean "gopher_quality"'),
        ("name.first=x", 'expected a mapping or list to hold "first"'),
        ("name", "expected a.b=value"),
        ("a..b=1", "expected a.b=value"),
        ("name=[1", "--set name:1:"),
        ("sources.5.name=x", "expected one of web, books"),
    ],
)
def test_an_override_that_enters_nothing_is_refused(override, message):
    value, positions = read(STEPS)
    with pytest.raises(YamlError) as caught:
        apply_overrides(value, positions, [override])
    assert message in str(caught.value)


@pytest.mark.parametrize("override", ["sources.web.take.files=many", "sources.web.take={files: many}"])
def test_a_wrong_override_is_reported_as_the_override(override):
    value, positions = read("name: x\nsources: [{name: web}]\n")
    changed = apply_overrides(value, positions, [override])
    with pytest.raises(YamlError) as caught:
        validate(Doc, changed, positions)
    assert str(caught.value).startswith(f"--set {override}: expected a whole number")


def test_loading_names_the_file_as_the_user_did(tmp_path, monkeypatch):
    (tmp_path / "r.yaml").write_text("\ufeffname: 3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    value, positions = load_yaml(Path("r.yaml"))
    with pytest.raises(YamlError, match=r"^r\.yaml:1:7: "):
        validate(Doc, value, positions)
