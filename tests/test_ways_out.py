"""Whoever pastes what a refusal proposes comes to a recipe that is let through: no way out leads back to the start."""

import itertools
import json
import re

import yaml

from manifests.errors import RecipeError
from pipelines.recipe import load_recipe

HEAD = "name: small\nsources:\n  - name: web\n    read: jsonl\n    paths: [a.jsonl]\n    steps:\n"
FIRST_LINE = HEAD.count("\n") + 1
KEEPS = ["en", "de", "zh", "en, de", "zh, th", "en, zh, de", "en, ja, th, hi", None]
RULES = [
    *(
        f"gopher_quality: {{words: {words}{rest}}}"
        for words in ("spaces", "spacy", "light")
        for rest in (
            "",
            ", stop_words: [die, und]",
            ", min_stop_words: null",
            ", for: [de, en]",
            ", for: [en, zh]",
        )
    ),
    *(
        f"{rule}: {{words: {words}}}"
        for rule in ("gopher_repetition", "fineweb_quality")
        for words in ("spaces", "spacy", "light")
    ),
    "c4_lines: {units: sentences}",
    "c4_bad_words: {file: bad.txt}",
]
COUNTS = [
    f"c4_quality: {{units: {units}, words: {words}{route}}}"
    for units in ("lines", "sentences")
    for words in ("spaces", "spacy", "light")
    for route in ("", ", for: [en]", ", for: [de, en]")
]
CUTS = [
    "c4_lines: {units: lines}",
    "c4_lines: {units: sentences}",
    "c4_lines: {for: [en], units: lines}",
    "c4_lines: {for: [en], units: sentences}",
]


def combinations():
    for keep, rule in itertools.product(KEEPS, RULES + COUNTS):
        yield keep, [rule]
    for keep, cut, count in itertools.product(KEEPS, CUTS, COUNTS):
        if "sentences" not in count or "spacy" in count:
            yield keep, [cut, count]


def refusals(folder, steps, known):
    """What is wrong with a recipe of these steps, (name, parameters) each: the mistakes by the index of the step.

    known: what was found of every recipe so far, for many ways lead to the same one.
    """
    text = HEAD + "".join(
        f"      - {json.dumps({name: params}, ensure_ascii=False)}\n" for name, params in steps
    )
    if text not in known:
        known[text] = _refusals(folder / "r.yaml", text)
    return known[text]


def _refusals(path, text):
    path.write_text(text)
    try:
        load_recipe(path)
    except RecipeError as error:
        found = re.findall(r"r\.yaml:(\d+):\d+: (.*)", str(error))
        assert found
        at = sorted({int(line) for line, _ in found})
        return {line - FIRST_LINE: [text for where, text in found if int(where) == line] for line in at}
    return {}


def ways_out(message, name):
    """What a refusal proposes: for each way out the steps to write, None in place of the name for the step itself."""
    written = re.search(r"Write  (.*?)(?:, give it|, or |  with|$)", message)
    found = [
        [
            (step, yaml.safe_load(params.replace("[...]", "[die, und]")))
            for step, params in re.findall(r"(\w+): (\{[^}]*\})", way)
        ]
        for way in (re.split(r"  or  ", written[1]) if written else [])
    ]
    given = re.search(r"give it (.*?)(?: \(and|, or leave|$)|write (.*)", message)
    if given and given[1]:
        found.append([(None, dict(_parameters(given[1])))])
    elif given:
        found += [[(None, {key: value})] for key, value in _parameters(given[2])]
    return found + ([[]] if f"eave {name} out" in message else [])


def _parameters(text):
    values = re.findall(r"(\w+): (\[\.\.\.\]|\w+)", text)
    return [(key, yaml.safe_load(value.replace("[...]", "[die, und]"))) for key, value in values]


def pasted(steps, at, way, *, merged):
    """The steps with one way out taken: written in place of the step it names, or beside what stood there."""
    name, before = steps[at]
    if not way:
        return [*steps[:at], *steps[at + 1 :]]
    if way[0][0] not in (None, name):  # an earlier step, such as `language`
        [(other, params)] = way
        return [
            (other, {**(old if merged else {}), **params}) if step == other else (step, old)
            for step, old in steps
        ]
    new = [(name, {**(before if merged or step is None else {}), **params}) for step, params in way]
    new = [
        (step, {**params, "file": "bad.txt"} if step == "c4_bad_words" else params) for step, params in new
    ]
    return [*steps[:at], *new, *steps[at + 1 :]]


def unhelped(folder, steps, n_pastes, known, trail=()):
    """The ways that are still refused after so many pastes, every way out of every refusal tried."""
    found = refusals(folder, steps, known)
    if not found:
        return []
    if "beside units" in str(found):
        n_pastes += not trail  # a parameter that does not fit the others is told before the rest is looked at
    if n_pastes == 0:
        return [(*trail, steps, found)]
    ways = {at: [way for each in told for way in ways_out(each, steps[at][0])] for at, told in found.items()}
    assert all(ways.values()), found
    lost = []
    for number, merged in itertools.product(range(max(map(len, ways.values()))), (True, False)):
        after = steps
        for at in sorted(found, reverse=True):  # from the last, so that the others stay where they are
            after = pasted(after, at, ways[at][number % len(ways[at])], merged=merged)
        lost += unhelped(folder, after, n_pastes - 1, known, (*trail, steps, found))
    return lost


def test_two_pastes_of_what_a_refusal_proposes_end_without_one(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "bad.txt").write_text("bad\n")
    n_refused, known = 0, {}
    for keep, rules in combinations():
        written = [f"language: {{keep: [{keep}]}}" if keep else "language: {}", *rules]
        steps = [next(iter(yaml.safe_load(step).items())) for step in written]
        n_refused += bool(refusals(tmp_path, steps, known))
        lost = unhelped(tmp_path, steps, 2, known)
        assert not lost, "\n".join(str(each) for each in lost[0])
    assert n_refused > 200
