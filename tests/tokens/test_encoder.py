"""Both engines give the same ids, every text decodes to itself, and where the engines differ the reference wins."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from manifests.digest import digest_file, doc_id
from pipelines.batch import TextView
from pipelines.tokens.encode import cut_pieces, encode_pieces
from pipelines.tokens.encoder import Encoder, count_differing, encode_fast, encode_reference, load_encoder
from pipelines.tokens.holdout import Holdout
from pipelines.tokens.tokenizer import END_OF_TEXT, chunks, train_bpe
from tests.kernels.texts import synthetic_documents
from tests.kernels.texts import texts as odd_texts
from tests.tokens.harness_tokens import TokensTask

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
ODD = [
    "", " ", "\n", "\r\n\r\n", "\t \n x", "a" * 3000, "don't WE'LL i'M", "ſ's K'LL", "1234567 ١٢٣ ⅷ", "e\u0301\u0301",
    "\x00\x7f\x80", "\u2028\u2029\u00a0\u3000", "😀👩‍👩‍👧", "中文。！", "ǅ İ ß", "\ufffd\ufeff",
    f"a{END_OF_TEXT}b", "\U0010ffff\ue000", " \u200b ", "-----" * 50, "a\r\rb\r", "\U000e0001", "हिन्दी ไทย",
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Encoder:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    texts = [d.encode() for d in synthetic_documents(100, seed=1)] + [
        b"the cat sat on the mat, don't it\n"
    ] * 50
    path.write_text(train_bpe(texts, vocab_size=2000).to_str())
    return load_encoder(path, digest_file(path))


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Encoder:
    path = tmp_path_factory.mktemp("other") / "tokenizer.json"
    path.write_text(train_bpe([b"zebra zebra"], vocab_size=260).to_str())
    return load_encoder(path, digest_file(path))


@settings(max_examples=300, deadline=None)
@given(any_text | odd_texts)
@example(f"x{END_OF_TEXT}")
def test_every_text_decodes_to_itself_and_both_engines_agree(encoder, text):
    fast, reference = (engine(encoder, [text.encode()]) for engine in (encode_fast, encode_reference))
    assert fast.ids.tolist() == reference.ids.tolist()
    assert encoder.reference.decode(fast.ids.tolist(), skip_special_tokens=False) == text


def test_a_batch_of_odd_texts_has_the_ids_of_each_alone(encoder):
    texts = [t.encode() for t in [*ODD, *synthetic_documents(50, seed=2)]]
    fast, reference = encode_fast(encoder, texts), encode_reference(encoder, texts)
    assert fast.offsets.tolist() == reference.offsets.tolist()
    assert fast.ids.tolist() == reference.ids.tolist()
    assert [fast.of(i).tolist() for i in range(3)] == [
        encode_fast(encoder, [t]).ids.tolist() for t in texts[:3]
    ]


def test_no_text_can_write_the_end_of_a_text(encoder):
    texts = [f"a{END_OF_TEXT}b".encode(), END_OF_TEXT.encode()]
    for engine in (encode_fast, encode_reference):
        assert 0 not in engine(encoder, texts).ids


def test_no_texts_have_no_ids(encoder):
    for engine in (encode_fast, encode_reference):
        assert engine(encoder, []).offsets.tolist() == [0]
        assert engine(encoder, [b"", b""]).offsets.tolist() == [0, 0, 0]


def test_a_differing_id_is_found_in_short_and_in_long_texts(encoder, other):
    short, long = b"zebra", b"the cat sat " * 2000
    right = [encode_fast(encoder, [t]).ids for t in (short, long)]
    assert count_differing(encoder, [short, long], right) == 0
    assert count_differing(encoder, [short, long], [right[0][:-1], right[1]]) == 1
    mixed = Encoder(encoder.reference, other.fast)
    assert count_differing(mixed, [short, long], [encode_fast(mixed, [t]).ids for t in (short, long)]) == 2


def encoded_part(tmp_path, encoder, texts):
    data = [t.encode() for t in texts]
    view = TextView(np.frombuffer(b"".join(data), np.uint8), np.cumsum([0, *map(len, data)], dtype=np.int64))
    ids = [doc_id("s", "f", i) for i in range(len(texts))]
    pieces = cut_pieces(ids, view, Holdout("none", np.zeros(len(ids), dtype=np.bool_), None), gap_bytes=0)
    task = TokensTask((), tmp_path, 1, 0, tmp_path, "encode", (), {})
    encoded = encode_pieces(task, encoder, view, pieces=pieces, eot=0, dtype=np.dtype("<u2"), seed=0)
    assert encoded.tokens[encoded.offsets[1:] - 1].tolist() == [0] * len(texts)
    spans = zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True)
    return task.facts, [encoded.tokens[a : b - 1].tolist() for a, b in spans]


def test_a_part_where_the_engines_differ_is_encoded_by_the_reference(tmp_path, encoder, other):
    texts = ["the cat sat", "", "don't it"]
    expected = [encode_reference(encoder, [t.encode()]).ids.tolist() for t in texts]
    facts, ids = encoded_part(tmp_path, Encoder(encoder.reference, other.fast), texts)
    assert (facts["engine"], facts["n_compared"], facts["n_differing"]) == ("tokenizers", 3, 2)
    assert ids == expected
    facts, ids = encoded_part(tmp_path, encoder, texts)
    assert (facts["engine"], facts["n_compared"], facts["n_differing"]) == ("gigatoken", 3, 0)
    assert ids == expected


def test_a_file_that_gigatoken_refuses_is_encoded_by_the_reference(tmp_path):
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0, "the": 1, "cat": 2}, "unk_token": "[UNK]"}
    path = tmp_path / "words.json"
    rest = {"added_tokens": [], "normalizer": None, "post_processor": None, "decoder": None}
    pre = {"type": "Whitespace"}
    path.write_text(json.dumps({"version": "1.0", "model": model, "pre_tokenizer": pre, **rest}))
    encoder = load_encoder(path, digest_file(path))
    assert encoder.fast is None
    facts, ids = encoded_part(tmp_path, encoder, ["the cat", "the dog"])
    assert (facts["engine"], facts["n_compared"], ids) == ("tokenizers", 0, [[1, 2], [1, 0]])


def test_training_in_chunks_sees_the_words_of_the_whole_text():
    text = "\n\n".join([*synthetic_documents(120, seed=3), "x. \n \n y", " \n z"]) * 2
    pieces = list(chunks(text.encode()))
    assert len(pieces) > 5
    assert "".join(pieces) == text
    splitter = train_bpe([b""], vocab_size=257).pre_tokenizer
    words = [word for piece in pieces for word, _ in splitter.pre_tokenize_str(piece)]
    assert words == [word for word, _ in splitter.pre_tokenize_str(text)]
