"""A run as a folder that transformers, vLLM, llama.cpp and lm_eval read: Llama's layout, or Qwen3's.

    layers.0.attention.q.weight  ->  model.layers.0.self_attn.q_proj.weight        a rename, nothing else
    qk_norm: true -> Qwen3ForCausalLM        qk_norm: false -> LlamaForCausalLM

Logits equal ours to float32's rounding. What the readers get wrong unless told: head_dim (Qwen3's default is
128 whatever the width), rope_parameters (without them theta becomes 10,000 in silence; the older rope_theta
stands beside them), tie_word_embeddings, and a dtype equal to the tensors'.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from manifests.commit import commit_bytes, sweep
from manifests.errors import UsageError
from trainer.checkpoint import write_safetensors
from trainer.rundir import Run
from trainer.shape import Shape

__all__ = ["export_hf", "hf_config", "hf_name"]

_TOP = {
    "embed.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_IN_LAYER = {
    "attention_norm": "input_layernorm",
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.o": "self_attn.o_proj",
    "attention.q_norm": "self_attn.q_norm",
    "attention.k_norm": "self_attn.k_norm",
    "mlp_norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}


def hf_name(name: str) -> str:
    """The name Hugging Face's Llama and Qwen3 give our parameter.

    >>> hf_name("layers.3.mlp.gate.weight")
    'model.layers.3.mlp.gate_proj.weight'
    """
    found = re.fullmatch(r"layers\.(\d+)\.(.+)\.weight", name)
    return f"model.layers.{found[1]}.{_IN_LAYER[found[2]]}.weight" if found else _TOP[name]


def hf_config(shape: Shape, *, eot: int) -> dict[str, Any]:
    """The config.json of a model of `shape` whose documents end with token `eot`."""
    kind = ("qwen3", "Qwen3ForCausalLM") if shape.qk_norm else ("llama", "LlamaForCausalLM")
    return {
        "architectures": [kind[1]],
        "model_type": kind[0],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": eot,
        "dtype": "float32",
        "eos_token_id": eot,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.seq_len,
        "mlp_bias": False,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_theta": float(shape.rope_theta), "rope_type": "default"},
        "rope_theta": float(shape.rope_theta),
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "float32",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": shape.vocab,
    }


def export_hf(run: Run, out: Path, *, step: int | None = None) -> Path:
    """Write the Hugging Face folder of a run's newest checkpoint, or of `step`'s; returns it.

    Raises: UsageError when `out` holds something else; DamageError.
    """
    if out.exists() and any(out.iterdir()) and not (out / "config.json").exists():
        raise UsageError(
            f"{out}: expected an empty folder or an earlier export, got other files. They would be mixed with the "
            "model's. Name another folder."
        )
    weights: dict[str, Tensor] = {hf_name(k): v for k, v in run.checkpoint(step).weights().items()}
    out.mkdir(parents=True, exist_ok=True)
    eot = run.mix.eot
    tokenizer = run.tokenizer()
    end = str(tokenizer.id_to_token(eot))
    _write(out, "config.json", hf_config(run.shape, eot=eot))
    _write(
        out,
        "generation_config.json",
        {"bos_token_id": eot, "eos_token_id": eot, "max_length": run.shape.seq_len},
    )
    _write(out, "tokenizer_config.json", _tokenizer_config(end, run.shape))
    commit_bytes(out, "tokenizer.json", (run.path / "tokenizer.json").read_bytes())
    write_safetensors(out, "model.safetensors", weights, {"format": "pt"})
    sweep(out)  # commits pass through runs/tmp; a folder for other programs need not keep it
    return out


def _tokenizer_config(end: str, shape: Shape) -> dict[str, Any]:
    return {
        "bos_token": end,
        "clean_up_tokenization_spaces": False,
        "eos_token": end,
        "model_max_length": shape.seq_len,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _write(out: Path, name: str, value: dict[str, Any]) -> None:
    commit_bytes(out, name, json.dumps(value, indent=2, sort_keys=True).encode() + b"\n")
