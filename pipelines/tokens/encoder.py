"""Two engines for one tokenizer file: `gigatoken` encodes, `tokenizers` is the reference it is compared with.

    texts: list of UTF-8 bytes -> ids: uint32[n_tokens], offsets: int64[n_texts + 1]

A text is only text: `<|endoftext|>` written in a page is encoded letter by letter and ends nothing, because a
page must not be able to write an end-of-text token into the corpus. Of each part the documents with the lowest
hash are encoded by both; where an id differs, or where gigatoken does not take the file, the reference encodes
the whole part. Where it differed only outside the sample, nobody would know: hence the tests on odd text.

Price: books, 16,384 tokens, MB a second of one core: gigatoken 60 on text it has not seen, 350 on words it has,
half a second to load; the reference 1.5. The comparison costs 45 ms a part of few documents. One thread each: a
build's workers are its parallelism.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

__all__ = ["Encoder", "Ids", "count_differing", "encode_fast", "encode_reference", "load_encoder"]

# Longer documents are compared on their beginning.
COMPARED_BYTES = 8 << 10


class Ids(NamedTuple):
    """Tokens of many texts: text i has `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]

    def of(self, i: int) -> npt.NDArray[np.uint32]:
        """The tokens of text i."""
        return self.ids[self.offsets[i] : self.offsets[i + 1]]


class Encoder(NamedTuple):
    """A tokenizer file loaded by both engines; `fast` is None where gigatoken does not take it."""

    reference: Tokenizer
    fast: Any | None


@lru_cache(maxsize=2)
def load_encoder(path: Path, digest: str) -> Encoder:  # noqa: ARG001 - a changed file is another entry
    """Both engines for a tokenizer file, once a process."""
    data = path.read_bytes().decode()
    reference = Tokenizer.from_str(data)
    reference.no_truncation()
    reference.no_padding()
    reference.encode_special_tokens = True
    return Encoder(reference, _load_fast(data))


def _load_fast(data: str) -> Any | None:
    try:
        import gigatoken
    except ImportError:  # no wheel for this platform
        return None
    value = json.loads(data)
    # Without its special tokens it cannot find them in text; a file's other added tokens stay.
    value["added_tokens"] = [t for t in value.get("added_tokens") or [] if not t["special"]]
    try:
        return gigatoken.Tokenizer.from_json(json.dumps(value))
    except (ValueError, TypeError, KeyError, RuntimeError):
        return None


def encode_fast(encoder: Encoder, texts: Sequence[bytes]) -> Ids:
    """The ids of texts by gigatoken."""
    assert encoder.fast is not None
    layout = encoder.fast.encode_batch(list(texts), parallel=False).layout
    offsets = np.asarray(layout.offsets.data, dtype=np.int64)
    return Ids(np.asarray(layout.content.data, dtype=np.uint32)[: offsets[-1]], offsets)


def encode_reference(encoder: Encoder, texts: Sequence[bytes]) -> Ids:
    """The ids of texts by `tokenizers`, one text at a time, which keeps it on one thread."""
    ids = [np.array(_reference(encoder, text), dtype=np.uint32) for text in texts]
    offsets = np.cumsum([0, *(len(i) for i in ids)], dtype=np.int64)
    return Ids(np.concatenate([np.zeros(0, dtype=np.uint32), *ids]), offsets)


def _reference(encoder: Encoder, text: bytes) -> list[int]:
    ids: list[int] = encoder.reference.encode_batch_fast([text.decode()], add_special_tokens=False)[0].ids
    return ids


def count_differing(encoder: Encoder, texts: Sequence[bytes], found: Sequence[npt.NDArray[Any]]) -> int:
    """How many texts the reference encodes otherwise than gigatoken did.

    found[i]: what gigatoken made of texts[i]. A text over 8 KiB is compared on its beginning, encoded anew by both.
    """
    heads = [_head(text) for text in texts]
    expected = encode_reference(encoder, heads)
    again = encode_fast(encoder, heads)
    whole = [found[i] if len(head) == len(texts[i]) else again.of(i) for i, head in enumerate(heads)]
    return sum(not np.array_equal(ids, expected.of(i)) for i, ids in enumerate(whole))


def _head(text: bytes) -> bytes:
    if len(text) <= COMPARED_BYTES:
        return text
    end = COMPARED_BYTES
    while text[end] & 0xC0 == 0x80:
        end -= 1
    return text[:end]
