"""Addresses replaced: those datatrove replaces, by what the address chooses, in linear time."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import replace

import pytest
from datatrove.pipeline.formatters.pii import PIIFormatter
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.filters.pii import Pii, _is_address
from pipelines.spans import apply_spans
from tests.filters.batches import batch_of, no_documents

_PIECES = st.sampled_from(
    ["jo@river.org", "a.b+c@x-y.co.uk", "@", "@@", ".", "..", "-", "é", "ß@x.de", "äjo@x.de", "j@x", "j@x.",
     "j@-x.de", "j@x-.de", "jo@[1.2.3.4]", "jo@[1.2.3.a:]", "[", "]", "8.8.8.8", "8.8.8.8.8", "1234.5.6.7", "10.0.0.1",
     "256.1.1.1", "01.2.3.4", "192.168.1.1", "224.0.0.1", " ", "\n", "_", "a", "9", "x.y", "{", "|",
     "100.64.0.1", "255.255.255.255"]
)  # fmt: skip
texts = st.lists(_PIECES, max_size=15).map("".join)
SWITCHES = {"emails": "remove_emails", "ips": "remove_ips", "public_ips_only": "only_remove_public_ips"}


def edited(step: Pii, docs: list[str]) -> list[str]:
    batch, verdicts = apply_spans("pii", step, batch_of(docs))
    assert not verdicts.any()
    return batch.column("text").to_pylist()


@settings(max_examples=400, deadline=None)
@given(st.lists(texts, min_size=1, max_size=5), st.fixed_dictionaries(dict.fromkeys(SWITCHES, st.booleans())))
def test_what_is_replaced_is_what_datatrove_replaces(docs: list[str], on: dict[str, bool]) -> None:
    peer = PIIFormatter(
        **{SWITCHES[name]: value for name, value in on.items()},
        email_replacement="E@X.ORG",
        ip_replacement="I",
    )
    ours = Pii(**on, email_replacements=("E@X.ORG",), ip_replacements=("I",))
    assert edited(ours, docs) == [peer.format(doc) for doc in docs]


def test_an_address_becomes_the_same_one_in_every_text_and_two_become_two() -> None:
    names = [f"reader{n}@river.org" for n in range(40)]
    first = edited(Pii(), names)
    assert set(first) == set(Pii().email_replacements)
    assert edited(Pii(), [f"é {name}." for name in reversed(names)]) == [f"é {to}." for to in reversed(first)]


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "224.0.0.1"]
)
def test_networks_are_public_or_not_as_the_library_says(address: str) -> None:
    assert _is_address(address, public_only=True) == ipaddress.ip_address(address).is_global


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000 + "@x.org", "a-" * 100_000 + "@x", "@" * 200_000, "@" + "a-" * 100_000, "a@" * 100_000,
     "1." * 100_000, ("a." * 50 + "@b.c") * 1_000,
     "a!" * 50_000 + ".@b.co", "a." * 50_000 + ".@b.co"],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(text: str) -> None:
    edited(Pii(), ["Its kernel is compiled before the clock starts: a@b.co."])
    start = time.process_time()
    edited(Pii(), [text])
    assert time.process_time() - start < 3


def test_a_slice_of_a_part_is_searched_within_its_own_rows() -> None:
    docs = ["to jo@river.org", "to nobody", "8.8.8.8", "and me@hill.org"]
    whole = batch_of(docs)
    part = replace(
        whole, rows=whole.rows.slice(1, 2), ordinals=whole.ordinals[1:3], verdicts=whole.verdicts[1:3]
    )
    assert Pii().spans(part).row.tolist() == [1]
    texts = apply_spans("pii", Pii(), part)[0].column("text").to_pylist()
    assert texts[0] == "to nobody"
    assert texts[1] in Pii().ip_replacements


def test_what_was_replaced_is_counted_and_no_documents_are_none() -> None:
    batch, _ = apply_spans("pii", Pii(), batch_of(["to jo@river.org", "to nobody", None]))
    assert batch.values["pii.removed_bytes"].tolist() == [len("jo@river.org"), 0, 0]
    assert len(Pii().spans(no_documents()).row) == 0
