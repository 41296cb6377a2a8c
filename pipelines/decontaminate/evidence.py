"""What either method says of the documents of a part."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Judged"]


class Judged(NamedTuple):
    """uint8[n_docs], 1 for contaminated; the columns that explain it; and what was found of each benchmark."""

    verdicts: npt.NDArray[np.uint8]
    evidence: dict[str, pa.Array]
    found: list[dict[str, Any]]
