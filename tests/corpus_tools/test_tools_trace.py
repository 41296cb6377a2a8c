"""Tracing: the documents of a step, the steps of a document, and that the two agree."""

import random

import numpy as np
import pytest
from fabricated import fabricate, fabricate_run

from corpus_tools.trace import open_trace, trace_document, trace_steps
from manifests.errors import MissingFileError, UsageError
from manifests.mix import open_stream


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("trace") / "corpus")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    return fabricate_run(tmp_path_factory.mktemp("runs") / "small", store)


def test_a_thousand_random_probes_agree_with_the_inverse(run):
    trace = open_trace(run)
    chance = random.Random(1)
    found = {}
    for _ in range(1000):
        step = chance.randint(1, trace.n_steps)
        read = list(trace.read(step, step))
        probe = chance.choice(read)
        if probe["doc_id"] not in found:
            found[probe["doc_id"]] = {(r["step"], r["row"]) for r in trace.steps_reading(probe["doc_id"])}
        assert (step, probe["row"]) in found[probe["doc_id"]]
    for doc_id, rows in found.items():
        for step, row in chance.sample(sorted(rows), min(3, len(rows))):
            assert any(r["doc_id"] == doc_id and r["row"] == row for r in trace.read(step, step))


def test_the_inverse_names_exactly_the_rows_that_read_a_document(run):
    trace = open_trace(run)
    forward = {}
    for found in trace.read(1, trace.n_steps):
        forward.setdefault(found["doc_id"], set()).add(found["row"])
    for doc_id, rows in sorted(forward.items())[::5]:
        assert {r["row"] for r in trace.steps_reading(doc_id)} == rows


def test_the_documents_of_a_row_hold_the_tokens_that_the_row_reads(run, store):
    trace = open_trace(run)
    streams = [open_stream(s.train, trace.folders) for s in trace.mix.sources]
    first = trace.order.rows(0, 8)
    for row, (source, start) in enumerate(zip(first.source.tolist(), first.start.tolist(), strict=True)):
        expected = streams[source].read(start, 33)
        pieces = [found for found in trace.read(row // 4 + 1, row // 4 + 1) if found["row"] == row]
        shards = {s.path.name: s for s in streams[source].shards}
        read = [
            shards[p["shard"].rpartition("/")[2]].read(p["shard_start"], p["end"] - p["start"])
            for p in pieces
        ]
        assert np.concatenate(read).tolist() == expected.tolist()


def test_a_step_names_the_place_its_documents_came_from(run, store):
    by_id = {d.id.hex(): d for d in store.docs}
    for found in trace_steps(run, "2:5"):
        doc = by_id[found["doc_id"]]
        assert (found["origin"][0]["path"], found["origin"][0]["offset"]) == (doc.path, doc.offset)
    assert {r["step"] for r in trace_steps(run, "2:5")} == {2, 3, 4}


def test_documents_are_named_by_url_and_by_the_first_digits_of_their_id(run, store):
    doc = store.kept("web")[0]
    by_url = trace_document(run, doc.url)
    assert by_url
    assert by_url == trace_document(run, doc.id.hex()[:10])


def test_a_range_that_ends_before_it_begins_is_told_as_such(run):
    with pytest.raises(
        UsageError, match=r"--step 7:3: expected a range that begins before its end, such as 7:17"
    ):
        trace_steps(run, "7:3")


@pytest.mark.parametrize("steps", ["0", "9999", "5:5", "7:3", "one", "1:x", "-1"])
def test_steps_that_the_run_does_not_have_are_refused(run, steps):
    with pytest.raises(UsageError, match="--step"):
        trace_steps(run, steps)


def test_a_document_that_is_in_no_shard_is_refused(run, store):
    dropped = next(d for d in store.docs if d.fate != "kept")
    with pytest.raises(UsageError, match="quern explain"):
        trace_document(run, dropped.id.hex())


def test_a_moved_corpus_is_a_missing_file(run, store, tmp_path):
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("mix.json", "config.json"):
        (copy / name).write_bytes((run / name).read_bytes())
    (copy / "locations.json").write_text("{}")
    with pytest.raises(MissingFileError, match=r"locations\.json"):
        trace_steps(copy, "1")
