"""Llama's and Qwen3's forward pass read off a Hugging Face folder, slowly and by the names in the folder alone.

The obvious twin of trainer/model.py + export.py: it knows nothing of ours, only what transformers documents.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file


def logits(folder: Path, tokens: torch.Tensor) -> torch.Tensor:
    """float64[B, T, V] for int64[B, T]."""
    config = json.loads((folder / "config.json").read_text())
    w = {k: v.double() for k, v in load_file(folder / "model.safetensors").items()}
    x = w["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        h = norm(x, w[at + "input_layernorm.weight"], config)
        x = x + attention(h, w, at + "self_attn.", config)
        h = norm(x, w[at + "post_attention_layernorm.weight"], config)
        gate = torch.nn.functional.silu(h @ w[at + "mlp.gate_proj.weight"].T)
        x = x + (gate * (h @ w[at + "mlp.up_proj.weight"].T)) @ w[at + "mlp.down_proj.weight"].T
    head = w["model.embed_tokens.weight"] if config["tie_word_embeddings"] else w["lm_head.weight"]
    return norm(x, w["model.norm.weight"], config) @ head.T


def norm(x, weight, config):
    return x / (x.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"]).sqrt() * weight


def attention(h, w, at, config):
    n_rows, length, _ = h.shape
    dim, n_heads, n_kv = config["head_dim"], config["num_attention_heads"], config["num_key_value_heads"]
    heads = {}
    for name, n in (("q", n_heads), ("k", n_kv), ("v", n_kv)):
        heads[name] = (h @ w[f"{at}{name}_proj.weight"].T).view(n_rows, length, n, dim)
        if name != "v" and config["model_type"] == "qwen3":
            heads[name] = norm(heads[name], w[f"{at}{name}_norm.weight"], config)
    q, k = (rotate(heads[n], config["rope_parameters"]["rope_theta"]) for n in "qk")
    out = torch.zeros(n_rows, length, n_heads, dim, dtype=torch.float64)
    for i in range(n_heads):
        j = i // (n_heads // n_kv)
        scores = torch.einsum("btc,bsc->bts", q[:, :, i], k[:, :, j]) / dim**0.5
        scores = scores.masked_fill(torch.ones(length, length).triu(1).bool(), -torch.inf)
        out[:, :, i] = scores.softmax(-1) @ heads["v"][:, :, j]
    return out.flatten(2) @ w[at + "o_proj.weight"].T


def rotate(x, theta):
    dim = x.shape[-1]
    angles = torch.arange(x.shape[1]).double()[:, None] / theta ** (torch.arange(0, dim, 2).double() / dim)
    angles = torch.cat((angles, angles), -1)[None, :, None]
    half = torch.cat((-x[..., dim // 2 :], x[..., : dim // 2]), -1)
    return x * angles.cos() + half * angles.sin()
