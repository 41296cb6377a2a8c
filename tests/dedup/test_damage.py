"""What phases leave for each other is never taken for less than it was: missing, cut or changed, it is an error."""

import numpy as np
import pytest

from manifests.errors import DamageError, FormatError
from pipelines.dedup import Exact, MinHash
from pipelines.dedup.arrays import read_arrays
from pipelines.gather import PhaseTask
from tests.dedup.test_files import stored
from tests.harness_gather import Corpus

STAGES = {
    "exact": MinHash(),
    "estimate": MinHash(verify="estimate"),
    "none": MinHash(verify="none", bands=14, rows=8),
    "texts": Exact(),
}


def corpus_of_copies(folder):
    texts = [" ".join(f"w{i}x{k}" for i in range(60)) for k in range(6)]
    return Corpus(
        folder, {"a": [texts, texts[:2]], "b": [[*texts[3:], "alone"], [t + " end" for t in texts]]}
    )


class Engine:
    """The product's own task over the files of a corpus: phases one after the other, in a folder."""

    def __init__(self, corpus, stage):
        self.root, self.stage, self.outputs, self.facts = corpus.root, stage, {}, {}
        self.parts = [
            {
                "key": p.key,
                "source": p.source,
                "n_docs": p.n_docs,
                "n_bytes": p.n_bytes,
                "ref": p.ref.as_json(),
            }
            for p in corpus.parts
        ]

    def run(self, phase):
        spec = {
            "dead": [[] for _ in self.parts], "facts": self.facts, "folder": str(self.root), "given": "",
            "keep": False, "name": phase.name, "outputs": self.outputs, "parts": self.parts,
            "root": str(self.root), "sides": {}, "stage": {"step": "step"}, "step_key": "0" * 32,
        }  # fmt: skip
        n_units = {"part": len(self.parts), "one": 1}.get(phase.axis)
        if n_units is None:
            n_units = phase.axis(PhaseTask({**spec, "units": [{"key": "axis"}]}, 0))
        spec["units"] = [{"key": f"{phase.name}{i}", "label": "", "ordinal": i} for i in range(n_units)]
        receipts = []
        for unit in range(n_units):
            with PhaseTask(spec, unit) as task:
                phase.run(task)
            receipts.append(task.receipt())
        self.outputs[phase.name] = [{role: r.as_json() for role, r in x.outputs.items()} for x in receipts]
        self.facts[phase.name] = [x.facts for x in receipts]

    def verdicts(self):
        return [(self.root / o["verdict"]["path"]).read_bytes() for o in self.outputs["verdict"]]


def intermediates(stage):
    return [phase.name for phase in stage.phases() if phase.name != "verdict"]


CASES = [(name, phase) for name, stage in STAGES.items() for phase in intermediates(stage)]


def ready(tmp_path, stage, phase):
    """An engine that has run all phases up to one, the files that this one left, and the phases that follow."""
    engine, phases = Engine(corpus_of_copies(tmp_path), stage), stage.phases()
    at = [p.name for p in phases].index(phase)
    for earlier in phases[: at + 1]:
        engine.run(earlier)
    paths = [engine.root / ref["path"] for outputs in engine.outputs[phase] for ref in outputs.values()]
    return engine, paths, phases[at + 1 :]


def finish(engine, phases):
    for phase in phases:
        engine.run(phase)
    return engine.verdicts()


def outcome(engine, phases):
    """The verdicts, or why there are none."""
    try:
        return finish(engine, phases)
    except FormatError as error:
        return str(error)


@pytest.mark.parametrize(("stage", "phase"), CASES)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "longer"])
def test_a_file_that_is_missing_or_of_another_size_is_an_error_that_names_it(tmp_path, stage, phase, damage):
    engine, paths, rest = ready(tmp_path, STAGES[stage], phase)
    for path in (paths[0], paths[-1]):
        data = path.read_bytes()
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes({"empty": b"", "cut": data[:-1], "longer": data + bytes(64)}[damage])
        with pytest.raises(DamageError, match=path.name):
            finish(engine, rest)
        path.write_bytes(data)


@pytest.mark.parametrize(("stage", "phase"), CASES)
def test_a_flipped_bit_is_an_error_that_names_the_file_or_changes_nothing(tmp_path, stage, phase):
    engine, paths, rest = ready(tmp_path, STAGES[stage], phase)
    wanted, rng, n_refused = finish(engine, rest), np.random.default_rng(1), 0
    for path in rng.permutation(np.array(paths, dtype=object))[:3].tolist():
        data = path.read_bytes()
        for at in [*rng.integers(0, len(data), 3).tolist(), 20]:
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.integers(8)]) + data[at + 1 :])
            found = outcome(engine, rest)
            assert found == wanted or (isinstance(found, str) and path.name in found)
            n_refused += found != wanted
        path.write_bytes(data)
    assert n_refused >= min(3, len(paths))


def test_every_flipped_byte_of_an_array_is_found_when_it_is_read_and_of_the_header_at_once(tmp_path):
    arrays = {
        "a": np.arange(700),
        "b": np.arange(12, dtype=np.uint32).reshape(3, 4),
        "c": np.zeros(0, np.int64),
    }
    path = stored(tmp_path / "f.arrays", arrays, about={"seed": 1})
    data = path.read_bytes()
    header = data.index(b"\0")
    for at in [*range(header), *range(header, len(data), 11)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
        with pytest.raises(FormatError, match=r"f\.arrays.*build again"):
            [read_arrays(path)[name] for name in arrays]


def test_a_column_reads_what_the_array_holds_and_verifies_only_that(tmp_path):
    rng = np.random.default_rng(2)
    arrays = {"flat": rng.integers(0, 9, 5000), "wide": rng.integers(0, 9, (300, 70), dtype=np.uint32)}
    path = stored(tmp_path / "f.arrays", arrays)
    flat, wide = (read_arrays(path).column(name) for name in arrays)
    places = rng.integers(0, 300, 40)
    assert flat[17] == arrays["flat"][17]
    assert flat[100:4000].tolist() == arrays["flat"][100:4000].tolist()
    assert wide[places].tolist() == arrays["wide"][places].tolist()
    assert wide.row(299)[3:].tolist() == arrays["wide"][299, 3:].tolist()
    assert [s.tolist() for s in flat.spans(places, places)] == [
        arrays["flat"][n : 2 * n].tolist() for n in places.tolist()
    ]
    with pytest.raises(IndexError):
        flat[np.array([5000])]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    wide = read_arrays(path).column("wide")
    assert wide[:200].tolist() == arrays["wide"][:200].tolist()
    for read in (
        lambda: wide[299],
        lambda: wide[:],
        lambda: wide[np.array([0, 299])],
        lambda: wide.row(299)[69],
    ):
        with pytest.raises(FormatError, match="changed"):
            read()


def test_blocks_that_changed_places_are_not_taken_for_each_other(tmp_path):
    path = stored(tmp_path / "f.arrays", {"a": np.repeat(np.arange(4), 512)})
    data = path.read_bytes()
    path.write_bytes(
        data[: -4 * 4096] + data[-3 * 4096 : -2 * 4096] + data[-4 * 4096 : -3 * 4096] + data[-2 * 4096 :]
    )
    assert len(path.read_bytes()) == len(data)
    with pytest.raises(FormatError):
        read_arrays(path)["a"]
