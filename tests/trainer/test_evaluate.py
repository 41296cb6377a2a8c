import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from toyrun import EOT, sentences, train_tokenizer

from trainer.bytes_of_tokens import byte_lengths, token_bytes
from trainer.evaluate import Score, bits_per_byte, evaluate, held_out_windows, macro_bpb
from trainer.machine import Machine
from trainer.model import Model
from trainer.references import count_tokens, reference_scores
from trainer.shape import Shape

SHAPE = Shape(vocab=5, seq_len=4, layers=1, width=8, heads=1, kv_heads=1, head_dim=8, hidden=8, tied=False)
TABLE = [b"", b"a", b"bc", b"def", b" a"]
MACHINE = Machine(device="cpu", dtype="fp32", compile=False, micro_batch=2, threads=1)


class Stream:
    """Tokens of a source in memory."""

    def __init__(self, tokens) -> None:
        self.tokens = np.array(tokens, dtype=np.uint16)
        self.n_tokens = len(self.tokens)

    def read(self, start, n_tokens):
        return self.tokens[start : start + n_tokens]


def test_bits_per_byte_are_nats_over_ln_2_and_bytes_with_special_tokens_left_out():
    windows = {"books": np.array([[1, 2, 0, 3, 1], [3, 3, 3, 0, 0]])}
    scores = evaluate(Model(SHAPE), windows, n_bytes=byte_lengths(TABLE), machine=MACHINE)
    # A new model with a head of its own finds each of 5 tokens equally likely. Scored targets: bc def a, def def.
    assert scores["books"].n_tokens == 5
    assert scores["books"].n_bytes == 2 + 3 + 1 + 3 + 3
    assert scores["books"].bpb == pytest.approx(5 * math.log2(5) / 12, rel=1e-6)


def test_bits_per_byte_of_a_trained_model_equal_a_sum_by_hand():
    model = Model(SHAPE, seed=4)
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(1))
    row = np.array([[1, 2, 4, 3, 0]])
    logits = (model.hidden(torch.tensor(row[:, :-1])) @ model.head.weight.T).detach().double()
    p = logits.softmax(-1)[0]
    nats = -math.log(p[0, 2]) - math.log(p[1, 4]) - math.log(p[2, 3])
    score = evaluate(model, {"x": row}, n_bytes=byte_lengths(TABLE), machine=MACHINE)["x"]
    assert score.bpb == pytest.approx(bits_per_byte(nats, 2 + 2 + 3), rel=1e-5)


def test_ranks_that_share_an_evaluation_add_up_to_one_that_does_not():
    model = Model(SHAPE, seed=4)
    rows = np.random.default_rng(0).integers(0, 5, (7, 5))

    whole = evaluate(model, {"x": rows}, n_bytes=byte_lengths(TABLE), machine=MACHINE)["x"]
    parts = [
        evaluate(model, {"x": rows[r::2]}, n_bytes=byte_lengths(TABLE), machine=MACHINE)["x"]
        for r in range(2)
    ]
    assert sum(p.n_bytes for p in parts) == whole.n_bytes
    assert sum(p.nats for p in parts) == pytest.approx(whole.nats, rel=1e-6)


def test_the_macro_average_counts_each_source_once_whatever_its_size():
    scores = {
        "a": Score(math.log(2) * 10, 10, 4),
        "b": Score(math.log(2) * 3000, 1000, 300),
        "none": Score(0, 0, 0),
    }
    assert macro_bpb(scores) == pytest.approx(2.0)


def test_held_out_windows_are_spread_over_the_stream_and_share_no_target():
    rows = held_out_windows(Stream(range(100)), seq_len=10, max_tokens=40)
    assert rows.shape == (4, 11)
    assert rows[:, 0].tolist() == [0, 20, 40, 60]
    everything = held_out_windows(Stream(range(100)), seq_len=10, max_tokens=10**6)
    targets = everything[:, 1:].ravel()
    assert len(set(targets.tolist())) == len(targets) == 90


def test_a_held_out_stream_shorter_than_a_window_is_still_scored():
    assert held_out_windows(Stream([1, 2, 3]), seq_len=10, max_tokens=40).tolist() == [[1, 2, 3]]


def test_tokens_stand_for_the_bytes_of_their_text(tmp_path):
    texts = [*sentences(1, 20), "naïve café – 東京 \U0001f300 tab\tend\x00"]
    tokenizer = train_tokenizer(texts, vocab_size=400)
    tokenizer.save(str(tmp_path / "t.json"))
    table = token_bytes(tmp_path / "t.json", vocab=500)
    assert len(table) == 500
    assert table[tokenizer.token_to_id(EOT)] == b""
    for text in [*texts, "\xa0\xad\x7f"]:
        assert b"".join(table[i] for i in tokenizer.encode(text).ids) == text.encode()


# --- the lines to beat, beside obvious twins ---------------------------------------------------------------

RNG = np.random.default_rng(3)
TRAIN = [Stream(RNG.choice(5, 400, p=[0.1, 0.4, 0.2, 0.2, 0.1])), Stream(RNG.choice(5, 150))]
ROWS = RNG.integers(0, 5, (3, 9))


def scores_of(line: str) -> Score:
    return reference_scores(count_tokens(TRAIN, 5), TABLE, {"x": ROWS})[line]["x"]


def scored_pairs():
    return [(a, b) for row in ROWS.tolist() for a, b in pairwise(row) if TABLE[b]]


def test_the_uniform_line_costs_the_logarithm_of_the_vocabulary():
    assert scores_of("uniform").nats == pytest.approx(len(scored_pairs()) * math.log(5))


def test_the_unigram_line_counts_tokens():
    counts = [sum(int((s.tokens == t).sum()) for s in TRAIN) + 1 for t in range(5)]
    by_hand = -sum(math.log(counts[b] / sum(counts)) for _, b in scored_pairs())
    assert scores_of("unigram").nats == pytest.approx(by_hand)


def test_the_bigram_line_is_witten_and_bells_over_pairs_of_neighbours():
    pairs = [p for s in TRAIN for p in zip(s.tokens.tolist(), s.tokens[1:].tolist(), strict=False)]
    counts = [sum(int((s.tokens == t).sum()) for s in TRAIN) + 1 for t in range(5)]

    def p(a: int, b: int) -> float:
        kinds = len({y for x, y in pairs if x == a})
        return (pairs.count((a, b)) + kinds * counts[b] / sum(counts)) / (
            sum(x == a for x, _ in pairs) + kinds
        )

    assert sum(p(1, b) for b in range(5)) == pytest.approx(1)
    assert scores_of("bigram").nats == pytest.approx(-sum(math.log(p(a, b)) for a, b in scored_pairs()))


def test_the_byte_bigram_line_equals_one_counted_on_the_decoded_bytes():
    pairs = []
    for stream in TRAIN:
        before = None  # the first token of a stream has no pair in front of it
        for token in stream.tokens.tolist():
            text = TABLE[token]
            if text and before is not None:
                pairs.append((before, text[0]))
            pairs += list(pairwise(text))
            before = text[-1] if text else 256
    base = [sum(b == x for _, b in pairs) + 1 for x in range(256)]

    def p(a: int, b: int) -> float:
        kinds = len({y for x, y in pairs if x == a})
        return (pairs.count((a, b)) + kinds * base[b] / sum(base)) / (sum(x == a for x, _ in pairs) + kinds)

    nats = 0.0
    for a, b in scored_pairs():
        chain = [TABLE[a][-1] if TABLE[a] else 256, *TABLE[b]]
        nats -= sum(math.log(p(x, y)) for x, y in pairwise(chain))
    assert scores_of("byte_bigram").nats == pytest.approx(nats)


def test_counting_in_pieces_gives_what_counting_at_once_gives(monkeypatch):
    whole = count_tokens(TRAIN, 5)
    monkeypatch.setattr("trainer.references._PIECE", 37)
    pieces = count_tokens(TRAIN, 5)
    assert all(np.array_equal(a, b) for a, b in zip(whole[:3], pieces[:3], strict=True))
    assert whole.counted_frac == pieces.counted_frac == 1.0


def test_past_the_limit_a_share_of_the_tokens_is_counted_and_said():
    counts = count_tokens(TRAIN, 5, max_tokens=110)
    assert counts.counted_frac == pytest.approx(0.2, abs=0.02)
    assert counts.unigram.sum() == pytest.approx(110, abs=3)
