import pytest
import torch
from test_model import tokens, woken

from trainer.sample import Picker, choose, complete, complete_ids

PROMPTS = [[5, 9, 2], [7], [1, 2, 3, 4, 5, 6]]
GREEDY = Picker(temperature=0)


@torch.no_grad()
def plainly(model, prompt: list[int], n: int) -> list[int]:
    """Greedy text without a cache: the whole row anew for every token."""
    row = list(prompt)
    for _ in range(n):
        row.append(int((model.hidden(torch.tensor([row]))[0, -1] @ model.head.weight.T).argmax()))
    return row[len(prompt) :]


def test_greedy_text_through_the_cache_equals_text_without_one():
    model = woken()
    found = complete_ids(model, PROMPTS, n_tokens=12, picker=GREEDY)
    assert found == [plainly(model, p, 12) for p in PROMPTS]


def test_a_rows_text_does_not_depend_on_its_neighbours_but_on_the_seed():
    model, picker = woken(), Picker(seed=3)
    together = complete_ids(model, PROMPTS, n_tokens=10, picker=picker)
    assert complete_ids(model, PROMPTS[:1], n_tokens=10, picker=picker)[0] == together[0]
    others = [PROMPTS[0], [8, 8, 8, 8], [1]]
    assert complete_ids(model, others, n_tokens=10, picker=picker)[0] == together[0]
    assert complete_ids(model, PROMPTS, n_tokens=10, picker=Picker(seed=4)) != together


def test_two_rows_of_one_prompt_are_two_texts():
    first, second = complete_ids(woken(), [[5], [5]], n_tokens=10, picker=Picker(temperature=2.0))
    assert first != second


def test_a_text_ends_before_the_stop_token_and_without_one_at_its_length():
    model = woken()
    free = complete_ids(model, PROMPTS, n_tokens=12, picker=GREEDY)
    stop = free[0][4]
    cut = complete_ids(model, PROMPTS, n_tokens=12, picker=GREEDY, stop=stop)
    assert cut == [t[: t.index(stop)] if stop in t else t for t in free]
    assert all(len(t) == 12 for t in free)


LOGITS = torch.tensor([[0.0, 3.0, 2.0, 1.0]])


def reached(picker: Picker) -> set[int]:
    return set(drawn(picker, 1000))


def drawn(picker: Picker, n: int) -> list[int]:
    """The tokens picked by `n` numbers spread evenly over [0, 1)."""
    return choose(LOGITS.expand(n, -1), picker, [(i + 0.5) / n for i in range(n)]).tolist()


def test_top_k_keeps_the_likeliest_and_top_p_the_fewest_that_reach_it():
    assert reached(Picker(top_k=2, top_p=None, temperature=1.0)) == {1, 2}
    assert reached(Picker(top_k=None, top_p=None, temperature=1.0)) == {0, 1, 2, 3}
    # Probabilities are .64 .24 .09 .03: the first alone reaches .6, two reach .7.
    assert reached(Picker(top_k=None, top_p=0.6, temperature=1.0)) == {1}
    assert reached(Picker(top_k=None, top_p=0.7, temperature=1.0)) == {1, 2}


def test_tokens_are_drawn_as_often_as_they_are_likely_and_temperature_flattens():
    picker = Picker(top_k=None, top_p=None, temperature=1.0)
    assert drawn(picker, 10_000).count(1) / 10_000 == pytest.approx(float(LOGITS.softmax(1)[0, 1]), abs=2e-3)
    flat = Picker(top_k=None, top_p=None, temperature=100.0)
    assert drawn(flat, 1000).count(1) < 300


def test_the_largest_number_drawn_still_picks_a_kept_token():
    assert int(choose(LOGITS, Picker(top_k=None, top_p=0.7, temperature=1.0), [1 - 2**-24])) == 2


def test_a_text_is_never_empty_even_where_the_stop_token_is_the_likeliest():
    model = woken()
    first = complete_ids(model, PROMPTS, n_tokens=1, picker=GREEDY)[0][0]
    assert complete_ids(model, PROMPTS, n_tokens=5, picker=GREEDY, stop=first)[0]


def test_a_text_may_be_longer_than_the_training_window():
    assert len(complete_ids(woken(), [tokens(1, 20)[0].tolist()], n_tokens=30, picker=GREEDY)[0]) == 30


def test_a_run_completes_prompts_and_an_empty_prompt_begins_a_document(finished):
    texts = complete(finished, ["the crow", ""], n_tokens=6, picker=GREEDY)
    assert len(texts) == 2
    assert all(texts)
    assert complete(finished, ["the crow", ""], n_tokens=6, picker=GREEDY, step=24) == texts
