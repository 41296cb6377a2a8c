"""The model: Llama's layout, with the norm of queries and keys that makes it Qwen3's.

    B rows   T tokens of a row   D width   H query heads   K key/value heads   C channels of a head
    F hidden width   V vocabulary

    tokens [B, T] -> embedding [B, T, D] -> L x (attention, MLP) -> norm -> head: logits [*, V]
    block   x + o(attention(norm(x)));   x + down(silu(gate(norm(x))) * up(norm(x)))

Names of parameters differ from Hugging Face's by a table in export.py and by nothing else, so export is a
rename. Output projections start at zero and so does an untied head: the first loss is ln V exactly.

Price: the logits of a batch, B T V numbers, are never held at once: the loss is taken chunk by chunk and
its gradient with it (see `summed_nats`). Does not do: dropout, biases, soft caps, squared ReLU (none of
them fits the two exported layouts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.shape import Shape

__all__ = ["Cache", "Model", "new_cache", "rotary_tables", "rotate", "summed_nats", "token_nats"]

Tables = tuple[Tensor, Tensor]
"""Cosines and signed sines, each [T, C]."""


def rotary_tables(shape: Shape, n_positions: int) -> Tables:
    """Cosines and signed sines of positions 0 to n-1: float32[n_positions, C] each.

    Source: Su et al. 2021, in the rotate-half order of GPT-NeoX and Hugging Face. The first half of the
    sines is negated, so that the rotation needs one roll and no concatenation.
    """
    half = shape.head_dim // 2
    exponents = torch.arange(half, dtype=torch.float64) / half
    angles = torch.outer(torch.arange(n_positions, dtype=torch.float64), shape.rope_theta**-exponents)
    cos, sin = angles.cos().float(), angles.sin().float()
    return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)


def rotate(x: Tensor, tables: Tables) -> Tensor:
    """`x` [B, heads, T, C] turned by the angles of its positions."""
    cos, sin = tables
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class Norm(nn.Module):
    """x / rms(x) * weight over the last axis. Source: Zhang and Sennrich 2019."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The normed `x`, in its own type."""
        if x.device.type == "cpu":
            return cast(Tensor, _CpuNorm.apply(x, self.weight, self.eps))  # type: ignore[no-untyped-call]
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps).to(x.dtype)


class _CpuNorm(torch.autograd.Function):
    """RMSNorm in few passes over memory: on a CPU torch composes it of eight, and their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.float()
        scale = torch.linalg.vecdot(wide, wide).div_(x.shape[-1]).add_(eps).rsqrt_().unsqueeze(-1)
        unit = wide * scale
        ctx.save_for_backward(unit, scale, weight)
        return cast(Tensor, (unit * weight).to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        unit, scale, weight = ctx.saved_tensors
        grad = grads[0].float()
        grad_weight = (grad * unit).flatten(0, -2).sum(0)
        inner = grad * weight
        along = torch.linalg.vecdot(inner, unit).div_(unit.shape[-1]).unsqueeze(-1)
        return inner.addcmul_(unit, along, value=-1).mul_(scale).to(grads[0].dtype), grad_weight, None


class Cache:
    """Keys and values of the tokens seen so far: [L, B, K, max_T, C] each, and how many are filled."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values, self.n_seen = keys, values, 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of `layer`, the new ones [B, K, T, C] written behind the old."""
        end = self.n_seen + keys.shape[2]
        self.keys[layer, :, :, self.n_seen : end] = keys
        self.values[layer, :, :, self.n_seen : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


def new_cache(model: Model, n_rows: int, max_tokens: int) -> Cache:
    """An empty cache for `n_rows` rows of up to `max_tokens` tokens."""
    shape, weight = model.shape, model.embed.weight
    size = (shape.layers, n_rows, shape.kv_heads, max_tokens, shape.head_dim)
    return Cache(weight.new_zeros(size), weight.new_zeros(size))


class Attention(nn.Module):
    """Causal attention with grouped key/value heads."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, shape.head_dim
        self.q = nn.Linear(shape.width, shape.heads * shape.head_dim, bias=False)
        self.k = nn.Linear(shape.width, shape.kv_heads * shape.head_dim, bias=False)
        self.v = nn.Linear(shape.width, shape.kv_heads * shape.head_dim, bias=False)
        self.o = nn.Linear(shape.heads * shape.head_dim, shape.width, bias=False)
        self.q_norm = Norm(shape.head_dim, shape.norm_eps) if shape.qk_norm else nn.Identity()
        self.k_norm = Norm(shape.head_dim, shape.norm_eps) if shape.qk_norm else nn.Identity()

    def forward(self, x: Tensor, tables: Tables, cache: Cache | None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        q = rotate(self.q_norm(self._heads(self.q(x))), tables)
        k = rotate(self.k_norm(self._heads(self.k(x))), tables)
        v = self._heads(self.v(x))
        mask = None
        if cache is not None:
            mask = _mask_behind(cache.n_seen, x)
            k, v = cache.append(self.layer, k, v)
        causal = mask is None and x.shape[1] > 1
        y = F.scaled_dot_product_attention(
            q.to(v.dtype), k.to(v.dtype), v, mask, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
        )
        return cast(Tensor, self.o(y.transpose(1, 2).flatten(2)))

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


def _mask_behind(n_seen: int, x: Tensor) -> Tensor | None:
    # One new token may look at everything; several behind a filled cache need the shifted triangle.
    n_new = x.shape[1]
    if n_new == 1 or n_seen == 0:
        return None
    return torch.ones(n_new, n_seen + n_new, dtype=torch.bool, device=x.device).tril(n_seen)


class Mlp(nn.Module):
    """SwiGLU. Source: Shazeer 2020."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return cast(Tensor, self.down(F.silu(self.gate(x)) * self.up(x)))


class Block(nn.Module):
    """Attention, then the MLP, each on the normed stream and added to it."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.width, shape.norm_eps)
        self.attention = Attention(shape, layer)
        self.mlp_norm = Norm(shape.width, shape.norm_eps)
        self.mlp = Mlp(shape)

    def forward(self, x: Tensor, tables: Tables, cache: Cache | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.attention(self.attention_norm(x), tables, cache)
        return x + cast(Tensor, self.mlp(self.mlp_norm(x)))


class Model(nn.Module):
    """The whole model; `model(tokens, targets)` is the summed loss, what DDP has to wrap."""

    cos: Tensor
    sin: Tensor

    def __init__(self, shape: Shape, *, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocab, shape.width)
        self.layers = nn.ModuleList(Block(shape, layer) for layer in range(shape.layers))
        self.norm = Norm(shape.width, shape.norm_eps)
        self.head = nn.Linear(shape.width, shape.vocab, bias=False)
        if shape.tied:
            self.head.weight = self.embed.weight
        cos, sin = rotary_tables(shape, shape.seq_len)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.run_hidden: Callable[[Tensor], Tensor] = self.hidden
        self._start(seed)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The sum over all tokens of -ln p(target): a float32 scalar. Both are int64[B, T]."""
        return summed_nats(self.run_hidden(tokens), self.head.weight, targets)

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """The last layer's normed output [B, T, D]; a cache puts the tokens behind those it holds."""
        start = cache.n_seen if cache is not None else 0
        tables = self._tables(start, start + tokens.shape[1])
        x = self.embed(tokens)
        for block in self.layers:
            x = block(x, tables, cache)
        if cache is not None:
            cache.n_seen += tokens.shape[1]
        return cast(Tensor, self.norm(x))

    def compile_layers(self) -> None:
        """Compile what training and evaluation run; sampling keeps the plain path, its shapes change."""
        self.run_hidden = torch.compile(self.hidden)

    def _tables(self, start: int, stop: int) -> Tables:
        if stop > len(self.cos):  # a sample longer than the training window
            cos, sin = rotary_tables(self.shape, stop)
            self.cos, self.sin = cos.to(self.cos.device), sin.to(self.sin.device)
        return self.cos[start:stop], self.sin[start:stop]

    @torch.no_grad()
    def _start(self, seed: int) -> None:
        # One CPU generator, in the order of the names: the same weights on every device and rank.
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.o.weight", "mlp.down.weight", "head.weight")):
                parameter.zero_()
            elif parameter.dim() == 2:
                parameter.normal_(0.0, 0.02, generator=generator)


class _SummedNats(torch.autograd.Function):
    """Cross-entropy of hidden [N, D] against targets [N], gradients taken in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        dtype = _matmul_dtype(hidden)
        h, w = hidden.to(dtype), weight.to(dtype)
        total = torch.zeros((), dtype=torch.float32, device=h.device)
        grad_h, grad_w = torch.empty_like(h), torch.zeros_like(weight)
        with torch.autocast(h.device.type, enabled=False):
            for part in _chunks(h, len(w)):
                nats, slope = _nats_and_slope(h[part], w, targets[part])
                total += nats.sum()
                torch.mm(slope, w, out=grad_h[part])
                _add_outer(grad_w, slope, h[part])
        ctx.save_for_backward(grad_h, grad_w)
        ctx.hidden_dtype = hidden.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_h, grad_w = ctx.saved_tensors
        return grad_h.mul_(grads[0]).to(ctx.hidden_dtype), grad_w.mul_(grads[0]), None


def summed_nats(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """sum of -ln softmax(hidden @ weight.T)[target]: a float32 scalar.

    hidden [..., D], weight [V, D], targets int64[...]. Holds one chunk of logits at a time; because the
    gradient is taken with it, nothing is computed twice. Under autocast the products are in its type and
    the softmax in float32.
    """
    flat = hidden.flatten(0, -2)
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        return cast(Tensor, _SummedNats.apply(flat, weight, targets.flatten()))  # type: ignore[no-untyped-call]
    return token_nats(hidden, weight, targets).sum()


@torch.no_grad()
def token_nats(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target) of every token: float32[...], the shape of `targets`. No gradient, chunk by chunk."""
    flat, goal = hidden.flatten(0, -2), targets.flatten()
    nats = torch.empty(len(goal), dtype=torch.float32, device=flat.device)
    for part in _chunks(flat, len(weight)):
        logits = (flat[part] @ weight.T).float()
        nats[part] = logits.logsumexp(1) - logits.gather(1, goal[part, None]).squeeze(1)
    return nats.view(targets.shape)


def _nats_and_slope(h: Tensor, w: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    # slope = softmax - onehot, made in the memory of the logits with one exponential for both results.
    logits = (h @ w.T).float()
    goal = targets[:, None]
    top, picked = logits.amax(1, keepdim=True), logits.gather(1, goal)
    weight = logits.sub_(top).exp_()
    whole = weight.sum(1, keepdim=True)
    nats = whole.log() + top - picked
    slope = weight.div_(whole)
    slope.scatter_add_(1, goal, torch.full_like(nats, -1.0))
    return nats, slope.to(h.dtype)


def _add_outer(grad_w: Tensor, slope: Tensor, h: Tensor) -> None:
    if grad_w.dtype == h.dtype:
        grad_w.addmm_(slope.T, h)
    else:
        grad_w.add_(slope.T @ h)


def _matmul_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _chunks(rows: Tensor, vocab: int) -> list[slice]:
    # On a CPU a chunk of logits that stays near the cache is fastest; a GPU wants few large products.
    n_logits = 1 << 22 if rows.device.type == "cpu" else 1 << 28
    size = max(1, n_logits // vocab)
    return [slice(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
