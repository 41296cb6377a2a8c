"""Runs the phases of `Tokens` on the gathers' harness, with columns and clusters beside the texts.

corpus = make(tmp_path, {"web": [["a text", "another"], ["more"]]}, clusters={"a text": b"x"})
result = run(corpus, Tokens(train={"vocab_size": 300}), shuffle=3)
read_shards(corpus, result)        # (source, split, columns) -> [(doc_id, piece, text, tokens)]
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from manifests.commit import commit_file
from manifests.shards import Shard
from pipelines.parquet import read_table
from pipelines.tokens import Tokens
from tests.harness_gather import Corpus, Result, Task


@dataclass
class TokensTask(Task):
    """A task that also gives evidence, and leaves out columns that a part lacks."""

    clusters: dict[str, bytes] = field(default_factory=dict)

    def read_part(self, index: int, columns: Any) -> pa.Table:
        return read_table(self.root, self.parts[index].ref, columns)

    def evidence(self, index: int, column: str) -> pa.Array | None:
        if not self.clusters:
            return None
        texts = self.read_part(index, ["text"]).column("text").to_pylist()
        return pa.array([self.clusters.get(t) for t in texts], pa.binary())


@dataclass
class TokensCorpus(Corpus):
    clusters: dict[str, bytes] = field(default_factory=dict)

    def _task(self, phase, unit, n_units, done):
        at = (self.parts, self.root, n_units, unit, self.root, phase, self.alive_rows, dict(done))
        return TokensTask(*at, clusters=self.clusters)


def make(root, sources, *, clusters=None, columns=None) -> TokensCorpus:
    """A corpus; columns[name]: text -> value of a further document column."""
    corpus = TokensCorpus(root, sources, clusters=clusters or {})
    for i, part in enumerate(corpus.parts):
        if not columns:
            break
        table = pq.read_table(root / part.ref.path)
        texts = table.column("text").to_pylist()
        for name, values in columns.items():
            array = pa.array([values.get(t) for t in texts], pa.string())
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, array) if at >= 0 else table.append_column(name, array)
        with commit_file(root, part.ref.path) as commit:
            pq.write_table(table, commit.file)
        corpus.parts[i] = type(part)(part.key, part.source, commit.ref, part.n_docs, part.n_bytes)
    return corpus


def run(corpus: TokensCorpus, stage: Tokens, *, shuffle: int | None = None) -> Result:
    """Run every phase; the units of a phase in an order drawn with seed `shuffle`."""
    done: dict[str, list[Task]] = {}
    for phase in stage.phases():
        units = list(range(corpus._n_units(phase, done)))
        tasks = [corpus._task(phase.name, unit, len(units), done) for unit in units]
        if shuffle is not None:
            random.Random(shuffle).shuffle(units)
        for unit in units:
            phase.run(tasks[unit])
            tasks[unit].tally.check(phase.name)
        done[phase.name] = tasks
    return Result(corpus.root, done)


def read_shards(corpus: TokensCorpus, result: Result) -> dict[tuple, list[dict[str, Any]]]:
    """Every document of every shard by (source, split, *columns), in order, after verifying each file."""
    tokenizer = Tokenizer.from_file(str(result.tasks["tokenizer"][0].outputs["tokenizer"].check(corpus.root)))
    found: dict[tuple, list[dict[str, Any]]] = defaultdict(list)
    for task in result.tasks["shards"]:
        facts = task.facts
        table = pq.read_table(task.outputs["documents"].check(corpus.root, deep=True))
        with Shard.open(task.outputs["shard"].check(corpus.root, deep=True), root=facts["root"]) as shard:
            shard.verify()
            assert shard.doc_ends().tolist() == table.column("end").to_pylist()
            assert (shard.n_tokens, shard.header.n_docs) == (facts["n_tokens"], facts["n_docs"])
            for row in table.to_pylist():
                tokens = shard.read(row["start"], row["end"] - row["start"]).tolist()
                text = tokenizer.decode(tokens[:-1], skip_special_tokens=False)
                assert len(text.encode()) == row["n_bytes"]
                key = (facts["source"], facts["split"], *facts["columns"].values())
                found[key].append({**row, "text": text, "tokens": tokens})
    return dict(found)
