"""What each token of a byte-level BPE stands for in bytes: bits per byte and byte models need it.

    tokenizer.json  model.vocab {"Ġthe": 257} --GPT-2's byte alphabet--> table[257] == b" the"
                    added_tokens with special: true                  --> b"", never counted

Does not do: tokenizers that are not byte-level (their tokens are not slices of the text's bytes).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import ConfigError

__all__ = ["byte_lengths", "token_bytes"]


def token_bytes(tokenizer_json: Path, *, vocab: int | None = None) -> list[bytes]:
    """The bytes of every token, by id; empty for special tokens and for ids without a token.

    vocab: length of the table (default: the highest id and one).

    Raises: ConfigError where a token is not spelled in GPT-2's byte alphabet.
    """
    value = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    words: dict[str, int] = value["model"]["vocab"]
    added: list[dict[str, Any]] = value.get("added_tokens", [])
    highest = max([*words.values(), *(token["id"] for token in added)])
    table = [b""] * max(vocab or 0, highest + 1)
    special = {token["id"] for token in added if token["special"]}
    alphabet = _byte_alphabet()
    for word, i in words.items():
        if i not in special:
            table[i] = _spelled(word, alphabet, tokenizer_json)
    for token in added:
        if not token["special"]:
            table[token["id"]] = token["content"].encode()
    return table


def byte_lengths(table: list[bytes]) -> npt.NDArray[np.int64]:
    """int64[vocab]: the number of bytes of each token, 0 for special ones."""
    return np.array([len(b) for b in table], dtype=np.int64)


def _spelled(word: str, alphabet: dict[str, int], where: Path) -> bytes:
    try:
        return bytes(alphabet[c] for c in word)
    except KeyError as error:
        raise ConfigError(
            f"{where}: expected a byte-level BPE, got the token {word!r} with a letter outside its alphabet. Bits "
            "per byte could not be reckoned. Train a byte-level tokenizer (`tokens: {train: ...}` in a recipe)."
        ) from error


def _byte_alphabet() -> dict[str, int]:
    # GPT-2's table: printable bytes stand for themselves, the others for letters from U+0100 on.
    # Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(plain)]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}
