"""Whether steps fit together: each finds the columns and values it reads, and texts in a language it holds for.

    warc (payload) -> extract (text) -> language: {keep: [en, de]} -> gopher_quality (en)
                                                                      ^ refused: German reaches an English rule
    c4_lines: {units: sentences} -> c4_quality: {units: lines}
                                    ^ refused: it would count in lines what was cut in sentences

A rule that counts English words drops German ones for having none. So such a rule needs a route (`for: [en]`),
or a `language` step before it that keeps nothing else, or `words: light` where it is words alone that make it English.
Where no step identified the language it is taken on trust: whoever wrote the recipe knows the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.batch import DOCUMENT
from pipelines.filters.labels import UNSPACED, WRITTEN_IN_HAN, short_label
from pipelines.stage import Read, Rewrite, Stage

if TYPE_CHECKING:
    from pipelines.steps import Step

__all__ = ["check_flow"]

ALL = "*"
_MOST_LISTED = 6
_LIMITS = " (and the limits of docs/recipes.md, Other languages)"


def check_flow(reader: Read, steps: Sequence[Step]) -> list[str]:
    """Returns one mistake, with its place, for every step that would not find what it needs."""
    mistakes = []
    columns = _columns_read(reader)
    sent: tuple[str, ...] | None = None
    cut: Step | None = None
    for step in steps:
        if step.stage is None:
            continue
        found = [
            _missing_column(step.name, step.stage, columns),
            _wrong_language(step.name, step.stage, sent, columns),
            _joined_words(step.name, step.stage, sent),
            _other_units(step.name, step.stage, cut),
            _long_words(step.stage, sent),
        ]
        mistakes += [f"{step.where}: {mistake}" for mistake in found if mistake]
        columns = _columns_after(step.name, step.stage, columns)
        cut = step if step.stage.name == "c4_lines" else cut
        if "language" in step.stage.writes:
            sent = _languages_kept(step.stage)
    return mistakes


def _languages_kept(stage: Stage) -> tuple[str, ...]:
    marks = getattr(stage, "action", "drop") == "mark"
    return tuple((None if marks else getattr(stage, "keep", None)) or (ALL,))


def _columns_read(reader: Read) -> frozenset[str]:
    made = {*DOCUMENT.names, *reader.writes}
    return frozenset(made - {"text"} if "payload" in reader.writes else made)


def _columns_after(name: str, stage: Stage, columns: frozenset[str]) -> frozenset[str]:
    if isinstance(stage, Rewrite):
        columns = (columns | {"text"}) - set(stage.drops_columns)
    return columns | {*stage.writes, name}


def _missing_column(name: str, stage: Stage, columns: frozenset[str]) -> str | None:
    """Returns what `stage` reads and nothing before it makes; of a value `step.name` only the step is checked."""
    missing = [wanted for wanted in stage.reads if wanted.partition(".")[0] not in columns]
    if not missing:
        return None
    remedy = "put `extract` before it" if missing == ["text"] else "put the step that makes it before it"
    return (
        f"expected `{missing[0]}`, which {name} reads, to be made by a step before it, found none; {remedy}"
    )


def _wrong_language(
    name: str, stage: Stage, sent: tuple[str, ...] | None, columns: frozenset[str]
) -> str | None:
    route: tuple[str, ...] | None = getattr(stage, "route", None)
    if route and "language" not in columns:
        return f"expected a `language` step before {name}, which is routed by language (for: [{', '.join(route)}])"
    reaching = route or sent
    languages = _languages_of(stage)
    if ALL in languages or reaching is None or _has_own_words(stage, reaching):
        return None
    known = [language for language in reaching if short_label(language) in languages]
    strangers = [language for language in reaching if language not in known]
    if not strangers:
        return None
    return (
        f"expected documents in {_listed(languages)} only, which {name} holds for, got "
        f"{'any language' if ALL in strangers else _listed(strangers)}: they would be dropped for what it "
        f"does not know. {_ways_out(stage.name, stage, known, strangers)}"
    )


def _languages_of(stage: Stage) -> Sequence[str]:
    # spaCy's words are those of its English tokenizer, whatever language a rule holds for; light ones are of any.
    if _cuts(stage) == "light" and not _word_params(stage):
        return (ALL,)
    return ("en",) if _cuts(stage) == "spacy" else stage.languages


def _cuts(stage: Stage) -> str | None:
    """Returns how the stage cuts words, None where it has no choice."""
    return getattr(stage, "words", None)


def _without_spaces(languages: Sequence[str]) -> bool:
    return any(short_label(language) in UNSPACED for language in languages)


def _ways_out(name: str, stage: Stage, known: list[str], strangers: list[str]) -> str:
    """Returns what to write where `stage` holds for the languages `known` alone of those that reach it."""
    languages = _languages_of(stage)
    if not known and len(languages) > _MOST_LISTED:
        light = (
            f"Write  {name}: {{words: light}}{_LIMITS}, or leave {name} out"
            if _cuts(stage)
            else f"Leave {name} out"
        )
        return f"{light}, or send it other languages only, as in  {name}: {{for: [en, de]}}"
    fit = ", ".join(known or languages)
    return (
        f"Write  {name}: {{for: [{fit}]}}  or  language: {{keep: [{fit}]}}"
        f"{_word_remedy(stage, strangers)}, or leave {name} out"
    )


def _listed(languages: Sequence[str]) -> str:
    if len(languages) <= _MOST_LISTED:
        return ", ".join(languages)
    return f"{', '.join(languages[:3])} and {len(languages) - 3} others"


def _word_params(stage: Stage) -> list[str]:
    """Returns the parameters that hold words, such as `stop_words`."""
    return [
        name
        for name in type(stage).model_fields
        if name.endswith("_words") and name[:4] not in ("min_", "max_")
    ]


def _has_own_words(stage: Stage, reaching: Sequence[str]) -> bool:
    """Returns whether whoever wrote the recipe gave the rule other words, or turned off what counts them."""
    words = _word_params(stage)
    if _cuts(stage) == "spacy" or (_cuts(stage) == "spaces" and _without_spaces(reaching)):
        return False
    off = [getattr(stage, f"min_{name}", 0) is None for name in words]
    return bool(words) and (bool(stage.model_fields_set & {*words}) or all(off))


def _word_remedy(stage: Stage, strangers: Sequence[str]) -> str:
    given = [f"{name}: [...]" for name in _word_params(stage)]
    spaced = given or all(short_label(name) in stage.languages for name in strangers)
    if _without_spaces(strangers) or not spaced:
        given += ["words: light"] if _cuts(stage) in ("spaces", "spacy") else []
    elif _cuts(stage) == "spacy":
        given.append("words: spaces")
    limits = _LIMITS if "words: light" in given else ""
    return f", give it {' and '.join(given)}{limits}" if given else ""


def _other_units(name: str, stage: Stage, cut: Step | None) -> str | None:
    """Returns what is wrong with a `c4_quality` that counts other units than the last `c4_lines` before it cut."""
    if stage.name != "c4_quality" or cut is None:
        return None
    ours, theirs = getattr(stage, "units", None), getattr(cut.stage, "units", None)
    if ours == theirs or not _meet(stage, cut.stage):
        return None
    words = ", words: spacy" if theirs == "sentences" else ""
    return (
        f"expected units: {theirs} for {name}, as {cut.name} before it has, got units: {ours}: it would count "
        f"sentences in a text that was cut another way. Write  {stage.name}: {{units: {theirs}{words}}}  or  "
        f"c4_lines: {{units: {ours}}}"
    )


def _meet(one: Stage, other: Stage | None) -> bool:
    """Returns whether a document may pass both, by their routes."""
    routes = [set(getattr(stage, "route", None) or ()) for stage in (one, other)]
    return not all(routes) or bool(routes[0] & routes[1])


def _joined_words(name: str, stage: Stage, sent: tuple[str, ...] | None) -> str | None:
    """Returns what is wrong with a list of words that must stand by themselves where nothing stands apart."""
    reaching = getattr(stage, "route", None) or sent or ()
    if not getattr(stage, "by_themselves", False) or not _without_spaces(reaching):
        return None
    joined = [language for language in reaching if _without_spaces([language])]
    return (
        f"expected by_themselves: false of {name} for {_listed(joined)}, whose words have no spaces around them, got "
        f"true: it would find next to none. "
        f"{_one_each(stage, reaching, joined, 'file: ...', 'by_themselves: false, file: ...')} with a list of "
        f"{'their' if len(joined) > 1 else 'its'} words"
    )


def _long_words(stage: Stage, sent: tuple[str, ...] | None) -> str | None:
    """Returns what is wrong with a mean word length that nobody chose, where a word is a gram of one or two letters."""
    reaching = getattr(stage, "route", None) or sent or ()
    shortest = getattr(stage, "min_mean_word_chars", None)
    grams = [language for language in reaching if short_label(language) in WRITTEN_IN_HAN]
    if not grams or shortest is None or _cuts(stage) != "light":
        return None
    if "min_mean_word_chars" in stage.model_fields_set:
        return None
    own = f"{', '.join(f'{name}: [...]' for name in _word_params(stage))}, words: light"
    return (
        f"expected min_mean_word_chars to be chosen for {_listed(grams)}, whose words `light` cuts to one or two "
        f"letters, got the default {shortest:g}, which drops nearly every page. "
        f"{_one_each(stage, reaching, grams, 'words: light', f'{own}, min_mean_word_chars: 1')}{_LIMITS}"
    )


def _one_each(
    stage: Stage, reaching: Sequence[str], these: Sequence[str], of_others: str, of_these: str
) -> str:
    """Returns what to write so that `these` languages have a step of their own and the others keep one."""
    others = [language for language in reaching if language not in these and language != ALL]
    kept = f"{stage.name}: {{for: [{', '.join(others)}], {of_others}}}  and  " if others else ""
    return f"Write  {kept}{stage.name}: {{for: [{', '.join(these)}], {of_these}}} "
