"""Shards: every document once, in an order that depends on ids alone, beside a table that describes them."""

import json
from collections import Counter

import numpy as np
import pytest

from manifests.digest import digest_file, hash64
from manifests.shards import Shard
from pipelines.tokens import Tokens
from pipelines.tokens.rows import hashes
from pipelines.tokens.shards import Place, places
from pipelines.tokens.tokenizer import train_bpe
from tests.kernels.texts import synthetic_documents
from tests.tokens.harness_tokens import make, read_shards, run

WEB = synthetic_documents(120, seed=1)
SMALL = {"train": {"vocab_size": 400, "sample_bytes": 20_000}, "shard_tokens": 4000}


def shard_files(result):
    """What every shard task wrote, in order of unit."""
    return [{role: ref.digest for role, ref in t.outputs.items()} for t in result.tasks["shards"]]


def test_every_document_is_in_one_shard_and_none_twice(tmp_path):
    corpus = make(tmp_path, {"web": [WEB[:50], [], WEB[50:]], "more": [WEB[:30]]})
    result = run(corpus, Tokens(**SMALL))
    found = read_shards(corpus, result)
    assert len(result.tasks["shards"]) > 8
    texts = Counter((key[0], d["text"]) for key, docs in found.items() for d in docs)
    assert texts == Counter([("web", t) for t in WEB] + [("more", t) for t in WEB[:30]])
    ids = [d["doc_id"] for docs in found.values() for d in docs]
    assert sorted(ids) == sorted(i for part in corpus.ids for i in part)
    tallies = [t.tally for t in result.tasks["encode"]]
    assert sum(t.n_read for t in tallies) == sum(t.n_kept for t in tallies) == 150
    assert sum(t.tally.n_read for t in result.tasks["shards"]) == 150


def test_documents_that_a_gather_dropped_are_in_no_shard(tmp_path):
    corpus = make(tmp_path, {"web": [WEB]})
    corpus.alive_rows[0][::3] = False
    found = read_shards(corpus, run(corpus, Tokens(**SMALL)))
    kept = [t for i, t in enumerate(WEB) if i % 3]
    assert Counter(d["text"] for docs in found.values() for d in docs) == Counter(kept)


def test_shards_do_not_depend_on_the_order_of_tasks_or_on_the_parts(tmp_path):
    dealt = {"a": [WEB], "b": [WEB[90:], WEB[:40], WEB[40:90]]}
    files = []
    for name, parts in dealt.items():
        corpus = make(tmp_path / name, {"web": parts})
        files += [shard_files(run(corpus, Tokens(**SMALL), shuffle=seed)) for seed in (None, 5)]
    assert files[0] == files[1] == files[2] == files[3]
    assert len(files[0]) > 3


def test_documents_stand_in_the_order_of_their_hash_and_another_seed_is_another_order(tmp_path):
    orders = []
    for seed in (0, 1):
        corpus = make(tmp_path / str(seed), {"web": [WEB]})
        docs = read_shards(corpus, run(corpus, Tokens(**SMALL, seed=seed)))["web", "train"]
        hashes = [hash64("place", seed, d["doc_id"]) for d in docs]
        assert hashes == sorted(hashes)
        orders.append([d["doc_id"] for d in docs])
    assert set(orders[0]) & set(orders[1])
    assert [i for i in orders[0] if i in set(orders[1])] != [i for i in orders[1] if i in set(orders[0])]


def test_columns_of_the_partition_get_shards_of_their_own(tmp_path):
    language = {t: ("en", "de", None)[i % 3] for i, t in enumerate(WEB)}
    corpus = make(
        tmp_path, {"web": [WEB[:70], WEB[70:]], "no-column": [["text"]]}, columns={"language": language}
    )
    result = run(corpus, Tokens(**SMALL, partition=["language"]))
    found = read_shards(corpus, result)
    assert {k[2] for k in found if k[0] == "web"} == {"en", "de", "unknown"}
    for (source, _, value), docs in found.items():
        if source == "web":
            assert (
                {language[d["text"]] or "unknown" for d in docs}
                == {value}
                == {d["language"] or "unknown" for d in docs}
            )
    names = [
        (f["source"], f["split"], tuple(f["columns"].values()))
        for f in (t.facts for t in result.tasks["shards"])
    ]
    assert names == sorted(names)


def test_a_part_that_lacks_the_column_is_of_the_partition_unknown(tmp_path):
    corpus = make(tmp_path, {"web": [["some text"]]})
    assert set(read_shards(corpus, run(corpus, Tokens(**SMALL, partition=["language"])))) == {
        ("web", "train", "unknown")
    }


def test_facts_count_what_the_shards_hold(tmp_path):
    licence = {t: ("MIT", None)[i % 2] for i, t in enumerate(WEB)}
    corpus = make(
        tmp_path, {"web": [WEB]}, columns={"licence": licence, "url": {WEB[0]: "http://a.example/"}}
    )
    result = run(corpus, Tokens(**SMALL))
    found = read_shards(corpus, result)
    licences = Counter()
    for task in result.tasks["shards"]:
        licences.update(task.facts["licences"])
    assert licences == Counter(licence[t] or "unknown" for t in WEB)
    docs = [d for docs in found.values() for d in docs]
    assert sum(t.facts["n_bytes"] for t in result.tasks["shards"]) == sum(len(t.encode()) for t in WEB)
    assert sum(t.facts["n_tokens"] for t in result.tasks["shards"]) == sum(len(d["tokens"]) for d in docs)
    assert [d["url"] for d in docs if d["text"] == WEB[0]] == ["http://a.example/"]
    assert all(d["tokens"][-1] == 0 and 0 not in d["tokens"][:-1] for d in docs)
    assert {(d["piece"], d["parent"], tuple(d["origin"])) for d in docs} == {(0, None, ())}


def test_a_partition_of_one_long_document_has_one_shard(tmp_path):
    corpus = make(tmp_path, {"book": [["word " * 20_000]]})
    found = run(corpus, Tokens(**SMALL, holdout=0))
    assert [t.facts["n_docs"] for t in found.tasks["shards"]] == [1]


def test_a_shard_between_two_documents_is_empty_and_sound(tmp_path):
    corpus = make(tmp_path, {"book": [["word " * 9000, "more " * 9000, "text " * 9000]]})
    result = run(corpus, Tokens(**{**SMALL, "shard_tokens": 1000}, holdout=0, seed=3))
    sizes = [t.facts["n_docs"] for t in result.tasks["shards"]]
    assert (len(sizes), sum(sizes)) == (3, 3)
    assert 0 in sizes
    assert len(read_shards(corpus, result)["book", "train"]) == 3


def test_a_corpus_without_documents_has_no_shards(tmp_path):
    corpus = make(tmp_path, {"web": [[], []]})
    result = run(corpus, Tokens(**SMALL))
    assert (result.tasks["shards"], result.tasks["tokenizer"][0].facts["vocab_size"]) == ([], 257)


def test_a_large_vocabulary_takes_four_bytes_a_token(tmp_path):
    value = json.loads(train_bpe([WEB[0].encode()], vocab_size=300).to_str())
    model = value["model"]["vocab"]
    model.update({f"<{i}>": i for i in range(len(model), 70_000)})
    value["added_tokens"].append({**value["added_tokens"][0], "content": "</s>", "id": 70_000})
    model["</s>"] = 70_000
    (tmp_path / "big.json").write_text(json.dumps(value))
    corpus = make(tmp_path, {"web": [WEB]})
    result = run(corpus, Tokens(use="big.json", eot="</s>", shard_tokens=4000))
    found = read_shards(corpus, result)
    assert Counter(d["text"] for docs in found.values() for d in docs) == Counter(WEB)
    assert {d["tokens"][-1] for docs in found.values() for d in docs} == {70_000}
    shard = Shard.open(result.tasks["shards"][0].outputs["shard"].check(tmp_path))
    assert (shard.header.vocab_size, shard.read(0, 1).dtype) == (70_001, np.uint32)
    assert shard.header.tokenizer == digest_file(tmp_path / "big.json")


@pytest.mark.parametrize(
    ("n_tokens", "n_docs", "n"), [(1, 1, 1), (100, 9, 1), (101, 9, 2), (1000, 9, 9), (0, 0, 0)]
)
def test_the_number_of_shards_follows_from_the_tokens(n_tokens, n_docs, n):
    group = {"split": "train", "columns": {}, "n_docs": n_docs, "n_tokens": n_tokens}
    facts = [{"source": "b", "groups": [group] if n_docs else []}, {"source": "a", "groups": []}]
    assert places(facts, columns=(), shard_tokens=100) == [Place("b", "train", (), i, n) for i in range(n)]


def test_many_hashes_are_those_of_each_alone():
    ids = [b"", b"a", bytes(16), bytes(range(16))]
    assert hashes("place", 7, ids).tolist() == [hash64("place", 7, i) for i in ids]
