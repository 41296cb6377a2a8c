"""The recipe's `tokens:`, from text that every verdict keeps to shards.

tokens: {train: {vocab_size: 16384}, partition: [language], holdout: 0.5%}
tokens: {use: tokenizer.json}
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from manifests.digest import digest_file
from manifests.quantities import Count, Share
from pipelines.stage import LARGEST, Phase, Phased
from pipelines.tokens import encode, holdout, shards, tokenizer

__all__ = ["Tokens", "Train"]


class Train(BaseModel):
    """A tokenizer to be trained on this corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    special_tokens: tuple[str, ...] = ()
    """Further tokens that no text can write; ids from 1, in this order (0 is the end of a text)."""
    vocab_size: Annotated[Count, Field(le=1 << 24)]
    """Tokens of the vocabulary, special tokens included; up to 65,536 fit two bytes each."""
    sample_bytes: Annotated[Count, Field(ge=1, le=LARGEST)] = 100_000_000
    """Text to train it on, taken from every source in proportion to its text."""

    @field_validator("special_tokens")
    @classmethod
    def _are_different(cls, special_tokens: tuple[str, ...]) -> tuple[str, ...]:
        if len({tokenizer.END_OF_TEXT, *special_tokens}) <= len(special_tokens):
            raise ValueError(f"expected different tokens, without {tokenizer.END_OF_TEXT}")
        return special_tokens

    @field_validator("vocab_size")
    @classmethod
    def _has_room(cls, vocab_size: int, info: ValidationInfo) -> int:
        # Only fields above this one are known here, which is why special_tokens comes first.
        least = 257 + len(info.data.get("special_tokens", ()))
        if vocab_size < least:
            raise ValueError(f"expected at least {least} (256 bytes and the special tokens)")
        return vocab_size


class Tokens(Phased):
    """Trains or takes a tokenizer, holds out a split, encodes, and writes shards."""

    name: ClassVar[str] = "tokens"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("doc_id", "source", "url", "licence", "text", "origin")
    libraries: ClassVar[tuple[str, ...]] = ("tokenizers", "gigatoken")
    path_fields: ClassVar[tuple[str, ...]] = ("use",)

    train: Train | None = None
    """The tokenizer to train; or name one under `use`."""
    use: str | None = None
    """A tokenizer.json, relative to the recipe."""
    eot: str | None = None
    """The end-of-text token of the file under `use`, where that is not clear from the file."""
    partition: tuple[str, ...] = ()
    """Document columns that get shards of their own, so that a mix can choose among them: `language`, say."""
    holdout: Annotated[Share, Field(le=Fraction(1, 2))] = Fraction(1, 200)
    """The share of each source's text to hold out; at least 64 KiB of it. 0 holds out nothing."""
    holdout_gap_bytes: Annotated[Count, Field(le=LARGEST)] = 4096
    """Text left out between the train and the held-out part of one document: at least a window's."""
    seed: int = 0
    """Chooses what is held out, what the tokenizer sees and where documents stand."""
    shard_tokens: Annotated[Count, Field(ge=1, le=LARGEST)] = 100_000_000
    """Tokens of a shard, about."""

    @model_validator(mode="after")
    def _has_one_tokenizer(self) -> Self:
        if (self.train is None) == (self.use is None):
            raise ValueError("expected one of `train: {vocab_size: 32768}` and `use: tokenizer.json`")
        if self.eot is not None and self.use is None:
            raise ValueError(
                f"expected `eot` only beside `use`; a trained tokenizer has {tokenizer.END_OF_TEXT}"
            )
        return self

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digest of the tokenizer under `use`.

        Raises: MissingFileError.
        """
        return {} if self.use is None else {self.use: digest_file(folder / self.use)}

    def check(self, folder: Path) -> None:
        """Reads the tokenizer under `use`, before any work.

        Raises: UsageError where it is none, or its end-of-text token is not clear.
        """
        if self.use is not None:
            tokenizer.check(folder / self.use, eot=self.eot)

    def phases(self) -> list[Phase]:
        """The phases, in order; `tokenizer` and `shards` leave what stays in the corpus."""
        sample_bytes = None if self.train is None else self.train.sample_bytes
        first = [
            Phase("measure", "part", partial(holdout.measure, seed=self.seed)),
            Phase("split", "one", partial(holdout.split, share=self.holdout, sample_bytes=sample_bytes)),
        ]
        return [*first, *self._tokenizer(), *self._shards()]

    def _tokenizer(self) -> list[Phase]:
        if self.train is None:
            assert self.use is not None
            return [
                Phase("tokenizer", "one", partial(tokenizer.adopt, path=self.use, eot=self.eot), keep=True)
            ]
        sample = partial(tokenizer.sample, gap_bytes=self.holdout_gap_bytes)
        specials = self.train.special_tokens
        train = partial(tokenizer.train, vocab_size=self.train.vocab_size, special_tokens=specials)
        return [Phase("sample", "part", sample), Phase("tokenizer", "one", train, keep=True)]

    def _shards(self) -> list[Phase]:
        run = partial(encode.encode, columns=self.partition, seed=self.seed, gap_bytes=self.holdout_gap_bytes)
        axis = partial(shards.n_shards, columns=self.partition, shard_tokens=self.shard_tokens)
        write = partial(shards.shard, columns=self.partition, shard_tokens=self.shard_tokens)
        return [Phase("encode", "part", run), Phase("shards", axis, write, keep=True)]
