"""Texts from a model: greedy, temperature, top-k, top-p, with a key/value cache.

    prompts of different lengths start together and advance together:
        row 0   <|end|> It was a  ~~~ ~~~ ~~~ ~~~         ~ sampled
        row 1   <|end|> It was a dark and ~~~ ~~~         a row still inside its prompt takes its own next token

So no row is padded, and positions are the same for all. A row's n-th choice is made by one number, a hash of
(seed, row, n): it depends on nothing else that runs, and a row's text not on its neighbours'.

Price: one pass over the shortest prompt, then one token a pass. A text longer than the training window goes
on, and gets worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manifests.digest import hash64
from trainer.model import Cache, Model, new_cache

if TYPE_CHECKING:
    from trainer.rundir import Run

__all__ = ["Picker", "choose", "complete", "complete_ids"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picker:
    """How a token is picked from the logits; temperature 0 takes the likeliest."""

    temperature: float = 0.8
    top_k: int | None = 50
    top_p: float | None = 0.95
    seed: int = 0


def choose(logits: Tensor, picker: Picker, luck: Sequence[float]) -> Tensor:
    """One token for each row of `logits` [B, V] by its number in [0, 1): int64[B], on the CPU.

    Kept are the top_k likeliest, and of them the fewest whose probabilities reach top_p.
    """
    logits = logits.float().cpu()
    if picker.temperature == 0:
        return logits.argmax(1)
    kept, ids = logits.topk(min(picker.top_k or logits.shape[1], logits.shape[1]), dim=1)
    p = (kept / picker.temperature).softmax(1)
    if picker.top_p is not None:
        p = p.where(p.cumsum(1) - p < picker.top_p, 0.0)
    reach = p.cumsum(1)
    drawn = torch.tensor(luck, dtype=torch.float32)[:, None] * reach[:, -1:]
    n_kept = (p > 0).sum(1, keepdim=True)
    place = torch.searchsorted(reach, drawn, right=True).minimum(n_kept - 1)
    return ids.gather(1, place).squeeze(1)


def complete(
    run: Run,
    prompts: Sequence[str],
    *,
    n_tokens: int = 64,
    picker: Picker | None = None,
    step: int | None = None,
    device: str = "cpu",
) -> list[str]:
    """What the run's model writes behind each prompt; an empty prompt begins a document.

    step: the checkpoint to use (default: the newest sound one). A text ends early where its document does.

    Raises: DamageError, MissingFileError where the run has no sound checkpoint.
    """
    tokenizer, eot = run.tokenizer(), run.mix.eot
    rows = [[eot, *tokenizer.encode(p).ids] for p in prompts]
    model = run.model(step, device=device)
    found = complete_ids(model, rows, n_tokens=n_tokens, picker=picker or Picker(), stop=eot)
    return [str(tokenizer.decode(ids)) for ids in found]


@torch.no_grad()
def complete_ids(
    model: Model, prompts: Sequence[Sequence[int]], *, n_tokens: int, picker: Picker, stop: int | None = None
) -> list[list[int]]:
    """What follows each prompt: 1 to `n_tokens` ids each, ending before `stop` where it comes.

    prompts hold at least one id each. A text's first token is never `stop`: an empty text says nothing.
    """
    lengths = [len(p) for p in prompts]
    cache = new_cache(model, len(prompts), max(lengths) + n_tokens)
    rows = [list(p) for p in prompts]
    seen = min(lengths)
    logits = _next_logits(model, [row[:seen] for row in rows], cache)
    while not all(_is_done(row[n:], n_tokens, stop) for row, n in zip(rows, lengths, strict=True)):
        if stop is not None:
            logits[[i for i, n in enumerate(lengths) if n == seen], stop] = -torch.inf
        luck = [_luck(picker.seed, i, seen - n) for i, n in enumerate(lengths)]
        for row, token in zip(rows, choose(logits, picker, luck).tolist(), strict=True):
            if len(row) == seen:
                row.append(token)
        logits = _next_logits(model, [row[seen : seen + 1] for row in rows], cache)
        seen += 1
    return [_trimmed(row[n : n + n_tokens], stop) for row, n in zip(rows, lengths, strict=True)]


def _next_logits(model: Model, tokens: list[list[int]], cache: Cache) -> Tensor:
    hidden = model.hidden(torch.tensor(tokens, device=model.embed.weight.device), cache)
    return torch.nn.functional.linear(hidden[:, -1], model.head.weight)


def _is_done(ids: list[int], n_tokens: int, stop: int | None) -> bool:
    return len(ids) >= n_tokens or (stop is not None and stop in ids)


def _trimmed(ids: list[int], stop: int | None) -> list[int]:
    return ids[: ids.index(stop)] if stop is not None and stop in ids else ids


def _luck(seed: int, row: int, n: int) -> float:
    # 24 bits: what a float32 in [0, 1) holds exactly, so that rounding never gives 1.
    return (hash64("quern.sample", seed, row, n) >> 40) / (1 << 24)
