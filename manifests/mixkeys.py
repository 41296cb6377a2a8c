"""What a mix.yaml may say: its keys, their defaults and what each means.

    MixFile     name, corpora, seq_len, seed, sources, phases, allow
      SourceChoice   from, where, max_epochs, licences
      PhaseChoice    tokens, weights
      Allow          verdict, source, because

Nothing is looked up here: what the names stand for is asked in `mixsources.py`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from manifests.mix import MAX_SEQ_LEN, MIN_SEQ_LEN
from manifests.quantities import Count, Share

__all__ = ["Allow", "MixFile", "PhaseChoice", "SourceChoice"]


def _not_empty(name: str) -> str:
    if not name:
        raise ValueError('expected a name, got ""')
    return name


Name = Annotated[str, AfterValidator(_not_empty)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )


class SourceChoice(_Model):
    """One source of a mix, drawn from one or several corpora."""

    from_: list[str] = Field(alias="from", min_length=1)
    """`corpus/source` patterns; `*` stands for any."""
    where: dict[str, str] = {}
    """Partition columns and the value each must have."""
    max_epochs: int | None = Field(default=None, gt=0)
    """How often it may be read; above 16 only by this key."""
    licences: list[str] | None = None
    """Licences its partitions may carry; none: any."""


class PhaseChoice(_Model):
    """A stretch of the run with fixed weights."""

    tokens: Count
    """Tokens of the phase, rounded down to whole rows."""
    weights: dict[str, Share]
    """Shares of tokens by source; they are divided by their sum."""


class Allow(_Model):
    """A verdict to override. Too many epochs are allowed by a source's `max_epochs`."""

    verdict: Literal["unchecked", "marked"]
    """`unchecked`: held against no benchmark; `marked`: benchmark text was found and kept."""
    source: str
    """One of the mix's sources, or `*` for all."""
    because: str


class MixFile(_Model):
    """The keys of mix.yaml."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    corpora: list[str] | dict[Name, str]
    seq_len: int = Field(ge=MIN_SEQ_LEN, le=MAX_SEQ_LEN)
    seed: int = Field(default=0, ge=0)
    sources: dict[Name, SourceChoice] | None = None
    phases: list[PhaseChoice] = Field(min_length=1)
    allow: list[Allow] = []

    @field_validator("corpora")
    @classmethod
    def _one_or_more(cls, corpora: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
        if not corpora:
            raise ValueError(f"expected one corpus or more for `corpora`, got {json.dumps(corpora)}")
        return corpora

    @property
    def weighed(self) -> set[str]:
        """The sources that some phase names, also with a weight of 0."""
        return {name for phase in self.phases for name in phase.weights}

    @property
    def drawn(self) -> set[str]:
        """The sources that have a weight above 0 in some phase."""
        return {name for phase in self.phases for name, weight in phase.weights.items() if weight}
