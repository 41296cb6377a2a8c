"""The tokenizer: the same file for any number of threads, trained on training text, or taken from a file."""

import os
import random
import subprocess
import sys
from fractions import Fraction

import pytest
from pydantic import ValidationError
from tokenizers import AddedToken, Tokenizer

from manifests.digest import canonical, digest_file, hash64
from manifests.errors import MissingFileError, UsageError
from pipelines.tokens import Tokens
from pipelines.tokens.tokenizer import END_OF_TEXT, train_bpe
from tests.kernels.texts import synthetic_documents
from tests.tokens.harness_tokens import make, read_shards, run

TRAIN = {"vocab_size": 400, "sample_bytes": 20_000}
# Words of many counts, most of them tied, in many scripts.
PROGRAM = """
import random, sys
from pipelines.tokens.tokenizer import train_bpe
rng = random.Random(1)
words = ["".join(chr(rng.choice((97, 0x430, 0x4E00)) + rng.randrange(20)) for _ in range(5)) for _ in range(2000)]
texts = [" ".join(rng.choices(words, k=200)).encode() for _ in range(200)]
sys.stdout.write(train_bpe(texts, vocab_size=2000, special_tokens=["<x>"]).to_str())
"""


def saved(tmp_path, *specials):
    tokenizer = train_bpe([b"some text"], vocab_size=260)
    value = tokenizer.to_str().replace(END_OF_TEXT, specials[0])
    tokenizer = Tokenizer.from_str(value)
    tokenizer.add_special_tokens([AddedToken(s, special=True) for s in specials[1:]])
    tokenizer.save(str(tmp_path / "t.json"))
    return tokenizer


def test_any_number_of_threads_and_any_hash_seed_train_the_same_file():
    files = set()
    for threads, parallel, seed in (("1", "true", "1"), ("2", "true", "2"), ("3", "false", "3")):
        wanted = {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": parallel, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, env={**os.environ, **wanted}, capture_output=True, check=True, text=True
        )
        files.add(done.stdout)
    assert len(files) == 1
    assert Tokenizer.from_str(files.pop()).get_vocab_size() == 2000


def test_the_end_of_text_is_token_0_and_special_tokens_follow():
    tokenizer = train_bpe([b"abc abc"], vocab_size=300, special_tokens=["<a>", "<b>"])
    assert [tokenizer.id_to_token(i) for i in range(3)] == [END_OF_TEXT, "<a>", "<b>"]
    assert tokenizer.get_vocab_size() < 300  # no pair of these bytes is left to merge


def test_the_sample_has_the_bytes_asked_for_from_every_source_by_its_size(tmp_path):
    docs = synthetic_documents(300, seed=5)
    corpus = make(
        tmp_path,
        {"web": [docs[:100], docs[100:200]], "books": [["\n".join(docs[200:250])]], "few": [docs[250:260]]},
    )
    result = run(corpus, Tokens(train={"vocab_size": 400, "sample_bytes": 30_000}))
    facts, how = result.tasks["tokenizer"][0].facts, result.tasks["split"][0].facts["sources"]
    total = sum(s["n_bytes"] for s in how.values())
    for name, taken in facts["sample_bytes"].items():
        # Held-out text and gaps are not there to take, so a small source may give less.
        assert taken == -(-30_000 * how[name]["n_bytes"] // total) or how[name]["holdout"] == "span", name
    assert set(facts["sample_bytes"]) == {"web", "books", "few"}


def test_the_sample_takes_documents_in_the_order_of_their_hash(tmp_path):
    docs = [f"word{i:04d} " * 40 for i in range(400)]
    corpus = make(tmp_path, {"web": [docs[:150], docs[150:]]})
    result = run(corpus, Tokens(train={"vocab_size": 2000, "sample_bytes": 30_000}, holdout=0))
    order = sorted(range(400), key=lambda i: hash64("tokenizer", 0, [*corpus.ids[0], *corpus.ids[1]][i]))
    # 360 bytes each: 83 documents and 120 bytes of one more.
    taken = [docs[i].encode() for i in order[:83]] + [docs[order[83]].encode()[:120]]
    found = result.tasks["tokenizer"][0].outputs["tokenizer"].check(tmp_path)
    assert found.read_text() == train_bpe(taken, vocab_size=2000).to_str()
    assert found.read_text() != train_bpe(taken[:60], vocab_size=2000).to_str()


def test_held_out_text_does_not_train_the_tokenizer(tmp_path):
    docs = synthetic_documents(60, seed=6)
    tail = "@~@~@~@~ <><><><> " * 700
    sources = {"web": [docs], "book": [["\n".join(docs) + "\n\n" + tail]]}
    corpus = make(tmp_path, sources)
    result = run(corpus, Tokens(train={"vocab_size": 5000}, holdout_gap_bytes=100))
    vocabulary = Tokenizer.from_file(
        str(result.tasks["tokenizer"][0].outputs["tokenizer"].check(tmp_path))
    ).get_vocab()
    held = [
        t for t in result.tasks["shards"] if t.facts["split"] == "heldout" and t.facts["source"] == "book"
    ]
    assert sum(t.facts["n_bytes"] for t in held) >= len(tail)
    assert not [t for t in vocabulary if "@~" in t or "<>" in t]
    whole = make(tmp_path / "whole", sources)
    result = run(whole, Tokens(train={"vocab_size": 5000}, holdout=0))
    path = result.tasks["tokenizer"][0].outputs["tokenizer"].check(whole.root)
    assert [t for t in Tokenizer.from_file(str(path)).get_vocab() if "@~@~" in t]


def test_clusters_held_out_whole_do_not_train_the_tokenizer(tmp_path):
    rng = random.Random(1)
    own = ["".join(rng.choices("abcdefghij", k=12)) for _ in range(60)]
    corpus = make(tmp_path, {"web": [[f"{word} " * 30 for word in own]]})
    result = run(corpus, Tokens(train={"vocab_size": 5000}, holdout="20%"))
    path = result.tasks["tokenizer"][0].outputs["tokenizer"].check(tmp_path)
    known = {t.lstrip("\u0120") for t in Tokenizer.from_file(str(path)).get_vocab()}
    found = read_shards(corpus, result)
    words = {split: {d["text"].split()[0] for d in found["web", split]} for split in ("train", "heldout")}
    assert words["train"] <= known
    assert len(words["heldout"]) > 10
    assert not words["heldout"] & known


def test_a_tokenizer_in_use_is_copied_and_its_end_of_text_found(tmp_path):
    saved(tmp_path, "<|im_start|>", "<|endoftext|>", "<|im_end|>")
    stage = Tokens(use="t.json")
    result = run(make(tmp_path, {"web": [["some text"]]}), stage)
    task = result.tasks["tokenizer"][0]
    assert task.outputs["tokenizer"].check(tmp_path).read_bytes() == (tmp_path / "t.json").read_bytes()
    assert (task.facts["eot_token"], task.facts["trained"]) == ("<|endoftext|>", False)
    assert result.tasks["shards"][0].facts["n_tokens"] > 1
    assert stage.side_inputs(tmp_path) == {"t.json": digest_file(tmp_path / "t.json")}
    assert "sample" not in result.tasks


@pytest.mark.parametrize("specials", [("<|im_start|>", "<|im_end|>"), ("</s>", "<eos>")])
def test_an_unclear_end_of_text_is_refused_with_the_key_to_write(tmp_path, specials):
    saved(tmp_path, *specials)
    corpus = make(tmp_path, {"web": [["some text"]]})
    with pytest.raises(UsageError, match="eot: TOKEN") as refused:
        run(corpus, Tokens(use="t.json"))
    assert all(s in str(refused.value) for s in specials)
    result = run(corpus, Tokens(use="t.json", eot=specials[1]))
    assert result.tasks["tokenizer"][0].facts["eot_token"] == specials[1]


def test_an_end_of_text_that_the_file_lacks_is_refused(tmp_path):
    saved(tmp_path, "</s>")
    with pytest.raises(UsageError, match="found none"):
        run(make(tmp_path, {"web": [["some text"]]}), Tokens(use="t.json", eot="<nope>"))


@pytest.mark.parametrize("content", [None, b"\xff", b"{}", b"[]", b'{"model": 1}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"expected a tokenizer\.json"):
        run(make(tmp_path, {"web": [["some text"]]}), Tokens(use="t.json"))
    if content is None:
        with pytest.raises(MissingFileError):
            Tokens(use="t.json").side_inputs(tmp_path)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"train": TRAIN, "use": "t.json"},
        {"train": TRAIN, "eot": "</s>"},
        {"train": {"vocab_size": 256}},
        {"train": {"vocab_size": 258, "special_tokens": ["<a>", "<b>"]}},
        {"train": {"vocab_size": 300, "special_tokens": [END_OF_TEXT]}},
        {"train": TRAIN, "holdout": "60%"},
        {"train": TRAIN, "shard_tokens": 0},
        {"train": TRAIN, "shards": 1},
    ],
)
def test_parameters_that_make_no_sense_are_refused(params):
    with pytest.raises(ValidationError):
        Tokens.model_validate(params)


def test_parameters_have_one_spelling_and_read_back_equal():
    stage = Tokens.model_validate(
        {"train": {"vocab_size": "16Ki"}, "holdout": "0.5%", "shard_tokens": "100M"}
    )
    assert (stage.holdout, stage.shard_tokens) == (Fraction(1, 200), 10**8)
    assert canonical(stage.params()) == canonical(Tokens.model_validate(stage.params()).params())
    assert [p.name for p in stage.phases()] == ["measure", "split", "sample", "tokenizer", "encode", "shards"]
    assert [p.name for p in stage.phases() if p.keep] == ["tokenizer", "shards"]
