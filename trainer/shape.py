"""The size of a model as numbers: presets, the one-dial depth, parameters and FLOPs. No torch here.

    llama-4m:  5 layers, width 256 = 4 heads x 64 channels, hidden 704      4.0 M in the layers
               + vocabulary x width, twice, or once where the embedding is tied to the head

Everything is counted from the structure, so a planner can reckon a run without building a model.
Source: sizes of the Llama family (Touvron et al. 2023; Llama 3, 2024), the small ones are ours; FLOPs as in
PaLM (Chowdhery et al. 2022, appendix B): attention is counted in full, without the half that causality saves.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRESETS", "Dims", "Shape", "dims_of_depth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dims:
    """What a preset fixes: everything but the vocabulary and the options."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    tied: bool = True


PRESETS: dict[str, Dims] = {
    "llama-1m": Dims(layers=4, width=128, heads=4, kv_heads=4, hidden=384, tied=False),
    "llama-2m": Dims(layers=4, width=192, heads=3, kv_heads=3, hidden=512, tied=False),
    "llama-4m": Dims(layers=5, width=256, heads=4, kv_heads=4, hidden=704, tied=False),
    "llama-10m": Dims(layers=6, width=384, heads=6, kv_heads=6, hidden=1024, tied=False),
    "llama-25m": Dims(layers=8, width=512, heads=8, kv_heads=8, hidden=1408, tied=False),
    "llama-50m": Dims(layers=10, width=640, heads=10, kv_heads=10, hidden=1728, tied=False),
    "llama-124m": Dims(layers=12, width=768, heads=12, kv_heads=12, hidden=2048),
    "llama-350m": Dims(layers=24, width=1024, heads=16, kv_heads=16, hidden=2752),
    "llama-760m": Dims(layers=24, width=1536, heads=16, kv_heads=16, hidden=4096),
    "llama-1b": Dims(layers=16, width=2048, heads=32, kv_heads=8, hidden=8192),
    "llama-3b": Dims(layers=28, width=3072, heads=24, kv_heads=8, hidden=8192),
    "llama-8b": Dims(layers=32, width=4096, heads=32, kv_heads=8, hidden=14336, tied=False),
}
"""Names say the size as people do: with GPT-2's vocabulary from 124m on, without any below.

The small ones have a head of their own: at 1m and equal time 1.944 bits per byte against 1.990 tied.
"""


def dims_of_depth(depth: int) -> Dims:
    """The model of one dial: width 64 a layer rounded up to whole heads, hidden 8/3 of the width.

    Source: karpathy/nanochat, `scripts/base_train.py`; we use heads of 64 channels below width 1,024.
    """
    head_dim = 64 if depth < 16 else 128
    width = -(-64 * depth // head_dim) * head_dim
    hidden = -(-8 * width // 3 // 64) * 64
    heads = width // head_dim
    return Dims(layers=depth, width=width, heads=heads, kv_heads=heads, hidden=hidden, tied=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A whole model's structure; two equal shapes hold the same tensors."""

    vocab: int
    seq_len: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    tied: bool = True
    qk_norm: bool = True
    rope_theta: int = 10_000
    norm_eps: float = 1e-6

    @property
    def n_layer_matmul(self) -> int:
        """Parameters of the matrices of all layers."""
        attention = self.width * self.head_dim * 2 * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.hidden)

    @property
    def n_matmul(self) -> int:
        """Parameters that take part in a multiplication: the layers' matrices and the head."""
        return self.n_layer_matmul + self.vocab * self.width

    @property
    def n_params(self) -> int:
        """All parameters; a tied embedding counts once."""
        norms = self.layers * (2 * self.width + (2 * self.head_dim if self.qk_norm else 0)) + self.width
        return self.n_layer_matmul + norms + self.vocab * self.width * (1 if self.tied else 2)

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of one token's training step: 6 N_matmul + 12 L d T."""
        return 6 * self.n_matmul + 12 * self.layers * self.heads * self.head_dim * self.seq_len
