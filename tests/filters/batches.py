"""Batches of documents for tests of rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.stage import Rule


def batch_of(texts: Sequence[str | None]) -> Batch:
    """One batch holding the texts."""
    builder = BatchBuilder("test")
    for i, text in enumerate(texts):
        assert not list(builder.add(Record("texts", i, i, 1, text=text)))
    [batch] = builder.flush()
    return batch


def no_documents() -> Batch:
    """A batch of the right columns and no rows."""
    return batch_of(["a"]).select(np.zeros(1, np.bool_))


def reasons_of(rule: Rule, texts: Sequence[str | None]) -> list[str | None]:
    """What the rule says to each text: None to keep, else the reason."""
    verdicts = rule.decide(rule.measure(batch_of(texts)))
    return [rule.reasons[code - 1] if code else None for code in verdicts]
