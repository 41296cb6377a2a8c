"""Tracing a run over real pages and books: from any token it was fed to the record of the crawl, and back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from warcio.archiveiterator import ArchiveIterator

from corpus_tools.cli import main
from corpus_tools.open import open_corpus
from corpus_tools.trace import open_trace, trace_document, trace_steps
from pipelines.executor import build
from pipelines.plan import make_plan
from trainer.data import Feed, read_rows
from trainer.run import open_run, train

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="real data is not here"),
]
N_PROBES, N_STEPS, SEQ_LEN, ROWS = 1000, 120, 64, 8
RECIPE = f"""\
name: shelf
sources:
  - name: books
    read: {{gutenberg: {{}}}}
    root: {DATA}/gutenberg/en
    paths: ["Carroll_Lewis/*.txt", "Shelley_Mary_Wollstonecraft/*.txt"]
    licence: public-domain-us
  - name: web
    read: {{warc: {{}}}}
    root: {DATA}/warc
    paths: ["aut/example.warc.gz", "pywb/iana.warc.gz", "resiliparse/warcfile.warc"]
    steps: [extract]
steps: [exact]
tokens: {{train: {{vocab_size: 1024}}}}
"""
MIX = {
    "name": "shelf",
    "corpora": ["corpus"],
    "seq_len": SEQ_LEN,
    "seed": 3,
    "phases": [{"tokens": N_STEPS * ROWS * SEQ_LEN, "weights": {"books": 0.3, "web": 0.7}}],
}
TRAIN = {
    "name": "shelf",
    "mix": "mix.yaml",
    "model": {"layers": 1, "width": 32, "heads": 2, "hidden": 64},
    "batch": ROWS * SEQ_LEN,
    "machine": {"device": "cpu", "dtype": "fp32", "micro_batch": ROWS, "workers": 1},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of crawl files and books, and a run trained on both to its end."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, value in (("mix.yaml", MIX), ("train.yaml", TRAIN)):
        (folder / name).write_text(yaml.safe_dump(value))
    (folder / "recipe.yaml").write_text(RECIPE)
    build(make_plan(folder / "recipe.yaml", folder / "corpus"), workers=0)
    train(folder / "train.yaml", out=folder / "run", say=lambda _: None)
    return folder


def record_at(place: dict) -> tuple[str, str]:
    """The address and the id of the record that begins at an offset of a crawl file, read by another library."""
    with (DATA / "warc" / place["path"]).open("rb") as file:
        file.seek(place["offset"])
        headers = next(iter(ArchiveIterator(file))).rec_headers
    return headers["WARC-Target-URI"].strip("<>"), headers["WARC-Record-ID"]


def piece_of(read: list[dict], row: int, position: int) -> tuple[dict, int]:
    """The document that token `position` of a row belongs to, and which of the document's tokens it is."""
    for found in read:
        if found["row"] == row:
            if position < found["end"] - found["start"]:
                return found, found["start"] + position
            position -= found["end"] - found["start"]
    raise AssertionError(f"row {row} is shorter than its window")


def test_a_thousand_tokens_lead_to_their_documents_and_these_back_to_their_steps(folder):
    run, chance = open_run(folder / "run"), random.Random(6)
    feed = Feed(run.mix.order(), run.streams())
    documents = open_corpus(folder / "corpus").documents()
    rows = documents.select(["doc_id", "text", "url"]).to_pylist()
    texts = {row["doc_id"].hex(): (row["text"], row["url"]) for row in rows}
    tokenizer, encoded, inverse, records = run.tokenizer(), {}, {}, {}
    assert [m["step"] for m in run.metrics("step")] == list(range(1, N_STEPS + 1))
    for _ in range(N_PROBES):
        step, position = chance.randint(1, N_STEPS), chance.randint(0, SEQ_LEN)
        row = chance.randrange(*run.rows_of_step(step))
        found, at = piece_of(trace_steps(folder / "run", str(step)), row, position)
        name = found["doc_id"]
        text, url = texts[name]
        if name not in encoded:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            encoded[name] = [*ids, run.mix.eot]
            inverse[name] = {(r["step"], r["row"]) for r in trace_document(folder / "run", name)}
        assert (step, row) in inverse[name]
        # What the trainer was fed there is what the document's text says there.
        assert read_rows(feed, np.array([row]))[0, position] == encoded[name][at]
        if found["source"] == "web":
            [place] = found["origin"]
            address, record_id = record_at(place)
            assert (address, record_id) == (url, place["record_id"])
            records[place["path"], place["offset"]] = url
    assert len({path for path, _ in records}) == 3
    assert len(records) > 40
    assert len(encoded) > len(records)  # books too


def test_the_inverse_names_every_row_of_the_run_that_read_a_document_and_no_other(folder):
    trace = open_trace(folder / "run")
    forward: dict[str, set[int]] = {}
    for found in trace.read(1, N_STEPS):
        forward.setdefault(found["doc_id"], set()).add(found["row"])
    for name, rows in forward.items():
        assert {r["row"] for r in trace.steps_reading(name)} == rows


def test_the_command_prints_the_place_of_a_record_and_finds_its_step_again(folder):
    said = CliRunner().invoke(main, ["trace", str(folder / "run"), "--step", "7", "--json"])
    assert said.exit_code == 0, said.output
    web = [row for row in json.loads(said.output) if row["source"] == "web"]
    for row in web:
        back = CliRunner().invoke(main, ["trace", str(folder / "run"), "--doc", row["doc_id"], "--json"])
        assert (7, row["row"]) in {(r["step"], r["row"]) for r in json.loads(back.output)}
        assert record_at(row["origin"][0])[1] == row["origin"][0]["record_id"]
    assert web
