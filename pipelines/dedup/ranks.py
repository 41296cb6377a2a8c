"""Which of several documents is the better one, before the place of its source and its id decide.

    keep: first      nothing comes before them
    keep: longest    the one with more bytes of text
    keep: newest     the one with the later `date`, text or a column of moments
    keep: highest    the one with the larger `score`, a column of numbers (`language_score`, `gopher_quality.n_words`)

A document whose date or score is missing or cannot be read is worse than any that has one.

    ranks(...) -> int64[n_docs]   smaller is better
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import TaskError
from pipelines.dedup.texts import text_bytes
from pipelines.stage import GatherTask

__all__ = ["Keep", "check_score", "rank_columns", "ranks", "require_score"]

I64s = npt.NDArray[np.int64]
Keep = Literal["first", "longest", "newest", "highest"]
WORST = np.iinfo(np.int64).max
_MOMENTS = pa.timestamp("us", "UTC"), pa.timestamp("us")
# All that Arrow may read begins so; other text costs no cast.
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]*(Z|[+-][0-9:]*)?)?$"
_ZONE = r"^.{10,}(Z|[+-][0-9:]*)$"


def check_score(keep: Keep, score: str | None) -> None:
    """Raises: ValueError for a score without `keep: highest`, or that without a score."""
    if (keep == "highest") != (score is not None):
        raise ValueError(
            f"expected `score: COLUMN` beside keep: highest and nowhere else, got keep: {keep}"
            + (f" and score: {score}" if score else " and no score")
            + "; write both, or leave both out"
        )


def rank_columns(keep: Keep, score: str | None) -> list[str]:
    """The columns that `ranks` looks at, beside the text."""
    return {"newest": ["date"], "highest": [score or ""]}.get(keep, [])


def ranks(table: pa.Table, keep: Keep, score: str | None) -> I64s:
    """The rank of every row: int64[n_docs], smaller is better.

    Raises: TaskError for a date that is neither text nor a moment, or a score that is no number.
    """
    if keep == "first":
        return np.zeros(table.num_rows, dtype=np.int64)
    if keep == "longest":
        return -text_bytes(table)
    [name] = rank_columns(keep, score)
    if name not in table.column_names:
        return np.full(table.num_rows, WORST, dtype=np.int64)
    column = table.column(name).combine_chunks()
    return _by_date(column) if keep == "newest" else _by_score(column, name)


def _by_date(column: pa.Array) -> I64s:
    kind = column.type
    is_moment = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    if not (
        is_moment or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    ):
        raise TaskError(
            f"expected text, dates or times in `date`, by which the newest of equal documents is kept, found {kind}. "
            "None is newer than another. Have the step that writes `date` write it as text, such as 2026-03-01."
        )
    moments = _read(column, _MOMENTS[0]) if is_moment or pa.types.is_null(kind) else _read_text(column)
    return -moments


def _read_text(dates: Any) -> I64s:
    """Microseconds, -WORST for what is no moment; Arrow casts those with a zone and those without apart."""
    found = np.full(len(dates), -WORST, dtype=np.int64)
    looks_right, has_zone = (_matches(dates, pattern) for pattern in (_MOMENT, _ZONE))
    for kind, mask in zip(_MOMENTS, (has_zone, ~has_zone), strict=True):
        places = np.flatnonzero(looks_right & mask)
        found[places] = _read(dates.take(pa.array(places)), kind)
    return found


def _matches(dates: Any, pattern: str) -> npt.NDArray[np.bool_]:
    return np.asarray(
        pc.fill_null(pc.match_substring_regex(dates, pattern), pa.scalar(value=False)), dtype=np.bool_
    )


def _read(dates: Any, kind: pa.DataType) -> I64s:
    """Microseconds, -WORST for what is no moment.

    One that cannot be read must not stop the rest: halves are tried alone, so each such costs O(log n) casts.
    """
    try:
        # As Arrow counts them: Python has no years before 1 or after 9999.
        return _above_least(pc.cast(dates, options=pc.CastOptions(kind, allow_time_truncate=True)))
    except pa.ArrowInvalid:
        half = len(dates) // 2
        if not half:
            return np.array([-WORST], dtype=np.int64)
        return np.concatenate([_read(dates[:half], kind), _read(dates[half:], kind)])


def _by_score(column: pa.Array, name: str) -> I64s:
    kind = column.type
    if pa.types.is_integer(kind):
        return -_whole_numbers(column, name)
    if not (pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise TaskError(
            f"expected whole numbers or floats in `{name}`, the score by which the best of equal documents is kept, "
            f"found {kind}. Nothing can be compared. Name another column under `score`."
        )
    scores = np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan), dtype=np.float64)
    # A double's bits, read as a number, ascend with it; what follows the sign of a negative one the other way.
    bits = (scores + 0.0).view(np.int64)
    ascending = np.where(bits < 0, -(bits & WORST), bits)
    return np.where(np.isnan(scores), WORST, -ascending)


def _above_least(column: pa.Array) -> I64s:
    """Never below -WORST, whose opposite is a number too."""
    return np.maximum(np.asarray(column.cast(pa.int64()).fill_null(-WORST), dtype=np.int64), -WORST)


def _whole_numbers(column: pa.Array, name: str) -> I64s:
    try:
        return _above_least(column)
    except pa.ArrowInvalid as error:
        raise TaskError(
            f"expected numbers up to {WORST} in `{name}`, the score by which the best of equal documents is kept, "
            "found larger ones. They would count as equal. Name another column under `score`."
        ) from error


def require_score(task: GatherTask, keep: Keep, score: str | None) -> None:
    """Raises: TaskError where no part has the column; the facts of phase `sign` say so of each."""
    if keep == "highest" and task.parts and not any(facts["has_score"] for facts in task.facts_of("sign")):
        raise TaskError(
            f"expected a column `{score}` in documents, the score by which the best is kept, found it in none. The "
            "first would stay instead. Name one that a step writes, such as `language_score`, under `score`."
        )
