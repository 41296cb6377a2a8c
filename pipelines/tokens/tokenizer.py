"""The tokenizer of a corpus: trained on a sample of its training text, or a file somebody brings.

    sample (a part)    documents whose order is low enough, held-out text cut away
    tokenizer (once)   per source, in that order, until its share of `sample_bytes` -> byte-level BPE

Each source gives bytes in proportion to its text, so a corpus of many short pages and a few long books is
sampled as it will be trained on. A document is taken whole, the last one up to the byte. The pre-tokenizer
is that of Llama 3, which both engines know; `<|endoftext|>` is token 0 and all 256 bytes are tokens, so every
text has an encoding and decodes to itself.

The same file for any number of threads: tested, because the trainer counts words in parallel.

Price: 40 MB of books, 16,384 tokens: 15 s of one core, 0.2 GB for the sample's distinct words.

Source: Sennrich et al. 2016 (BPE); Radford et al. 2019 (bytes); Meta 2024, llama3/tokenizer.py (the pattern).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from manifests.errors import UsageError
from pipelines.stage import GatherTask
from pipelines.tokens.holdout import cut, read_holdout
from pipelines.tokens.rows import doc_ids, documents, id_words, open_rows, texts_of, uint64, write_rows

__all__ = ["END_OF_TEXT", "adopt", "check", "find_end_of_text", "sample", "train", "train_bpe"]

END_OF_TEXT = "<|endoftext|>"
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# What published tokenizers call the end of a document, as opposed to the end of a turn.
_END_NAMES = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "<｜end▁of▁sentence｜>")
_CHUNK_BYTES = 64 << 10

_SAMPLE = pa.schema([("order", pa.uint64()), ("doc_id", pa.binary(16)), ("text", pa.large_binary())])


def sample(task: GatherTask, *, gap_bytes: int) -> None:
    """Write the training text of a part's documents that the tokenizer may be trained on."""
    decision = task.facts_of("split")[0]["sources"][task.parts[task.unit].source]
    order = uint64(open_rows(task.inputs("measure", "measured")[task.unit]), "order")
    holdout = read_holdout(task)
    chosen = np.flatnonzero((order <= np.uint64(int(decision["sample_below"], 16))) & ~holdout.held)
    table = documents(task, ["doc_id", "text"]).take(pa.array(chosen))
    texts = [
        train_text(t, holdout.tail, gap_bytes=gap_bytes)[: decision["sample_bytes"]] for t in _texts(table)
    ]
    arrays = [
        pa.array(order[chosen]),
        table.column("doc_id").combine_chunks(),
        pa.array(texts, pa.large_binary()),
    ]
    with task.output("sample", ".arrow") as file:
        write_rows(file, _SAMPLE, [pa.record_batch(arrays, schema=_SAMPLE)])


def train_text(text: bytes, tail: Fraction | None, *, gap_bytes: int) -> bytes:
    """The part of a document that is trained on, when its source gives the tails of its documents."""
    at = cut(text, tail, gap_bytes=gap_bytes) if tail is not None else None
    return text if at is None else text[: at[0]]


def _texts(table: pa.Table) -> Iterator[bytes]:
    data, offsets = texts_of(table)
    return (data[a:b].tobytes() for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))


def train(task: GatherTask, *, vocab_size: int, special_tokens: Sequence[str]) -> None:
    """Train the tokenizer on the sample and write it."""
    taken: dict[str, int] = {}
    tokenizer = train_bpe(_sampled(task, taken), vocab_size=vocab_size, special_tokens=special_tokens)
    with task.output("tokenizer", ".json") as file:
        file.write(tokenizer.to_str().encode())
    task.facts.update(_facts(tokenizer, END_OF_TEXT), trained=True, sample_bytes=taken)


def train_bpe(texts: Iterable[bytes], *, vocab_size: int, special_tokens: Sequence[str] = ()) -> Tokenizer:
    """A byte-level BPE of at most `vocab_size` tokens; fewer where no pair occurs twice."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT, *special_tokens],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((chunk for text in texts for chunk in chunks(text)), trainer)
    return tokenizer


def chunks(text: bytes) -> Iterator[str]:
    """A text in pieces of about 64 KiB that have the same words as the whole.

    No word of the pattern crosses from a line's end to a character that is no white space, so a piece ends there.
    """
    start = 0
    while start < len(text):
        end = _line_end(text, start + _CHUNK_BYTES)
        # A sample ends at a byte, perhaps inside a character.
        yield text[start:end].decode("utf-8", "ignore")
        start = end


def _line_end(text: bytes, at: int) -> int:
    while 0 <= (at := text.find(b"\n", at)) < len(text) - 1:
        at += 1
        if _is_no_space(text[at]):
            return at
    return len(text)


def _is_no_space(first_byte: int) -> bool:
    # White space beyond ASCII begins with C2, E1, E2 or E3.
    return 0x21 <= first_byte <= 0x7E or 0xC4 <= first_byte <= 0xDF or first_byte >= 0xE4


def _sampled(task: GatherTask, taken: dict[str, int]) -> Iterator[bytes]:
    """The sample's texts, source by source, in each by (order, id); counts what it took into `taken`."""
    decisions = task.facts_of("split")[0]["sources"]
    tables = [open_rows(path) for path in task.inputs("sample", "sample")]
    for source in sorted(decisions):
        mine = [t for t, part in zip(tables, task.parts, strict=True) if part.source == source]
        taken[source] = 0
        for text in _in_order(pa.concat_tables(mine)):
            text = text[: decisions[source]["sample_bytes"] - taken[source]]
            taken[source] += len(text)
            if text:
                yield text


def _in_order(table: pa.Table) -> Iterator[bytes]:
    high, low = id_words(doc_ids(table))
    column = table.column("text")
    return (column[i].as_py() for i in np.lexsort((low, high, uint64(table, "order"))).tolist())


def adopt(task: GatherTask, *, path: str, eot: str | None) -> None:
    """Copy the tokenizer a recipe names and find its end-of-text token.

    Raises: UsageError when the file is none, or when its end-of-text token is not clear.
    """
    full = task.folder / path
    data, tokenizer = _read(full)
    with task.output("tokenizer", ".json") as file:
        file.write(data)
    task.facts.update(
        _facts(tokenizer, find_end_of_text(tokenizer, full, name=eot)), trained=False, sample_bytes={}
    )


def check(path: Path, *, eot: str | None) -> None:
    """Reads a tokenizer as `adopt` will, hours later; about a second for a large one.

    Raises: UsageError as `adopt`.
    """
    find_end_of_text(_read(path)[1], path, name=eot)


def _read(path: Path) -> tuple[bytes, Tokenizer]:
    try:
        data = path.read_bytes()
        value = json.loads(data)
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: expected a tokenizer.json, found nothing. Nothing could be encoded. "
            "Correct `use:` under `tokens:`."
        ) from error
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        raise _not_one(path, "something else")
    try:
        return data, Tokenizer.from_str(data.decode())
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise _not_one(path, f"what it cannot read ({error})") from error
        raise


def _not_one(path: Path, found: str) -> UsageError:
    return UsageError(
        f"{path}: expected a tokenizer.json with a `model`, found {found}. Nothing could be encoded. "
        "Name a file that the tokenizers library wrote under `use:`."
    )


def find_end_of_text(tokenizer: Tokenizer, path: Path, *, name: str | None = None) -> str:
    """The token that ends a document: the one named, else the only one it can be.

    Raises: UsageError.
    """
    special = sorted(t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special)
    known = [n for n in _END_NAMES if n in special] or special
    if name is not None:
        known = [name] if tokenizer.token_to_id(name) is not None else []
    if len(known) == 1:
        return known[0]
    raise UsageError(
        f"{path}: expected one end-of-text token{f' {name}' if name else ''}, found {', '.join(known) or 'none'}. "
        "With the wrong one, documents would run into each other. Write `eot: TOKEN` beside `use:`, one of: "
        f"{', '.join(special) or 'any token of its vocabulary'}."
    )


def _facts(tokenizer: Tokenizer, eot: str) -> dict[str, Any]:
    n_tokens = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    return {"vocab_size": n_tokens, "eot": tokenizer.token_to_id(eot), "eot_token": eot}
