"""Whether our rules decide as datatrove's do: keep or drop, and the reason, of the same texts.

    python benchmarks/parity.py                  the peers' environment: QUERN_PEERS, as for build_web; 8 minutes
    python benchmarks/parity.py --only c4_sentences     these rules alone; no result is written

Three things, each rule of FineWeb's recipe by itself (C4 with and without end marks, and by sentences) and the recipe
as a whole:

    pool     5,000 real texts and more, and made ones (support/pool.py)
    edges    for every reason of every rule texts edited until it decides, on both sides of its limit, within 2% of
             it or one count (support/edges.py)
    urls     every address in the data, and 5,000 made of them that meet a list, or nearly

For a rule: how many decisions are equal in reason and all, how many texts either side drops and how many both. Then
for each reason how often either gives it, in the pool and at the edge, and each class of differences with an example.
C4's texts are compared too, of documents kept. Ours are the steps of the shipped recipe `fineweb`, `words: spacy`
among them; both sides read the same lid.176.ftz. It fails where a rule falls short of the bars below, and where a
reason is never given by either side.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from build_web import language_model
from support.agreement import Case, faults, figures, show
from support.edges import DRAFTS, Material
from support.machine import ROOT, describe, peers_python, run_side, write_result
from support.near import EdgeTexts, edge_texts, language_texts
from support.pool import Pooled, pool
from support.verdicts import batch_of, digests, judge, steps
from urls import find_urls, mutated

PACKAGES = ("fasttext-predict", "numba", "numpy", "pyarrow", "datatrove")
RECIPE = ("url", "language", "gopher_repetition", "gopher_quality", "c4_fineweb", "fineweb_quality")
OURS_FOR_DATATROVES = {
    "gopher_short_doc": "too_few_words",
    "gopher_long_doc": "too_many_words",
    "gopher_below_avg_threshold": "words_too_short",
    "gopher_above_avg_threshold": "words_too_long",
    "gopher_too_many_hashes": "too_many_hashes",
    "gopher_too_many_ellipsis": "too_many_ellipses",
    "gopher_too_many_bullets": "too_many_bullet_lines",
    "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
    "gopher_below_alpha_threshold": "too_few_alphabetic_words",
    "gopher_enough_stop_words": "too_few_stop_words",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_para_char_frac": "duplicate_paragraph_chars",
    "dup_line_frac": "duplicate_lines",
    "dup_line_char_frac": "duplicate_line_chars",
    **{f"top_{n}_gram": f"frequent_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repeated_{n}_grams" for n in range(5, 11)},
    "lorem_ipsum": "lorem_ipsum",
    "curly_bracket": "curly_bracket",
    "too_few_sentences": "too_few_sentences",
    "empty": "too_few_lines",
    "line_punct_ratio": "too_few_ended_lines",
    "short_line_ratio": "too_many_short_lines",
    "char_dup_ratio": "repeated_line_chars",
    "list_ratio": "too_many_newlines",
    "domain": "listed_domain",
    "subdomain": "listed_host",
    "url": "listed_url",
    "hard_blacklisted": "banned_word",
    "soft_blacklisted": "soft_words",
    "blacklisted_subword": "banned_subword",
    "other": "other_language",
    "unsure": "unsure_language",
}


# Differences that are known, each with the shortest text that shows it.
KNOWN = {
    "white space that citations leave at a text's ends is stripped before sentences are counted, there after": (
        "c4_fineweb",
        "One. Two. Three.\n[1] [2] [3]\n[1] [2] [3]\n",
    ),
    "lower case is ASCII's, there Unicode's, to which the Kelvin sign is a k": (
        "c4",
        "One. Two. Three. Four.\nRead the coo\u212aie policy now.",
    ),
    "what opens a sentence on a new line closes the one before where a blank joins them, and gives the reason": (
        "c4_sentences",
        "An ant is here.\n{ It says lorem ipsum here.",
    ),
    "a citation hides a sentence's end, which is counted without it; there the sentences that were kept are": (
        "c4_sentences",
        "An ant is here.[1] An eel is here. An ox is here. An owl is here. An elk is here.",
    ),
}


class Texts(NamedTuple):
    """Every text that is judged, which rule judges which, and where each is from: the pool's kind, a reason."""

    texts: list[str]
    rules: dict[str, list[int]]
    origins: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--texts", type=int, default=5050, help="texts of the pool")
    parser.add_argument("--drafts", type=int, default=140, help="for each reason, two edited texts each")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(set(steps()) - {"url"}), help="rules to judge alone"
    )
    args = parser.parse_args()
    python, real = peers_python(), find_urls(args.data)
    pooled = pool(args.data, n_texts=args.texts, urls=real)
    found = gather(pooled, args.data, n_drafts=args.drafts, only=args.only)
    urls = [] if args.only else [*real, *mutated(real)]
    n = {"pool": len(pooled), "edited": len(found.texts) - len(pooled), "urls": len(urls)}
    print(" ".join(f"{name} {count}" for name, count in n.items()), flush=True)
    recipe = [] if args.only else [(at, one.url) for at, one in enumerate(pooled)]
    task = {
        "texts": found.texts, "rules": found.rules, "recipe": recipe, "urls": urls, "model": language_model()
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        peer = run_side(python, "datatrove_rules.py", task, folder=Path(folder) / "peer")
    print(f"datatrove {peer['cpu']:.0f} s; versions {peer['versions']}", flush=True)
    report(dict(compared(found, pooled, urls, peer)), peer, n)


def gather(
    pooled: Sequence[Pooled], data: Path, *, n_drafts: int, only: Sequence[str] | None = None
) -> Texts:
    """The pool, which every rule judges, and the edited texts, which only their own does. only: rules; all if None."""
    texts, origins = [one.text for one in pooled], [one.kind for one in pooled]
    asked = only or [name for name in steps() if name != "url"]
    rules = {name: list(range(len(texts))) for name in asked}
    prose = [one.text for one in pooled if one.kind in ("books", "pages_quern") and len(one.text) > 3000]
    for rule, text in KNOWN.values():
        if rule not in rules:
            continue
        rules[rule].append(len(texts))
        texts.append(text)
        origins.append("known")
    for name, some in edited(data, prose, rules, n_drafts=n_drafts):
        print(f"{name}: {some.describe()}", flush=True)
        for judge_name in set(_judges(name)) & set(rules):
            rules[judge_name] += range(len(texts), len(texts) + len(some.texts))
        texts += some.texts
        origins += [f"edge {some.reason}"] * len(some.texts)
    return Texts(texts, rules, origins)


def _judges(name: str) -> tuple[str, ...]:
    return ("c4", "c4_fineweb") if name == "c4" else (name,)


def edited(
    data: Path, prose: Sequence[str], rules: Collection[str], *, n_drafts: int
) -> Iterator[tuple[str, EdgeTexts]]:
    """Rule after rule of those asked for, the texts that one of its reasons decides."""
    for name, reasons in DRAFTS.items():
        if not set(_judges(name)) & set(rules):
            continue
        for number, (reason, make) in enumerate(reasons.items()):
            n = max(1, n_drafts // 14) if reason == "too_many_words" else n_drafts
            drafts = [make(Material.of(prose, 1000 * number + k)) for k in range(n)]
            yield name, edge_texts(name, reason, drafts)
    if "language" in rules:
        yield "language", language_texts(data, prose, n_drafts=3 * n_drafts)


def compared(
    found: Texts, pooled: Sequence[Pooled], urls: Sequence[str], peer: dict[str, Any]
) -> Iterator[tuple[str, list[Case]]]:
    """Every rule, the recipe and C4's texts: what either side says to each text."""
    for name, indices in found.rules.items():
        texts, origins = ([column[at] for at in indices] for column in (found.texts, found.origins))
        batch, mine = judge(steps()[name], batch_of(texts))
        theirs = [translated(reason, name) for reason in peer[name]]
        cases = [Case(*row) for row in zip(origins, texts, mine, theirs, strict=True)]
        yield name, [case for case in cases if case.origin != "known"]
        yield f"known {name}", [case for case in cases if case.origin == "known"]
        if steps()[name].edit is not None:
            left = zip(cases, digests(batch), peer[f"{name}_left"], strict=True)
            yield (
                f"{name}_text",
                [same_text(*row) for row in left if row[0].origin != "known" and both_keep(row[0])],
            )
    if not urls:
        return
    theirs = [translated(reason, "url") for reason in peer["url"]]
    _, mine = judge(steps()["url"], batch_of([""] * len(urls), urls))
    yield "url", [Case("urls", *row) for row in zip(urls, mine, theirs, strict=True)]
    theirs = [answer and f"{answer[0]}.{translated(answer[1], answer[0])}" for answer in peer["recipe"]]
    rows = zip(
        (one.kind for one in pooled), (one.text for one in pooled), recipe(pooled), theirs, strict=True
    )
    yield "recipe", [Case(*row) for row in rows]


def both_keep(case: Case) -> bool:
    return case.ours is None and case.theirs is None


def same_text(case: Case, ours: str, theirs: str) -> Case:
    """A case of two texts: kept if they are one."""
    return case._replace(ours=None if ours == theirs else "other_text")


def translated(reason: str | None, rule: str) -> str | None:
    """datatrove's reason in our words; its `empty` is another thing to another rule."""
    if reason == "empty" and rule == "gopher_repetition":
        return "empty"
    return OURS_FOR_DATATROVES.get(reason, reason) if reason else None


def recipe(pooled: Sequence[Pooled]) -> list[str | None]:
    """For each text the step that drops it and why, None to keep; steps see what the ones before them left."""
    batch = batch_of([one.text for one in pooled], [one.url for one in pooled])
    answers: list[str | None] = [None] * len(pooled)
    for name in RECIPE:
        batch, reasons = judge(steps()[name], batch)
        for at, reason in zip(batch.ordinals.tolist(), reasons, strict=True):
            answers[at] = f"{name}.{reason}" if reason else None
        batch = batch.select(np.array([reason is None for reason in reasons]))
    return answers


def report(cases: dict[str, list[Case]], peer: dict[str, Any], n: dict[str, int]) -> None:
    """Tables, the result file of a whole run and the last line. Exits where a rule falls short of a bar."""
    found = {name: figures(some) for name, some in cases.items() if not name.startswith("known ")}
    for name, some in found.items():
        show(name, some)
    known = {case.text: case for name, some in cases.items() if name.startswith("known ") for case in some}
    print("\nknown differences")
    asked = {why: (rule, text) for why, (rule, text) in KNOWN.items() if text in known}
    for why, (rule, text) in asked.items():
        print(f"    {rule}: {why}: {text!r} ours {known[text].ours}, theirs {known[text].theirs}")
    wrong = [fault for name, some in found.items() for fault in faults(name, some, possible=possible(name))]
    wrong += [
        f"no difference any more: {why}"
        for why, (_, text) in asked.items()
        if known[text].ours == known[text].theirs
    ]
    about = {
        "machine": describe(PACKAGES),
        "peer_versions": peer["versions"],
        "n": n,
        "peer_cpu_s": round(peer["cpu"]),
    }
    if n["urls"]:
        write_result("parity", {**about, "rules": found, "known": list(KNOWN), "short_of_the_bar": wrong})
    for fault in wrong:
        print(f"SHORT OF THE BAR: {fault}")
    equal, total = (sum(some[key] for some in found.values()) for key in ("equal", "n"))
    print(f"name=parity ratio={equal / total:.5f} ours={equal} peer={total} unit=decisions")
    sys.exit(1 if wrong else 0)


def possible(name: str) -> Sequence[str]:
    """The reasons that a rule can give."""
    return steps()[name].rule.reasons if name in steps() else ()


if __name__ == "__main__":
    main()
