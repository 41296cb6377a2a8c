"""A mistake is told on the line where it stands, in a recipe that is written a key a line."""

import pytest

from manifests.errors import RecipeError
from pipelines.recipe import load_recipe

HEAD = "name: a\nsources:\n  - name: web\n    read: jsonl\n    paths: [a.jsonl]\n    steps:\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    return tmp_path


def mistakes(folder, text, *overrides):
    (folder / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "r.yaml", overrides)
    return str(caught.value).replace(f"{folder}/", "").splitlines()[:-1]


def of_steps(folder, lines, *overrides):
    """What is wrong with the steps of a source, the first line of which is the seventh of the file."""
    return mistakes(folder, HEAD + "".join(f"      {line}\n" for line in lines), *overrides)


def begins(found, expected):
    """Whether there are as many mistakes as expected, each of which begins so."""
    return len(found) == len(expected) and all(map(str.startswith, found, expected))


# --- a set of rules --------------------------------------------------------------------------------


def test_a_value_in_a_set_of_rules_is_told_where_it_stands_and_by_its_key(folder):
    lines = ["- c4:", "    min_sentences: three", "    max_word_chars: x", "    for: 5"]
    name = "sources[0].steps[0].c4"
    assert of_steps(folder, lines) == [
        f'r.yaml:8:26: expected a whole number for `{name}.min_sentences`, got "three"',
        f'r.yaml:9:27: expected a whole number for `{name}.max_word_chars`, got "x"',
        f"r.yaml:10:16: expected a list for `{name}.for`, got 5",
    ]


def test_every_unknown_key_of_a_set_of_rules_is_told_where_it_stands(folder):
    lines = ["- c4:", "    min_sentence: 3", "    for: [en]", "    max_wrd_chars: 9", "    units: 7"]
    found = of_steps(folder, lines)
    assert begins(found, ["r.yaml:8:11: ", "r.yaml:10:11: ", "r.yaml:11:18: expected 'lines' or"])
    assert found[0].endswith(', got "min_sentence"; did you mean "min_sentences"?')
    assert found[1].endswith(', got "max_wrd_chars"; did you mean "max_word_chars"?')


def test_parameters_of_a_set_of_rules_that_are_none_and_a_mark_are_told_where_they_stand(folder):
    assert of_steps(folder, ["- c4: five"]) == [
        'r.yaml:7:13: expected parameters of `c4` as key: value, got "five"'
    ]
    (found,) = of_steps(folder, ["- c4:", "    for: [en]", "    action: mark"])
    assert found.startswith("r.yaml:9:19: expected `c4` without action: mark")


def test_a_key_of_a_set_of_rules_that_was_set_is_told_as_set(folder):
    (found,) = of_steps(folder, ["- c4"], "c4.min_sentence=3")
    assert found.startswith("--set sources.0.steps.0.c4.min_sentence=3: expected a known key in `c4`")
    assert found.endswith('did you mean "min_sentences"?')


# --- what steps need of the recipe around them -----------------------------------------------------


def test_a_source_and_a_score_that_are_not_there_are_told_on_their_lines(folder):
    text = HEAD.replace("steps:", "steps: [gopher_quality]") + (
        "steps:\n"
        "  - editions:\n      sources:\n        - web\n        - wbe\n"
        "  - minhash:\n      keep: highest\n      seed: 7\n      score: gopher_quality.n_wrds\n"
    )
    with_editions = mistakes(folder, text)
    assert begins(
        with_editions, ["r.yaml:11:11: expected sources of this recipe (web) for `editions.sources`"]
    )
    found = mistakes(folder, text.replace("wbe", "web"))
    assert begins(
        found, ["r.yaml:15:14: expected a number that `gopher_quality` measures for `minhash.score`"]
    )


def test_a_score_that_nobody_wrote_is_told_at_its_step_and_one_that_was_set_as_set(folder):
    text = HEAD.replace("steps:", "steps: []") + "steps:\n  - minhash:\n      keep: highest\n      score: x\n"
    assert begins(
        mistakes(folder, text, "minhash.score=y"), ["--set steps.0.minhash.score=y: expected a column"]
    )
    (found,) = mistakes(folder, text.replace("      score: x\n", ""))
    assert found.startswith("r.yaml:9:")


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        (["- language", "- pii:", "    for:", "      - en", "      - english"], "11:15", 'got "english"'),
        (
            ["- language: {keep: [en]}", "- pii:", "    emails: false", "    for: [de]"],
            "10:16",
            "would pass over",
        ),
        (["- gopher_quality:", "    min_words: 9", "    for: [en]"], "9:16", "expected a `language` step"),
        (["- language: {keep: [en, de]}", "- gopher_quality:", "    min_words: 9"], "8:9", "got de: they"),
        (
            ["- language: {keep: [de]}", "- gopher_quality:", "    min_words: 9", "    for: [de]"],
            "10:16",
            "got de:",
        ),
        (
            ["- c4_lines", "- c4_quality:", "    words: spacy", "    units: sentences"],
            "10:18",
            "units: lines",
        ),
        (["- c4:", "    units: lines", "    for: [xx]"], "9:16", "a `language` step before c4_lines"),
    ],
)
def test_steps_that_do_not_fit_together_are_told_at_the_parameter_that_says_so(folder, lines, place, said):
    found = of_steps(folder, lines)
    assert found[0].startswith(f"r.yaml:{place}: ")
    assert said in found[0]


def test_steps_that_a_reader_brings_are_told_at_their_source(folder):
    (folder / "r.yaml").write_text(HEAD.replace("    steps:\n", "").replace("jsonl", "wet", 1))
    (found,) = mistakes(folder, (folder / "r.yaml").read_text(), "gopher_quality.for=[english]")
    assert found.startswith("--set sources.0.steps.")
    assert ".gopher_quality.for=[english]: " in found


# --- paths that no machine could look up -----------------------------------------------------------

LONG = "x" * 300 + ".jsonl"


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["read: jsonl", f"paths: [a.jsonl, {LONG}]"], "5:22"),
        (["read: jsonl", f"paths: ['@{LONG}']"], "5:13"),
        (["read: jsonl", f"paths: [{{dataset: {LONG}}}]"], "5:13"),
        (["read: jsonl", "paths: [a.jsonl]", f"root: {LONG}"], "6:11"),
        (["read: jsonl", "paths: [a.jsonl]", "steps:", f"  - url: {{domains: [{LONG}]}}"], "7:"),
        (["read: jsonl", "paths: [a.jsonl]", "steps:", f"  - use: {LONG}.py:Own"], "7:9"),
        ([f"read: {{gutenberg: {{catalogue: {LONG}}}}}", "paths: [a.jsonl]"], "4:"),
    ],
)
def test_a_name_that_is_too_long_is_told_at_its_place(folder, lines, place):
    text = "name: a\nsources:\n  - name: web\n" + "".join(f"    {line}\n" for line in lines)
    (found,) = mistakes(folder, text if "steps" in text else f"{text}    steps: []\n")
    assert found.startswith(f"r.yaml:{place}")
    assert "File name too long" in found


@pytest.mark.parametrize("rest", ["tokens: {use: %s}", "steps: [minhash: {against: [%s]}]"])
def test_a_name_that_is_too_long_is_told_where_it_is_of_the_whole_recipe(folder, rest):
    (found,) = mistakes(folder, HEAD.replace("steps:", "steps: []") + rest % LONG + "\n")
    assert found.startswith("r.yaml:7:")
    assert "File name too long" in found


@pytest.mark.parametrize(
    ("paths", "root", "place", "said"),
    [
        (
            "htp://foo/x.jsonl",
            "",
            "5:13",
            'got htp://foo/x.jsonl: Protocol not known: htp; did you mean "http"?',
        ),
        ("zebra://foo/x.jsonl", "", "5:13", "got zebra://foo/x.jsonl: Protocol not known: zebra"),
        ("'@s4://foo/list'", "", "5:13", "got s4://foo/list: Protocol not known: s4"),
        (
            "x.jsonl",
            "root: htttps://foo",
            "6:11",
            'got htttps://foo: Protocol not known: htttps; did you mean "https"?',
        ),
    ],
)
def test_an_address_of_no_known_protocol_is_told_at_its_place(folder, paths, root, place, said):
    (found,) = mistakes(folder, HEAD.replace("a.jsonl", paths).replace("steps:", root or "steps: []"))
    assert found == f"r.yaml:{place}: expected an address of a known protocol, {said}"
