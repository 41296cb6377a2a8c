"""What came of the demo: the loss curve, bits per byte beside the lines to beat, samples, what to do next.

    metrics.jsonl, references.json -> loss.svg, a sketch for the terminal, a table
    training shards + tokenizer    -> the words of the training text -> each sample's share of known words

A word is a letter or an underscore and the letters, digits and underscores after it, case kept; it is known if
it stands in the training text in that very form.

Price: 3 s, most of it turning 4 million tokens back into text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tokenizers import Tokenizer

from corpus_tools.screen import size, table
from manifests.corpus import CorpusManifest
from manifests.errors import QuernError
from manifests.mix import MixManifest, open_stream
from manifests.shards import TokenStream
from trainer.charts import Series, svg_chart, text_chart
from trainer.metrics import read_lines

__all__ = ["MIN_KNOWN_FRAC", "Result", "check_result", "known_frac", "result_of", "show_result", "words_of"]

MIN_KNOWN_FRAC = 0.6
_MIN_TEXT, _N_SOURCES = 5_000_000, 3
_MUST_BEAT = ("unigram", "byte_bigram")
_LINES = {
    "unigram": "token unigram",
    "byte_bigram": "byte bigram",
    "bigram": "token bigram, interpolated",
}
_WORD = re.compile(r"[^\W\d]\w*")
_CHUNK = 200_000
_STYLE = (
    "svg{background:#fff;font:11px sans-serif}.title{font-weight:600;font-size:13px}.y,.level{text-anchor:end}"
    ".x{text-anchor:middle}.grid{stroke:#000;opacity:.15}.line{fill:none;stroke-width:1.6}"
    "path.level{stroke:#000;stroke-dasharray:5 4;opacity:.6}"
)


@dataclass(frozen=True, slots=True)
class Result:
    """losses: (step, loss) of every step; bpb: line -> source -> bits per byte, the model's under `model`."""

    losses: tuple[tuple[int, float], ...]
    bpb: Mapping[str, Mapping[str, float]]
    samples: tuple[tuple[str, str, float], ...]
    n_text_bytes: int
    n_sources: int

    def mean(self, line: str) -> float:
        """Bits per byte of a line: the mean over the sources."""
        return fmean(self.bpb[line].values())


def result_of(out: Path, *, corpus: str, run: str, samples: Sequence[Mapping[str, str]]) -> Result:
    """The result of a finished demo in `out`; samples: rows of `prompt` and of the `text` that follows it."""
    folder = out / run
    metrics = read_lines(folder / "metrics.jsonl")
    steps = [line for line in metrics if line["kind"] == "step" and line["loss"] is not None]
    evaluations = [line for line in metrics if line["kind"] == "evaluate"]
    references = json.loads((folder / "references.json").read_text(encoding="utf-8"))["bpb"]
    manifest = CorpusManifest.read(out / corpus)
    words = _training_words(folder)
    known = [(row["prompt"], row["text"], known_frac(row["text"], words)) for row in samples]
    return Result(
        losses=tuple((line["step"], line["loss"]) for line in steps),
        bpb={**references, "model": evaluations[-1]["bpb"]},
        samples=tuple(known),
        n_text_bytes=sum(partition.n_bytes for partition in manifest.partitions),
        n_sources=len(manifest.sources),
    )


def words_of(text: str) -> list[str]:
    """The words of a text, in order.

    >>> words_of("def wrap(text, width=70): # don't")
    ['def', 'wrap', 'text', 'width', 'don', 't']
    """
    return _WORD.findall(text)


def known_frac(text: str, known: set[str]) -> float:
    """The share of a text's words that are known; 0 for a text without words."""
    words = words_of(text)
    return sum(word in known for word in words) / len(words) if words else 0.0


def _training_words(run: Path) -> set[str]:
    """Every word of the text that the run's training split holds."""
    mix = MixManifest.read(run / "mix.json")
    places = json.loads((run / "locations.json").read_text(encoding="utf-8"))
    locations = {digest: run / place for digest, place in places.items()}
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    found: set[str] = set()
    for source in mix.sources:
        found |= _words_of_stream(open_stream(source.train, locations), tokenizer)
    return found


def _words_of_stream(stream: TokenStream, tokenizer: Tokenizer) -> set[str]:
    found: set[str] = set()
    for start in range(0, stream.n_tokens, _CHUNK):
        ids = stream.read(start, min(_CHUNK, stream.n_tokens - start)).tolist()
        # The end-of-text token stands between documents; left in, it would join two words into one.
        found |= set(words_of(tokenizer.decode(ids, skip_special_tokens=False)))
    return found


def show_result(result: Result, out: Path, *, seconds: float) -> str:
    """The result for a terminal; writes the loss curve to `out/loss.svg`."""
    (out / "loss.svg").write_text(_picture(result), encoding="utf-8")
    xs, ys = zip(*result.losses, strict=True)
    return "\n".join(
        [
            f"\n=== Done in {seconds / 60:.1f} minutes",
            f"\n{text_chart(xs, ys)}\n          loss (nats a token) by step; the picture is {out / 'loss.svg'}\n",
            _bpb_table(result),
            _sample_lines(result),
            f"\n{size(result.n_text_bytes)} of text from {result.n_sources} sources.",
            _next_steps(out),
        ]
    )


def _picture(result: Result) -> str:
    """The curve as an SVG file that stands alone."""
    xs, ys = zip(*result.losses, strict=True)
    drawn = svg_chart("Training loss, nats a token", [Series("loss", xs, ys)], x_name="step")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="300"><style>{_STYLE}</style>'
    return drawn.replace("<svg", f"{head}<svg", 1) + "</svg>\n"


def _bpb_table(result: Result) -> str:
    names = sorted(result.bpb["model"])
    spoken = {**_LINES, "model": "this model"}
    rows = [
        {
            "held out, bits per byte": spoken[line],
            **{n: result.bpb[line][n] for n in names},
            "mean": result.mean(line),
        }
        for line in spoken
    ]
    return table(rows)


def _sample_lines(result: Result) -> str:
    return "\n".join(
        f'{frac:.0%} of the words after "{prompt}" stand in the training text'
        for prompt, _, frac in result.samples
    )


def _next_steps(out: Path) -> str:
    return f"""
What to do next, in {out}:
  change a limit in recipe.yaml, then  quern build recipe.yaml      only what depends on it is done again
  change weights in mix.yaml, then     quern mix check mix.yaml     what that means in tokens and epochs
  see what step 100 read               quern trace runs/demo --step 100
  open the run's report                {out / "runs/demo/report.html"}
  let it write                         quern sample runs/demo "import "
With your own files:                   quern init FILES...          writes the three files for them
What flatters these figures: docstrings stand in the code and on the pages, so held-out text has relatives in
the training text that no duplicate search takes out."""


def check_result(result: Result) -> None:
    """Returns if the corpus is whole, the model better than counting, and its samples of words that it read.

    Raises: QuernError naming each thing that is not so.
    """
    wrong = [
        f"{_LINES[line]}: expected more than {result.mean('model'):.3f} bits per byte, got {result.mean(line):.3f}"
        for line in _MUST_BEAT
        if result.mean(line) <= result.mean("model")
    ]
    wrong += [
        f'sample "{prompt}": expected at least {MIN_KNOWN_FRAC:.0%} known words, got {frac:.0%}'
        for prompt, _, frac in result.samples
        if frac < MIN_KNOWN_FRAC
    ]
    if result.n_text_bytes < _MIN_TEXT or result.n_sources < _N_SOURCES:
        raise QuernError(
            f"expected at least {size(_MIN_TEXT)} of text from {_N_SOURCES} sources, got {size(result.n_text_bytes)} "
            f"from {result.n_sources}. The demo wants a Python with its whole standard library and some packages. "
            "Run it in another one, or build from files of your own: `quern init FILES...`."
        )
    if wrong:
        raise QuernError(
            "\n".join(
                [
                    *wrong,
                    "The model learned too little. Write more tokens in mix.yaml, delete runs/demo and try again.",
                ]
            )
        )
