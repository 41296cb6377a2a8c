"""`quern verify`: every kind of file, every account, nothing left over."""

import shutil

import pytest
from fabricated import fabricate

from corpus_tools.verify import verify_corpus
from manifests.corpus import CorpusManifest
from manifests.errors import DamageError
from manifests.receipt import read_pack

ROLES = ("files", "part", "dropped", "verdict", "tokenizer", "shard", "documents", "receipts", "quarantine")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("verify") / "corpus")


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound.root, tmp_path / "corpus")


def first_file(store, role):
    return next(ref.path for found, ref in store.manifest.files() if found == role)


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_corpus_has_no_findings(sound, deep):
    verdict = verify_corpus(sound.root, deep=deep)
    assert verdict.findings == []
    assert {row["file"] for row in verdict.roles} == set(ROLES)
    assert verdict.n_receipts == 30


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("role", ROLES)
def test_a_flipped_bit_in_any_kind_of_file_is_found(sound, copy, role, place):
    path = copy / first_file(sound, role)
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)
    found = verify_corpus(copy, deep=True).findings
    assert (role, first_file(sound, role)) in {(f.kind, f.where) for f in found}


@pytest.mark.parametrize("role", ROLES)
def test_a_missing_and_a_cut_file_are_found_without_reading_it(sound, copy, role):
    path = copy / first_file(sound, role)
    path.write_bytes(path.read_bytes()[:-1])
    assert role in {f.kind for f in verify_corpus(copy).findings}
    path.unlink()
    assert role in {f.kind for f in verify_corpus(copy).findings}


@pytest.mark.parametrize(
    "where", ["stray", "parts/stray.parquet", "receipts/0.json", "sample/x", "new/folder/file"]
)
def test_a_file_that_no_manifest_names_is_found(copy, where):
    (copy / where).parent.mkdir(parents=True, exist_ok=True)
    (copy / where).write_bytes(b"?")
    assert [(f.kind, f.where) for f in verify_corpus(copy).findings] == [("unnamed", where)]


def test_what_lies_in_runs_is_nobodys_business(copy):
    (copy / "runs" / "tmp").mkdir(parents=True, exist_ok=True)
    (copy / "runs" / "tmp" / "half").write_bytes(b"?")
    assert verify_corpus(copy).findings == []


def test_a_damaged_manifest_is_refused(copy):
    data = bytearray((copy / "corpus.json").read_bytes())
    data[100] ^= 1
    (copy / "corpus.json").write_bytes(data)
    with pytest.raises(DamageError):
        verify_corpus(copy)


def test_files_of_an_older_manifest_of_the_store_are_named(copy):
    manifest = CorpusManifest.read(copy)
    fewer = manifest.model_copy(update={"partitions": manifest.partitions[:1]})
    fewer.write(copy)
    assert verify_corpus(copy).findings == []


def changed(copy, **update):
    """Write the manifest again with some of it changed, and forget the one before."""
    manifest = CorpusManifest.read(copy)
    shutil.rmtree(copy / "corpora")
    manifest.model_copy(update=update).write(copy)
    return verify_corpus(copy, deep=True).findings


@pytest.mark.parametrize("field", ["n_read", "n_kept"])
def test_a_step_whose_account_does_not_balance_is_found(copy, field):
    steps = list(CorpusManifest.read(copy).steps)
    steps[1] = steps[1].model_copy(update={field: getattr(steps[1], field) + 1})
    assert ("account", "language") in {(f.kind, f.where) for f in changed(copy, steps=steps)}


def test_a_step_that_differs_from_its_receipts_is_found(copy):
    steps = list(CorpusManifest.read(copy).steps)
    steps[2] = steps[2].model_copy(update={"dropped": {"too_few_words": 19, "too_many_words": 1}})
    assert any("receipts" in f.problem for f in changed(copy, steps=steps))


def test_a_source_that_read_other_than_its_receipts_is_found(copy):
    steps = list(CorpusManifest.read(copy).steps)
    steps[3] = steps[3].model_copy(update={"n_read": 13, "n_kept": 13})
    steps[4] = steps[4].model_copy(update={"n_read": 73, "n_kept": 68})
    assert ("account", "books read") in {(f.kind, f.where) for f in changed(copy, steps=steps)}


def test_a_verdict_on_a_part_that_is_not_there_is_found(copy):
    verdicts = list(CorpusManifest.read(copy).verdicts)
    verdicts[0] = verdicts[0].model_copy(update={"part_key": "0" * 32})
    assert "verdict" in {f.kind for f in changed(copy, verdicts=verdicts)}


def test_a_gather_that_dropped_other_rows_than_its_account_says_is_found(copy):
    verdicts = list(CorpusManifest.read(copy).verdicts)
    verdicts[0] = verdicts[0].model_copy(update={"n_dropped": verdicts[0].n_dropped + 1})
    assert ("account", "exact") in {(f.kind, f.where) for f in changed(copy, verdicts=verdicts)}


def test_a_part_with_other_rows_than_the_manifest_says_is_found(copy):
    parts = list(CorpusManifest.read(copy).parts)
    parts[0] = parts[0].model_copy(update={"n_docs": parts[0].n_docs + 1})
    assert {"part", "verdict", "account"} <= {f.kind for f in changed(copy, parts=parts)}


def test_a_shard_that_holds_other_counts_than_the_manifest_says_is_found(copy):
    partitions = list(CorpusManifest.read(copy).partitions)
    shard = partitions[0].shards[0].model_copy(update={"n_bytes": 1})
    partitions[0] = partitions[0].model_copy(update={"shards": [shard, partitions[0].shards[1]]})
    assert {"shard", "partition"} <= {f.kind for f in changed(copy, partitions=partitions)}


def test_documents_tables_that_were_exchanged_are_found(copy):
    partitions = list(CorpusManifest.read(copy).partitions)
    one, two = partitions[0].shards
    shards = [
        one.model_copy(update={"documents": two.documents}),
        two.model_copy(update={"documents": one.documents}),
    ]
    partitions[0] = partitions[0].model_copy(update={"shards": shards})
    assert sum(f.kind == "shard" for f in changed(copy, partitions=partitions)) == 2


def test_every_receipt_of_a_pack_is_read(sound):
    for ref in sound.manifest.receipts:
        for receipt in read_pack(sound.root / ref.path):
            assert receipt.tally.n_read == receipt.tally.n_kept + receipt.tally.n_dropped
