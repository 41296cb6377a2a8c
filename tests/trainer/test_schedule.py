from itertools import pairwise

import pytest

from trainer.schedule import cosine, schedule_of, wsd


def test_wsd_warms_up_stays_and_goes_down_in_a_line():
    rates = [wsd(s, n_steps=100, n_warmup=10, n_decay=20) for s in range(100)]
    assert rates[:10] == pytest.approx([(s + 1) / 10 for s in range(10)])
    assert set(rates[10:81]) == {1.0}
    assert rates[80:] == pytest.approx([(100 - s) / 20 for s in range(80, 100)])
    assert rates[-1] == 0.05


def test_cosine_ends_near_its_floor_and_never_rises_after_the_warm_up():
    rates = [cosine(s, n_steps=100, n_warmup=5) for s in range(100)]
    assert rates[4] == rates[5] == 1.0
    assert all(a >= b for a, b in pairwise(rates[5:]))
    assert 0.1 < rates[-1] < 0.11


def test_no_step_has_a_rate_of_zero_even_in_a_run_of_one_step():
    for name in ("wsd", "cosine"):
        for n_steps in (1, 2, 3, 50):
            schedule = schedule_of(name, n_steps=n_steps, warmup_frac=0.02, decay_frac=0.2)
            assert all(0 < schedule(s) <= 1 for s in range(n_steps))


def test_shares_are_of_the_whole_run():
    schedule = schedule_of("wsd", n_steps=1000, warmup_frac=0.02, decay_frac=0.2)
    assert schedule(18) == pytest.approx(0.95)
    assert schedule(19) == schedule(800) == 1.0
    assert schedule(900) == 0.5


def test_a_warm_up_longer_than_what_is_left_of_the_decay_is_not_overtaken():
    assert wsd(1, n_steps=4, n_warmup=4, n_decay=4) == 0.5
    assert wsd(3, n_steps=4, n_warmup=4, n_decay=4) == 0.25
