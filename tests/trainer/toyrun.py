"""A small corpus in the store's own format, made in memory, and train files for it: what these tests train on."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from manifests.commit import commit_bytes
from manifests.corpus import CorpusManifest, Partition, ShardEntry, SourceEntry, TokenizerEntry
from manifests.digest import digest_file
from manifests.shards import ShardHeader, token_dtype, write_shard

EOT = "<|endoftext|>"
WORDS = "the crow and a fox saw one red house by old water when rain fell on every stone of it again".split()  # noqa: SIM905


def sentences(seed: int, n: int) -> list[str]:
    """`n` documents of a toy language in which each word has few successors, so that a model can learn."""
    rng = random.Random(seed)
    documents = []
    for _ in range(n):
        word, words = rng.randrange(len(WORDS)), []
        for _ in range(rng.randint(20, 60)):
            words.append(WORDS[word])
            word = (word * 3 + rng.choice((1, 1, 1, 2))) % len(WORDS)
        documents.append(" ".join(words) + ".")
    return documents


def train_tokenizer(texts: list[str], *, vocab_size: int) -> Tokenizer:
    """A byte-level BPE with one special token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[EOT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_corpus(root: Path, texts: dict[str, tuple[list[str], list[str]]], *, vocab_size: int = 320) -> Path:
    """Write a store of {source: (training documents, held-out documents)}; returns its folder."""
    root.mkdir(parents=True, exist_ok=True)
    everything = [t for pair in texts.values() for t in pair[0]]
    tokenizer = train_tokenizer(everything, vocab_size=vocab_size)
    ref = commit_bytes(root, "tokenizers/t.json", tokenizer.to_str().encode())
    digest = digest_file(root / "tokenizers/t.json")
    n_vocab = tokenizer.get_vocab_size()
    partitions = [
        _partition(root, name, split, documents, tokenizer, digest, n_vocab)
        for name, pair in texts.items()
        for split, documents in zip(("train", "heldout"), pair, strict=True)
    ]
    empty = commit_bytes(root, "files/none.json", b"{}")
    manifest = CorpusManifest(
        name="small",
        key="0" * 32,
        store=".",
        sample=None,
        recipe={},
        sources=[
            SourceEntry(name=n, licence="CC0-1.0", reader="jsonl", n_files=0, n_bytes=0, files=empty)
            for n in texts
        ],
        steps=[],
        parts=[],
        verdicts=[],
        tokenizer=TokenizerEntry(
            file=ref,
            digest=digest,
            vocab_size=n_vocab,
            eot=tokenizer.token_to_id(EOT),
            eot_token=EOT,
            trained=True,
        ),
        partitions=partitions,
        benchmarks=[],
        receipts=[],
        quarantine=None,
        parents=[],
        missing=[],
        libraries={},
    )
    manifest.write(root)
    return root


def _partition(root, source, split, documents, tokenizer, digest, n_vocab) -> Partition:
    eot = tokenizer.token_to_id(EOT)
    encoded = [[*e.ids, eot] for e in tokenizer.encode_batch(documents)]
    ends = np.cumsum([len(ids) for ids in encoded]).astype(np.uint64)
    tokens = np.concatenate([np.array(ids) for ids in encoded]).astype(token_dtype(n_vocab))
    n_bytes = sum(len(d.encode()) for d in documents)
    header = ShardHeader(len(tokens), len(documents), n_bytes, n_vocab, eot, digest)
    ref, root_digest = write_shard(root, f"shards/{source}-{split}.tok", header, tokens=[tokens], ends=ends)
    table = commit_bytes(root, f"shards/{source}-{split}.parquet", b"none")
    shard = ShardEntry(
        shard=ref,
        root=root_digest,
        documents=table,
        n_tokens=len(tokens),
        n_docs=len(documents),
        n_bytes=n_bytes,
    )
    return Partition(
        source=source,
        split=split,
        holdout="cluster",
        columns={},
        licences={"CC0-1.0": len(documents)},
        shards=[shard],
        n_tokens=len(tokens),
        n_docs=len(documents),
        n_bytes=n_bytes,
    )


def small_corpus(root: Path) -> Path:
    """Two sources of toy sentences, a few ten thousand tokens."""
    return write_corpus(
        root,
        {
            "birds": (sentences(1, 400), sentences(2, 30)),
            "stones": (sentences(3, 200), sentences(4, 30)),
        },
    )


def write_train(folder: Path, **changes) -> Path:
    """A mix.yaml and a train.yaml for the corpus in `folder/corpus`; `changes` are top-level keys."""
    mix = {
        "name": "toy",
        "corpora": ["corpus"],
        "seq_len": 32,
        "seed": 1,
        "phases": [{"tokens": 60_000, "weights": {"birds": 0.7, "stones": 0.3}}],
    }
    config = {
        "name": "toy",
        "mix": "mix.yaml",
        "model": {"layers": 2, "width": 32, "heads": 2, "hidden": 64},
        "batch": 256,
        "tokens": 256 * 24,
        "evaluate": {"every": 256 * 8, "tokens": 1024},
        "sample": {"every": 256 * 12, "prompts": ["the crow", "a"], "tokens": 8},
        "save": {"every": 256 * 4, "keep": 3},
        "machine": {"device": "cpu", "dtype": "fp32", "micro_batch": 4, "workers": 1},
    }
    config.update(changes)
    (folder / "mix.yaml").write_text(yaml.safe_dump(mix))
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
