"""AdamW, and Muon for the hidden matrices with AdamW for the rest.

    layers.*.weight [r, c]   Muon: momentum, then the nearest orthogonal matrix, x lr sqrt(max(1, r/c))
    embed, head              AdamW (with `adamw`: the layers' matrices too), decayed like every matrix
    norms                    AdamW, never decayed: a norm's weight has no reason to be near zero

With `muon` the config's `lr` is Muon's; AdamW's parts take fixed fractions of it (ADAM_FRACTIONS, tuned on
models of 1 to 4 M parameters). State is named by parameter, so it does not know ranks or groups.

Price: Muon keeps one number a parameter (AdamW two) and spends 5 Newton-Schulz rounds, done for all
matrices of one form in one batch; every rank computes all of them (no sharding).
Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; torch.optim.Muon is the test's oracle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

__all__ = ["ADAM_FRACTIONS", "Muon", "Optimiser", "new_optimiser", "orthogonalise"]

Named = list[tuple[str, nn.Parameter]]

ADAM_FRACTIONS = {"embed": 1.0, "head": 0.5, "tied": 0.5, "norm": 0.15}
"""AdamW's rates beside Muon's, as fractions of it."""

_QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan 2024: steepest at zero; singular values end in about [0.7, 1.2]


def orthogonalise(stack: Tensor, *, n_rounds: int = 5) -> Tensor:
    """The nearest orthogonal matrix of every matrix in `stack` [n, r, c], roughly, by Newton-Schulz.

    In bfloat16 on a GPU, where the rounds tolerate it, else in the stack's type.
    """
    a, b, c = _QUINTIC
    x = stack.bfloat16() if stack.is_cuda else stack
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(n_rounds):
        gram = x @ x.mT
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, poly, x, beta=a)
    return (x.mT if tall else x).to(stack.dtype)


class Muon:
    """Momentum, orthogonalised: for matrices only. Matrices of one form are kept and updated as one stack."""

    def __init__(self, named: Named, *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        self.peak_lr, self.lr = lr, lr
        self.weight_decay, self.momentum = weight_decay, momentum
        self._by_form: dict[tuple[int, ...], Named] = {}
        for name, p in named:
            self._by_form.setdefault(tuple(p.shape), []).append((name, p))
        self._stacks = {
            form: torch.stack([torch.zeros_like(p) for _, p in members])
            for form, members in self._by_form.items()
        }

    def buffers(self) -> dict[str, Tensor]:
        """The momentum of each parameter by name: views, so writing to one sets it."""
        return {
            name: self._stacks[form][i]
            for form, members in self._by_form.items()
            for i, (name, _) in enumerate(members)
        }

    @torch.no_grad()
    def step(self) -> None:
        """p <- p (1 - lr decay) - lr sqrt(max(1, r/c)) orthogonalise(nesterov momentum), for every parameter."""
        for form, members in self._by_form.items():
            stack = self._stacks[form]
            grads = torch.stack([_grad(name, p) for name, p in members])
            stack.lerp_(grads, 1 - self.momentum)
            updates = orthogonalise(grads.lerp_(stack, self.momentum))
            rate = self.lr * max(1.0, form[0] / form[1]) ** 0.5
            for (_, p), update in zip(members, updates, strict=True):
                p.mul_(1 - self.lr * self.weight_decay).add_(update, alpha=-rate)


def _grad(name: str, p: nn.Parameter) -> Tensor:
    assert p.grad is not None, f"{name} has no gradient"
    return p.grad


class Optimiser:
    """All parameters' optimiser: `step(factor)` at a fraction of the peak rates, and state as named tensors."""

    def __init__(self, adamw: torch.optim.AdamW, muon: Muon | None, names: Mapping[Tensor, str]) -> None:
        self.adamw, self.muon, self._names = adamw, muon, dict(names)

    def step(self, factor: float) -> None:
        """One update from the gradients that are there, at `factor` of the peak learning rates."""
        for group in self.adamw.param_groups:
            group["lr"] = group["peak_lr"] * factor
        self.adamw.step()
        if self.muon:
            self.muon.lr = self.muon.peak_lr * factor
            self.muon.step()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self._names:
            p.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The whole state: `adamw.<part>.<parameter>` and `muon.momentum.<parameter>`."""
        state = {
            f"adamw.{part}.{self._names[p]}": value
            for p, parts in self.adamw.state.items()
            for part, value in parts.items()
        }
        buffers = self.muon.buffers() if self.muon else {}
        return state | {f"muon.momentum.{name}": value for name, value in buffers.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a state that `tensors()` gave, on whatever device the parameters are."""
        by_name = {name: p for p, name in self._names.items()}
        buffers = self.muon.buffers() if self.muon else {}
        for key, value in tensors.items():
            kind, part, name = key.split(".", 2)
            if kind == "muon":
                buffers[name].copy_(value)
            else:
                p = by_name[name]
                self.adamw.state[p][part] = value.to(p.device, copy=True)


def new_optimiser(
    model: nn.Module,
    *,
    name: str,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    adam_lr: float | None,
) -> Optimiser:
    """The optimiser `name` (`adamw` or `muon`) for all parameters of `model`.

    `adam_lr` replaces the rate of everything Muon does not update.
    """
    named = list(model.named_parameters())
    hidden = [(n, p) for n, p in named if name == "muon" and p.dim() == 2 and ".layers." in f".{n}"]
    muon = Muon(hidden, lr=lr, weight_decay=weight_decay) if hidden else None
    taken = {n for n, _ in hidden}
    tied = not any(n.endswith("head.weight") for n, _ in named)
    groups = [
        {
            "params": [p],
            "peak_lr": _adam_rate(n, lr=lr, adam_lr=adam_lr, tied=tied) if muon else lr,
            "weight_decay": weight_decay if p.dim() >= 2 and not muon else 0.0,
        }
        for n, p in named
        if n not in taken
    ]
    adamw = torch.optim.AdamW(
        _merged(groups), lr=lr, betas=betas, eps=1e-8 if not muon else 1e-10, fused=True
    )
    return Optimiser(adamw, muon, {p: n for n, p in named})


def _adam_rate(name: str, *, lr: float, adam_lr: float | None, tied: bool) -> float:
    if adam_lr is not None:
        return adam_lr
    if name.endswith("embed.weight"):
        return lr * ADAM_FRACTIONS["tied" if tied else "embed"]
    return lr * ADAM_FRACTIONS["head" if name.endswith("head.weight") else "norm"]


def _merged(groups: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    # One group for each pair of rate and decay: fused AdamW is one kernel a group.
    merged: dict[tuple[object, object], dict[str, object]] = {}
    for group in groups:
        key = (group["peak_lr"], group["weight_decay"])
        if key in merged:
            merged[key]["params"] += group["params"]  # type: ignore[operator]
        else:
            merged[key] = group
    return list(merged.values())
