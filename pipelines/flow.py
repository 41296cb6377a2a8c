"""Whether steps fit together: each finds the columns and values it reads, and texts in a language it holds for.

    warc (payload) -> extract (text) -> language: {keep: [en, de]} -> gopher_quality (en)
                                                                      ^ refused: German reaches an English rule
    language: {keep: [en]} -> pii: {for: [english]}
                              ^ refused: no document is labelled so, and the step would pass over them all
    c4_lines: {units: sentences} -> c4_quality: {units: lines}
                                    ^ refused: it would count in lines what was cut in sentences

A rule that counts English words drops German ones for having none. So such a rule needs a route (`for: [en]`),
or a `language` step before it that keeps nothing else, or `words: light` where it is words alone that make it English.
Where no step identified the language it is taken on trust: whoever wrote the recipe knows the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.batch import DOCUMENT
from pipelines.filters.labels import (
    LID_176_SHA256,
    SPACED,
    UNSPACED,
    WRITTEN_IN_HAN,
    nearest_label,
    short_label,
)
from pipelines.stage import Read, Rewrite, Stage

if TYPE_CHECKING:
    from pipelines.steps import Step

__all__ = ["check_flow"]

ALL = "*"
_MOST_LISTED = 6
_LIMITS = " (and the limits of docs/recipes.md, Other languages)"
_OF_GRAMS = "min_mean_word_chars: 1"


def check_flow(reader: Read, steps: Sequence[Step]) -> list[str]:
    """Returns one mistake, with its place, for every step that would not find what it needs."""
    mistakes = []
    columns = _columns_read(reader)
    sent: tuple[str, ...] | None = None
    labels = _Labels()
    cut: Step | None = None
    for step in steps:
        if step.stage is None:
            continue
        stranger = _unknown_label(step.stage, labels)
        aimless = _reaches_none(step.name, step.stage, labels, stranger)
        strangers = aimless or _wrong_language(step.name, step.stage, sent, labels, columns)
        found: list[tuple[tuple[str | int, ...], str | None]] = [
            ((), _missing_column(step.name, step.stage, columns)),
            (("for",) if stranger is None else ("for", stranger), strangers),
            (("by_themselves",), None if aimless else _joined_words(step.name, step.stage, sent)),
            # In which units it has to count hangs on whose documents it is left with.
            (("units",), None if strangers else _other_units(step.name, step.stage, cut, sent)),
            ((), None if aimless else _long_words(step.stage, sent)),
        ]
        wrong = [f"{step.where_of(*keys)}: {mistake}" for keys, mistake in found if mistake]
        mistakes += wrong
        columns = _columns_after(step.name, step.stage, columns)
        if step.stage.name == "c4_lines":
            cut = None if wrong else step  # what a refused one will cut, and for whom, is not known yet
        if "language" in step.stage.writes:
            sent = _languages_kept(step.stage)
            labels = _Labels() if step.use else _labels_of(step.stage, labels)
    return mistakes


@dataclass(frozen=True, slots=True)
class _Labels:
    """What documents may be labelled at a step, None where nobody can say, as of a user's own step or column.

    known: the labels of the model that wrote them; left: what documents must be labelled to be let through.
    """

    known: tuple[str, ...] | None = None
    left: tuple[str, ...] | None = None


def _labels_of(stage: Stage, before: _Labels) -> _Labels:
    """Returns the labels behind a stage of ours that writes them, which were `before` where it has a route."""
    is_lid = getattr(stage, "model_sha256", None) == LID_176_SHA256
    known = (*SPACED, *UNSPACED) if is_lid else None
    if getattr(stage, "route", None):  # what it passes over keeps its labels
        return _Labels(known if before.known == known else None)
    kept = _languages_kept(stage)
    return _Labels(known, None if ALL in kept else kept)


def _unknown_label(stage: Stage, labels: _Labels) -> int | None:
    """Returns the index in the step's route of the first language that no document is labelled with."""
    route: tuple[str, ...] = getattr(stage, "route", None) or ()
    return next((i for i, label in enumerate(route) if label not in (labels.known or route)), None)


def _reaches_none(name: str, stage: Stage, labels: _Labels, stranger: int | None) -> str | None:
    """Returns what is wrong with a route by which the step would pass over every document, or all of a language."""
    route: tuple[str, ...] = getattr(stage, "route", None) or ()
    if stranger is not None:
        return (
            f'expected languages as lid.176 labels them for `{name}.for`, got "{route[stranger]}", and {name} would '
            f"pass over the documents it is meant for{nearest_label(route[stranger])}"
        )
    if not route or labels.left is None or {*route} & {*labels.left}:
        return None
    return (
        f"expected a language that is let through before {name} ({_listed(labels.left)}) for `{name}.for`, got "
        f"{_listed(route)}: {name} would pass over every document. Leave {stage.name} out, name others in its `for`, "
        "or let others through before it"
    )


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
    name: str, stage: Stage, sent: tuple[str, ...] | None, labels: _Labels, columns: frozenset[str]
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
        f"does not know. {_ways_out(stage, known, strangers, labels.left)}"
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


def _ways_out(stage: Stage, known: list[str], strangers: list[str], left: Sequence[str] | None) -> str:
    """Returns what to write where `stage` holds for the languages `known` alone of those that reach it.

    left: those that are let through before it, None for any; a route to others would reach no document.
    """
    name, languages = stage.name, _languages_of(stage)
    if not known and len(languages) > _MOST_LISTED:
        light = (
            f"Write  {name}: {{words: light}}{_LIMITS}, or leave {name} out"
            if _cuts(stage)
            else f"Leave {name} out"
        )
        others = f", or send it other languages only, as in  {name}: {{for: [en, de]}}"
        return light if left else light + others
    fit = known or [*languages]
    reaching = fit if left is None else [language for language in fit if language in left]
    ways = [f"{name}: {{for: [{', '.join(reaching)}]}}"] if reaching else []
    # A step with a route is judged by that, whatever is kept before it.
    ways += [] if getattr(stage, "route", None) else [f"language: {{keep: [{', '.join(fit)}]}}"]
    words = _word_remedy(stage, strangers)
    if not ways:
        return f"Leave {name} out{', or ' if words else ''}{words}"
    return f"Write  {'  or  '.join(ways)}{', ' if words else ''}{words}, or leave {name} out"


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
    """Returns what to give the rule so that it holds for `strangers` too, nothing where nothing does."""
    given = [f"{name}: [...]" for name in _word_params(stage)]
    spaced = given or all(short_label(name) in stage.languages for name in strangers)
    light = _without_spaces(strangers) or not spaced
    if light and _cuts(stage) in ("spaces", "spacy"):
        # Sentences are spaCy's alone.
        given += ["units: lines"] if getattr(stage, "units", None) == "sentences" else []
        given.append("words: light")
    elif _cuts(stage) == "spacy":
        given.append("words: spaces")
    if light and _in_grams(strangers) and _has_unchosen_length(stage):
        given.append(_OF_GRAMS)
    limits = _LIMITS if "words: light" in given else ""
    *most, last = given or [""]
    return f"give it {', '.join(most)}{' and ' if most else ''}{last}{limits}" if given else ""


def _other_units(name: str, stage: Stage, cut: Step | None, sent: tuple[str, ...] | None) -> str | None:
    """Returns what is wrong with a `c4_quality` that counts other units than the last `c4_lines` before it cut."""
    if stage.name != "c4_quality" or cut is None or cut.stage is None:
        return None
    ours, theirs = getattr(stage, "units", None), getattr(cut.stage, "units", None)
    met = _met_by_both(stage, cut.stage, sent)
    if ours == theirs or not met:
        return None
    routed = getattr(stage, "route", None) or getattr(cut.stage, "route", None)
    # Sentences are for those alone for whom `c4_lines` holds; a step that names others would be refused for them.
    known = [language for language in met if short_label(language) in cut.stage.languages]
    words = ", words: spacy" if theirs == "sentences" else ""
    return (
        f"expected units: {theirs} for {name}, as {cut.name} before it has, got units: {ours}: it would count "
        f"sentences in a text that was cut another way. Write  {stage.name}: "
        f"{{{_route_text(known or met) if routed else ''}units: {theirs}{words}}}  or  "
        f"c4_lines: {{{_route_text(getattr(cut.stage, 'route', None))}units: {ours}}}"
    )


def _met_by_both(one: Stage, other: Stage, sent: tuple[str, ...] | None) -> list[str]:
    """Returns the languages of the documents that pass both, `*` for any, by their routes and what is sent."""
    first, second = ([*(getattr(stage, "route", None) or sent or (ALL,))] for stage in (one, other))
    return first if ALL in second else second if ALL in first else [each for each in first if each in second]


def _route_text(route: Sequence[str] | None) -> str:
    return f"for: [{', '.join(route)}], " if route else ""


def _joined_words(name: str, stage: Stage, sent: tuple[str, ...] | None) -> str | None:
    """Returns what is wrong with a list of words that must stand by themselves where nothing stands apart."""
    reaching = getattr(stage, "route", None) or sent or ()
    if not getattr(stage, "by_themselves", False) or not _without_spaces(reaching):
        return None
    joined = [language for language in reaching if _without_spaces([language])]
    apart = [language for language in reaching if language not in (*joined, ALL)]
    written = _one_each(stage, [(apart, "file: ..."), (joined, "by_themselves: false, file: ...")])
    return (
        f"expected by_themselves: false of {name} for {_listed(joined)}, whose words have no spaces around them, got "
        f"true: it would find next to none. Write  {written}  with a list of {'their' if len(joined) > 1 else 'its'} "
        "words"
    )


def _in_grams(languages: Sequence[str]) -> list[str]:
    """Returns those of the languages whose light words are grams of one or two letters."""
    return [language for language in languages if short_label(language) in WRITTEN_IN_HAN]


def _has_unchosen_length(stage: Stage) -> bool:
    """Returns whether the stage has a smallest mean length of words, and one that nobody chose."""
    shortest = getattr(stage, "min_mean_word_chars", None)
    return shortest is not None and "min_mean_word_chars" not in stage.model_fields_set


def _long_words(stage: Stage, sent: tuple[str, ...] | None) -> str | None:
    """Returns what is wrong with a mean word length that nobody chose, where a word is a gram of one or two letters."""
    reaching = getattr(stage, "route", None) or sent or ()
    grams = _in_grams(reaching)
    if not grams or _cuts(stage) != "light" or not _has_unchosen_length(stage):
        return None
    others = [language for language in reaching if language not in (*grams, ALL)]
    known = [language for language in others if short_label(language) in stage.languages]
    strangers = [language for language in others if language not in known]
    own = f"{''.join(f'{words}, ' for words in _own_words(stage))}words: light"
    written = _one_each(stage, [(known, "words: light"), (strangers, own), (grams, f"{own}, {_OF_GRAMS}")])
    return (
        f"expected min_mean_word_chars to be chosen for {_listed(grams)}, whose words `light` cuts to one or two "
        f"letters, got the default {getattr(stage, 'min_mean_word_chars', 0):g}, which drops nearly every page. "
        f"Write  {written} {_LIMITS}"
    )


def _own_words(stage: Stage) -> list[str]:
    """Returns what a step for a language that the stage does not know must say of its words."""
    return [
        f"min_{name}: null" if getattr(stage, f"min_{name}", 0) is None else f"{name}: [...]"
        for name in _word_params(stage)
    ]


def _one_each(stage: Stage, params: Sequence[tuple[Sequence[str], str]]) -> str:
    """Returns a step for each of the groups of languages that has any, with its parameters."""
    return "  and  ".join(
        f"{stage.name}: {{for: [{', '.join(languages)}], {given}}}"
        for languages, given in params
        if languages
    )
