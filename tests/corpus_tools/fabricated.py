"""A small corpus and a run over it, written through the manifests' own functions, without the pipelines.

    web     90 pages of three WARC files   read -> language (drops 10) -> gopher_quality (drops 20) -> exact (drops 5)
    books   12 books, one a file           read                                                     -> exact

Every file of the contract is there: file lists, parts, dropped, verdicts, tokenizer, shards, documents, receipts.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.commit import FileRef, commit_bytes, commit_file
from manifests.corpus import (
    CorpusManifest,
    PartEntry,
    Partition,
    ShardEntry,
    SourceEntry,
    StepEntry,
    TokenizerEntry,
    VerdictEntry,
)
from manifests.digest import digest_bytes, digest_value, doc_id, seal
from manifests.mixfile import load_mix
from manifests.receipt import Receipt, Tally, write_pack
from manifests.shards import ShardHeader, write_shard

ORIGIN = pa.list_(
    pa.struct(
        [("path", pa.string()), ("offset", pa.int64()), ("length", pa.int64()), ("record_id", pa.string())]
    )
)
VOCAB = 100
QUALITY = (
    "n_words",
    "n_word_chars",
    "n_hashes",
    "n_ellipses",
    "n_lines",
    "n_bullet_lines",
    "n_ellipsis_lines",
)
QUALITY += ("n_alpha_words", "n_stop_words")


@dataclass(frozen=True)
class Doc:
    """One page or book; `fate` is "kept" or "step: reason"."""

    source: str
    path: str
    offset: int
    url: str | None
    text: str
    language: str
    n_words: int
    fate: str

    @property
    def id(self) -> bytes:
        return doc_id(self.source, self.path, self.offset)


def pages() -> list[Doc]:
    """The web source: every ninth page is German, every sixth of the rest short, every twelfth kept one a copy."""
    docs = []
    for i in range(90):
        german, short = i % 9 == 0, i % 9 in (1, 2)
        fate = "language: other_language" if german else "gopher_quality: too_few_words" if short else "kept"
        if fate == "kept" and i % 18 == 17:
            fate = "exact: duplicate"
        path = f"crawl/{i // 30}.warc.gz"
        url = f"https://example.org/{i}"
        n_words = 7 if short else 120
        docs.append(
            Doc(
                "web",
                path,
                100 * i,
                url,
                f"page {i} " * (n_words // 2),
                "de" if german else "en",
                n_words,
                fate,
            )
        )
    return docs


def books() -> list[Doc]:
    """The books: all kept."""
    return [
        Doc("books", f"books/{i}.txt", 0, None, f"book {i} " * 500, "en", 1000, "kept") for i in range(12)
    ]


@dataclass(frozen=True)
class Store:
    """What `fabricate` made."""

    root: Path
    manifest: CorpusManifest
    docs: list[Doc]

    def kept(self, source: str) -> list[Doc]:
        return [d for d in self.docs if d.source == source and d.fate == "kept"]


def fabricate(root: Path) -> Store:
    """Write the corpus into `root`."""
    docs = {"web": pages(), "books": books()}
    parts = [part for source, mine in docs.items() for part in _parts(root, source, mine)]
    verdicts = [_verdict(root, entry, rows) for entry, rows, _ in parts]
    tokenizer = _tokenizer(root)
    partitions = [_partition(root, source, mine, tokenizer) for source, mine in docs.items()]
    receipts = [
        *(_pack(root, source, [r for _, _, r in parts if r.step == source]) for source in docs),
        _pack(root, "exact", [r for _, r in verdicts]),
    ]
    manifest = CorpusManifest(
        name="small",
        key=digest_value("small"),
        store=".",
        sample=None,
        recipe={"name": "small"},
        sources=[_source(root, source, mine) for source, mine in docs.items()],
        steps=_steps(docs),
        parts=[entry for entry, _, _ in parts],
        verdicts=[entry for entry, _ in verdicts],
        tokenizer=tokenizer,
        partitions=partitions,
        benchmarks=[],
        receipts=receipts,
        quarantine=commit_bytes(
            root, "quarantine/x.json", seal({"format": "quern.quarantine", "records": []})
        ),
        parents=[],
        missing=[],
        libraries={},
    )
    manifest.write(root)
    return Store(root, manifest, docs["web"] + docs["books"])


def _source(root: Path, source: str, docs: list[Doc]) -> SourceEntry:
    paths = sorted({d.path for d in docs})
    value = {"files": [{"path": p, "size": 3000, "digest": digest_bytes(p.encode())} for p in paths]}
    ref = commit_bytes(root, f"files/{digest_value(value)}.json", seal(value))
    licence = "common-crawl-terms" if source == "web" else "public-domain-us"
    reader = "warc" if source == "web" else "gutenberg"
    n_bytes = 3000 * len(paths)
    return SourceEntry(
        name=source, licence=licence, reader=reader, n_files=len(paths), n_bytes=n_bytes, files=ref
    )


# --- parts -----------------------------------------------------------------------------------------


def _parts(root: Path, source: str, docs: list[Doc]) -> list[tuple[PartEntry, list[Doc], Receipt]]:
    units = sorted({d.path for d in docs})
    return [
        _part(root, source, ordinal, [d for d in docs if d.path == unit])
        for ordinal, unit in enumerate(units)
    ]


def _part(root: Path, source: str, ordinal: int, docs: list[Doc]) -> tuple[PartEntry, list[Doc], Receipt]:
    key = digest_value(["task", source, ordinal])
    alive = [d for d in docs if d.fate == "kept" or d.fate.startswith("exact")]
    gone = [d for d in docs if d not in alive]
    tally = Tally(len(docs), len(alive), _n_bytes(docs), _n_bytes(alive))
    for doc in gone:
        step, reason = doc.fate.split(": ")
        tally.drop(step, reason, n_bytes=len(doc.text))
    if source == "web":
        german = sum(d.language == "de" for d in docs)
        tally.label("language", ["de", "en"], [german, len(docs) - german])
        tally.observe("gopher_quality.n_words", np.array([d.n_words for d in docs if d.language == "en"]))
        tally.domains["example.org"] = len(alive)
    part = _table(root, f"parts/{key}.parquet", _rows(alive, source))
    dropped = _table(root, f"dropped/{key}.parquet", _rows(gone, source, dropped=True))
    receipt = Receipt(
        key, source, digest_value(source), docs[0].path, ordinal, tally, {"part": part, "dropped": dropped}
    )
    names = {"key": key, "source": source, "step": source, "unit": docs[0].path, "final": True}
    entry = PartEntry(**names, part=part, dropped=dropped, n_docs=len(alive), n_bytes=tally.bytes_kept)
    return entry, alive, receipt


def _n_bytes(docs: list[Doc]) -> int:
    return sum(len(d.text) for d in docs)


def _rows(docs: list[Doc], source: str, *, dropped: bool = False) -> pa.Table:
    columns: dict[str, Any] = {
        "doc_id": pa.array([d.id for d in docs], pa.binary(16)),
        "source": pa.array([d.source for d in docs], pa.string()),
        **{name: pa.nulls(len(docs), pa.string()) for name in ("ref", "date", "title", "licence")},
        "url": pa.array([d.url for d in docs], pa.string()),
        "text": pa.array([d.text for d in docs], pa.large_string()),
        "origin": pa.array([_origin(d) for d in docs], ORIGIN),
    }
    if source == "web":
        columns["language"] = pa.array([d.language for d in docs], pa.string())
        columns["language_score"] = pa.array([0.97] * len(docs), pa.float32())
        columns |= {
            f"gopher_quality.{n}": pa.array([_value(d, n) for d in docs], pa.int64()) for n in QUALITY
        }
    if dropped:
        columns["dropped_step"] = pa.array([d.fate.split(": ")[0] for d in docs], pa.string())
        columns["dropped_reason"] = pa.array([d.fate.split(": ")[1] for d in docs], pa.string())
    return pa.table(columns)


def _origin(doc: Doc) -> list[dict[str, Any]]:
    return [{"path": doc.path, "offset": doc.offset, "length": 100, "record_id": f"<urn:{doc.offset}>"}]


def _value(doc: Doc, name: str) -> int | None:
    if doc.language == "de":
        return None
    return {"n_words": doc.n_words, "n_word_chars": 4 * doc.n_words, "n_lines": 3, "n_stop_words": 5}.get(
        name, doc.n_words if name == "n_alpha_words" else 0
    )


def _table(root: Path, path: str, table: pa.Table) -> FileRef:
    with commit_file(root, path) as commit:
        pq.write_table(table, pa.PythonFile(commit.file, mode="w"), write_page_checksum=True)
    return commit.ref


def _verdict(root: Path, part: PartEntry, docs: list[Doc]) -> tuple[VerdictEntry, Receipt]:
    falls = [d.fate.startswith("exact") for d in docs]
    keeper = [docs[0].id if fall else None for fall in falls]
    table = pa.table(
        {
            "verdict": pa.array([int(fall) for fall in falls], pa.uint8()),
            "keeper": pa.array(keeper, pa.binary(16)),
        }
    )
    ref = _table(root, f"verdicts/{part.key}.parquet", table)
    n_bytes = sum(len(d.text) for d, fall in zip(docs, falls, strict=True) if fall)
    tally = Tally(len(docs), len(docs) - sum(falls), part.n_bytes, part.n_bytes - n_bytes)
    tally.drop("exact", "duplicate", sum(falls), n_bytes=n_bytes)
    key = digest_value(["exact", part.key])
    receipt = Receipt(key, "exact/verdict", digest_value("exact"), "verdict", 0, tally, {"verdict": ref})
    return VerdictEntry(
        step="exact", action="drop", part_key=part.key, verdict=ref, n_dropped=sum(falls)
    ), receipt


def _pack(root: Path, name: str, receipts: list[Receipt]) -> FileRef:
    return write_pack(root, digest_value(["pack", name]), receipts)


def _steps(docs: dict[str, list[Doc]]) -> list[StepEntry]:
    web, n_books = docs["web"], len(docs["books"])
    fates = [d.fate for d in web]
    german, short, copies = (sum(f.startswith(s) for f in fates) for s in ("language", "gopher", "exact"))
    left = len(web) - german - short
    keep, words = {"keep": ["en"]}, {"min_words": 50}
    return [
        _step("read", "warc", "read", "web", len(web)),
        _step("language", "language", "rule", "web", len(web), {"other_language": german}, keep),
        _step(
            "gopher_quality",
            "gopher_quality",
            "rule",
            "web",
            len(web) - german,
            {"too_few_words": short},
            words,
        ),
        _step("read", "gutenberg", "read", "books", n_books),
        _step("exact", "exact", "gather", None, left + n_books, {"duplicate": copies}),
    ]


def _step(
    name: str,
    stage: str,
    kind: Any,
    source: str | None,
    n_read: int,
    dropped: dict[str, int] | None = None,
    params: dict[str, Any] | None = None,
) -> StepEntry:
    dropped = dropped or {}
    counts = {
        "n_read": n_read,
        "n_kept": n_read - sum(dropped.values()),
        "dropped": dropped,
        "marked": {},
        "routed": 0,
    }
    names = {
        "name": name,
        "stage": stage,
        "kind": kind,
        "version": 1,
        "key": digest_value(name),
        "source": source,
    }
    return StepEntry(**names, action="drop", params=params or {}, reasons=list(dropped), **counts)


# --- tokens ----------------------------------------------------------------------------------------


def _tokenizer(root: Path) -> TokenizerEntry:
    ref = commit_bytes(root, "tokenizers/t.json", b'{"a tokenizer": true}\n')
    return TokenizerEntry(
        file=ref, digest=ref.digest, vocab_size=VOCAB, eot=0, eot_token="<|end|>", trained=True
    )


def _partition(root: Path, source: str, docs: list[Doc], tokenizer: TokenizerEntry) -> Partition:
    kept = sorted((d for d in docs if d.fate == "kept"), key=lambda d: d.id)
    half = -(-len(kept) // 2)
    shards = [_shard(root, f"{source}-{i}", kept[i * half : (i + 1) * half], tokenizer) for i in range(2)]
    totals = {name: sum(getattr(s, name) for s in shards) for name in ("n_tokens", "n_docs", "n_bytes")}
    names = {
        "source": source,
        "split": "train",
        "holdout": "none",
        "columns": {},
        "licences": {"unknown": len(kept)},
    }
    return Partition(**names, shards=shards, **totals)


def _shard(root: Path, name: str, docs: list[Doc], tokenizer: TokenizerEntry) -> ShardEntry:
    sizes = [1 + int.from_bytes(d.id[:2], "little") % 700 for d in docs]
    ends = np.cumsum(sizes)
    tokens = np.concatenate([np.append(np.full(n - 1, 1 + n % (VOCAB - 1)), 0) for n in sizes]).astype(
        np.uint16
    )
    n_bytes = sum(len(d.text) for d in docs)
    header = ShardHeader(int(ends[-1]), len(docs), n_bytes, VOCAB, 0, tokenizer.digest)
    ref, digest = write_shard(
        root, f"shards/{name}.tok", header, tokens=[tokens], ends=ends.astype(np.uint64)
    )
    table = pa.table(
        {
            "doc_id": pa.array([d.id for d in docs], pa.binary(16)),
            "parent": pa.nulls(len(docs), pa.binary(16)),
            "start": pa.array(ends - sizes, pa.int64()),
            "end": pa.array(ends, pa.int64()),
            "url": pa.array([d.url for d in docs], pa.string()),
            "origin": pa.array([_origin(d) for d in docs], ORIGIN),
        }
    )
    documents = _table(root, f"shards/{name}.parquet", table)
    counts = {"n_tokens": header.n_tokens, "n_docs": len(docs), "n_bytes": n_bytes}
    return ShardEntry(shard=ref, root=digest, documents=documents, **counts)


# --- a run -----------------------------------------------------------------------------------------


def fabricate_run(folder: Path, store: Store, *, rows_per_step: int = 4) -> Path:
    """A run's folder over the corpus, as the trainer writes it: two phases, about two epochs of the web."""
    folder.mkdir(parents=True)
    mix = folder / "mix.yaml"
    mix.write_text(
        f"name: small\ncorpora: [{json.dumps(str(store.root))}]\nseq_len: 32\nseed: 7\nphases:\n"
        "  - {tokens: 12800, weights: {web: 0.7, books: 0.3}}\n"
        "  - {tokens: 12800, weights: {web: 0.9, books: 0.1}}\n"
    )
    resolved = load_mix(mix)
    resolved.manifest.write(folder)
    places = {digest: os.path.relpath(place, folder) for digest, place in resolved.locations.items()}
    (folder / "locations.json").write_text(json.dumps(places))
    n_steps = resolved.manifest.n_rows // rows_per_step
    origin = {"step": 0, "row": 0, "run": None, "checkpoint": None}
    value = {
        "format": "quern.run/1",
        "config": {},
        "mix": resolved.manifest.digest,
        "shape": {},
        "origin": origin,
    }
    commit_bytes(folder, "config.json", seal({**value, "n_steps": n_steps, "rows_per_step": rows_per_step}))
    return folder
