"""How much of pages' articles each engine finds, what else it takes for them, and the time for a page.

    python benchmarks/extraction.py          92 news pages with gold by hand, 61 of Readability.js's; 2 minutes

Ours: quern, resiliparse. Peers: trafilatura 2.x in three settings, readability-lxml, jusText, in an environment of
their own, made by

    python -m venv .venv-extractors && .venv-extractors/bin/python -m pip install -r benchmarks/extractors.txt

or named by $QUERN_EXTRACTORS. F1, precision and recall are article-extraction-benchmark's (`support/articles.py`);
each engine's text is scored as it comes. Every engine gets the same decoded pages, in a fresh process bound to one
core and one thread; milliseconds are of CPU. A third set is trafilatura's own: pages of many languages, each with
pieces that the text must have and must not. It set no threshold of ours, but one rule (the lead) comes from a look
at what was missed there.

The bars, ours beside trafilatura's default: F1 at least as high on both sets (ratio 1), time at most a fifth
(ratio 5). One that is missed fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.articles import Score, load_articles, load_pieces, load_readable, score, score_pieces
from support.lines import Line, enforce, show, with_bars
from support.machine import ROOT, describe, one_core, run_side, write_result

from pipelines.extract.charset import decode_page

OURS = ("quern", "resiliparse")
PEERS = ("trafilatura", "trafilatura_fast", "trafilatura_precision", "readability_lxml", "justext")
PEER = "trafilatura"
BARS = {
    f"extraction_{what}_{name}": bar
    for what, bar in (("f1", 1), ("ms", 5))
    for name in ("articles", "readable")
}
PACKAGES = ("resiliparse", "numba", "numpy")
PEER_PACKAGES = ("trafilatura", "readability-lxml", "jusText", "lxml")

Found = dict[str, dict[str, tuple[Score, float]]]
"""By engine and set: the score and milliseconds a page."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    if not (args.data / "html").is_dir():
        print(f"{args.data / 'html'}: no pages with gold, so nothing is scored. Name --data.")
        return
    python, core = peers_python(), one_core()
    sets = {
        "articles": load_articles(args.data),
        "readable": load_readable(args.data),
        "pieces": load_pieces(args.data),
    }
    found, versions = measure(sets, python)
    for engine, results in found.items():
        print(f"{engine:22}" + "   ".join(brief(name, *result) for name, result in results.items()))
    machine = {**describe(PACKAGES), "core": core}
    table = {e: {s: [*rounded(sc), round(ms, 2)] for s, (sc, ms) in r.items()} for e, r in found.items()}
    lines = figures(found)
    about = {"machine": machine, "peer_versions": versions, "columns": ["f1", "precision", "recall", "ms"]}
    write_result("extraction", {**about, "engines": table, "figures": lines})
    show(lines)
    enforce(lines)


def peers_python() -> Path:
    """The interpreter of the extractors' environment."""
    path = Path(os.environ.get("QUERN_EXTRACTORS", ROOT / ".venv-extractors/bin/python"))
    if not path.exists():
        raise SystemExit(f"{path}: no extractors to measure against. See --help for the two commands.")
    return path.absolute()


def measure(sets: Mapping[str, Any], python: Path) -> tuple[Found, dict[str, str]]:
    """Every engine's scores and times on every set, and the peers' versions."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "pages.json"
        pages.write_text(
            json.dumps({k: [decode_page(a.html, None) or "" for a in v] for k, v in sets.items()})
        )
        task: dict[str, Any] = {"pages": str(pages), "packages": PACKAGES, "engines": OURS}
        ours = run_side(sys.executable, "extract_pages.py", task, folder=Path(folder) / "ours")
        task |= {"packages": PEER_PACKAGES, "engines": PEERS}
        peers = run_side(python, "extract_pages.py", task, folder=Path(folder) / "peers")
    answers = {name: ours[name] for name in OURS} | {name: peers[name] for name in PEERS}
    found = {engine: judge(sets, answer) for engine, answer in answers.items()}
    return found, peers["versions"]


def judge(sets: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, tuple[Score, float]]:
    """An engine's score and time on each set."""
    found = {}
    for name, articles in sets.items():
        texts = answer[name]["texts"]
        by_gold = name != "pieces"
        result = score([a.gold for a in articles], texts) if by_gold else score_pieces(articles, texts)
        found[name] = (result, answer[name]["ms"])
    return found


def rounded(result: Score) -> tuple[float, float, float]:
    return round(result.f1, 4), round(result.precision, 4), round(result.recall, 4)


def brief(name: str, result: Score, ms: float) -> str:
    f1, precision, recall = rounded(result)
    return f"{name} {f1:.3f} ({precision:.3f}/{recall:.3f}) {ms:6.2f} ms"


def figures(found: Found) -> list[Line]:
    """A line for each figure, the bars last."""
    lines = []
    for name in ("pieces", "readable", "articles"):
        (ours, our_ms), (peer, peer_ms) = found["quern"][name], found[PEER][name]
        lines.append(
            line(f"extraction_ms_{name}", peer_ms / our_ms, round(our_ms, 2), round(peer_ms, 2), "ms/page")
        )
        lines.append(
            line(f"extraction_f1_{name}", ours.f1 / peer.f1, round(ours.f1, 4), round(peer.f1, 4), "F1")
        )
    return with_bars(lines, least=BARS)


def line(name: str, ratio: float, ours: float, peer: float, unit: str) -> Line:
    return {"name": name, "ratio": round(ratio, 4), "ours": ours, "peer": peer, "unit": unit}


if __name__ == "__main__":
    main()
