"""The account balances, adds up, and survives only undamaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.commit import commit_bytes
from manifests.errors import AccountError, DamageError
from manifests.receipt import Receipt, Tally, bin_edges, bin_of, read_pack, write_pack


def make_receipt(key="a" * 32, *, ordinal=0, tally=None, outputs=None):
    return Receipt(key, "web", "b" * 32, "unit", ordinal, tally or Tally(), outputs or {})


@given(st.lists(st.integers(0, 2**50)))
def test_every_value_lies_between_the_edges_of_its_bin(values):
    edges = [*bin_edges().tolist(), 2**63]
    for value, b in zip(values, bin_of(np.array(values, dtype=np.int64)).tolist(), strict=True):
        assert edges[b] <= value < edges[b + 1]


def test_an_account_that_does_not_balance_is_refused():
    tally = Tally(n_read=3, n_kept=1)
    tally.drop("language", "other_language")
    with pytest.raises(AccountError, match="read 3, kept 1, dropped 1"):
        make_receipt(tally=tally).sealed()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 9)), max_size=8))
def test_tallies_add_up_in_any_order(drops):
    def tally_of(items):
        total = Tally()
        for step, reason, n in items:
            one = Tally(n_read=n)
            one.drop(step, reason, n, n_bytes=10 * n)
            total.add(one)
        return total

    assert tally_of(drops).as_json() == tally_of(drops[::-1]).as_json()
    tally_of(drops).check("here")


def test_a_receipt_reads_back_and_knows_its_outputs(tmp_path):
    tally = Tally(n_read=2, n_kept=2)
    tally.observe("q.n_words", np.array([3, 900]))
    tally.label("language", ["en"], [2])
    receipt = make_receipt(tally=tally, outputs={"part": commit_bytes(tmp_path, "parts/x", b"123")})
    receipt.write(tmp_path)
    assert Receipt.read(tmp_path, receipt.key) == receipt
    assert receipt.verifies(tmp_path, deep=True)
    (tmp_path / "parts/x").unlink()
    assert not receipt.verifies(tmp_path)
    assert Receipt.read(tmp_path, "c" * 32) is None


def test_a_pack_holds_receipts_in_unit_order_and_notices_damage(tmp_path):
    receipts = [make_receipt(f"{i:032x}", ordinal=5 - i) for i in range(5)]
    ref = write_pack(tmp_path, "pack", receipts)
    assert [r.ordinal for r in read_pack(tmp_path / ref.path)] == [1, 2, 3, 4, 5]
    data = bytearray((tmp_path / ref.path).read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / ref.path).write_bytes(data)
    with pytest.raises(DamageError):
        list(read_pack(tmp_path / ref.path))
