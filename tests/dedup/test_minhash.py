"""MinHash: the clusters of datasketch and dictionaries, recall where theory puts it, and nothing left to chance."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from manifests.errors import FormatError
from pipelines.dedup import Exact, MinHash
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.candidates import MAX_LIKE
from pipelines.dedup.evidence import member_at
from pipelines.dedup.repeats import DOCS_PER_BUCKET
from pipelines.dedup.signatures import Scheme, read_signatures, sign_texts
from tests.dedup.documents import as_docs, corpora, keepers
from tests.harness_gather import Corpus, check_account, kept_ids
from tests.oracles.gather_twins import near_keepers, signature
from tests.oracles.kernel_twins import shingles

SMALL = {"ngram": 2, "bands": 6, "rows": 2}
FINEWEB = {"bands": 14, "rows": 8, "verify": "none"}


def document(rng, n_words=300):
    return [f"w{n}" for n in rng.integers(0, 20_000, n_words)]


def edited(words, rng, frac):
    """The words with `frac` of them replaced by others."""
    words = list(words)
    for at in rng.choice(len(words), round(frac * len(words)), replace=False):
        words[at] = f"new{rng.integers(0, 10**9)}"
    return words


def planted(n_pairs, frac, *, seed, n_words=300):
    rng = np.random.default_rng(seed)
    first = [document(rng, n_words) for _ in range(n_pairs)]
    return [" ".join(d) for d in first], [" ".join(edited(d, rng, frac)) for d in first]


def jaccard(a, b, n=5):
    first, second = set(shingles(a, n)), set(shingles(b, n))
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("keep", ["first", "longest"])
@given(sources=corpora, shuffle=st.integers(0, 9), buckets=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_clusters_and_keepers_are_those_of_datasketch_and_dictionaries(
    tmp_path_factory, keep, sources, shuffle, buckets
):
    corpus = Corpus(tmp_path_factory.mktemp("minhash"), sources)
    result = corpus.run(
        MinHash(**SMALL, keep=keep, scheme="datasketch", verify="none"),
        shuffle=shuffle,
        axes={"match": 6 * buckets},
    )
    assert keepers(corpus, result) == near_keepers(as_docs(corpus), **SMALL, longest=keep == "longest")
    check_account(corpus, result)


def test_signatures_are_datasketchs():
    texts = ["It was the best of times, it was the worst of times", "short", "", "中文字符很多", "x " * 500]
    signatures, n_shingles = sign_texts(
        pa.table({"text": pa.array(texts, pa.large_string())}), Scheme(5, 14, 8, 7)
    )
    assert n_shingles.tolist() == [len(shingles(t, 5)) for t in texts]
    for text, found in zip(texts, signatures, strict=True):
        assert found.tolist() == signature(text, ngram=5, n_hashes=112, seed=7).tolist()


@pytest.mark.parametrize("scheme", ["quern", "datasketch"])
@pytest.mark.parametrize(("frac", "least", "most"), [(0.02, 0.9, 1.0), (0.05, 0.2, 0.5), (0.3, 0.0, 0.0)])
def test_recall_of_planted_edits_is_what_the_s_curve_predicts(tmp_path, scheme, frac, least, most):
    first, second = planted(200, frac, seed=5)
    result = Corpus(tmp_path, {"a": [first], "b": [second]}).run(MinHash(**FINEWEB, scheme=scheme))
    chances = np.array([1 - (1 - jaccard(a, b) ** 8) ** 14 for a, b in zip(first, second, strict=True)])
    n_found = sum(result.verdicts()[1])
    assert sum(result.verdicts()[0]) == 0
    assert abs(n_found - chances.sum()) <= 4 * np.sqrt((chances * (1 - chances)).sum()) + 0.01
    assert least <= n_found / 200 <= most


def test_more_bands_find_more_and_min_jaccard_takes_back_what_is_too_much(tmp_path):
    first, second = planted(60, 0.05, seed=6)
    _, far = planted(60, 0.15, seed=6)
    corpus = Corpus(tmp_path, {"a": [first], "b": [second], "c": [far]})
    n_near = {}
    for name, stage in {
        "default": MinHash(**FINEWEB),
        "sensitive": MinHash(bands=28, rows=4, verify="none"),
        "verified": MinHash(bands=28, rows=4, min_jaccard=0.5),
    }.items():
        near, distant = corpus.run(stage).verdicts()[1:]
        n_near[name] = sum(near), sum(distant)
    assert n_near["default"][0] < 40
    assert n_near["sensitive"][0] >= 58
    assert n_near["sensitive"][1] > 5
    assert n_near["verified"][0] >= 55
    assert n_near["verified"][1] == 0


def like_each_other_but_not_their_leader(rng):
    """Texts a, b, c that share band 0 of two (of two rows); b and c also one hash more, a with neither."""
    while True:
        base = document(rng, 60)
        texts = [" ".join(edited(base, rng, frac)) for frac in (0.1, 0.02, 0.02)]
        a, b, c = (signature(text, ngram=1, n_hashes=4) for text in texts)
        agree = [(x == y).tolist() for x, y in ((a, b), (a, c), (b, c))]
        if (
            agree[:2] == [[True, True, False, False]] * 2
            and agree[2][:2] == [True, True]
            and sum(agree[2]) == 3
        ):
            return texts


def test_min_jaccard_still_joins_those_who_are_unlike_their_first_leader(tmp_path):
    a, b, c = like_each_other_but_not_their_leader(np.random.default_rng(1))
    corpus = Corpus(tmp_path, {"leader": [[a]], "rest": [[b, c]]})
    result = corpus.run(
        MinHash(ngram=1, bands=2, rows=2, min_jaccard=0.75, scheme="datasketch", verify="estimate")
    )
    assert result.verdicts()[0] == [0]
    assert sum(result.verdicts()[1]) == 1
    assert result.column("cluster")[0] is None


def relatives(rng):
    """Texts a, b, c, d: b is like a, c and d like b and each other, but not like a."""
    a = document(rng, 120)
    b = edited(a, rng, 0.03)
    return [" ".join(words) for words in (a, b, *(edited(b, rng, 0.03) for _ in range(2)))]


def test_equal_texts_fall_where_others_have_their_signature_too(tmp_path):
    # Of few hashes many texts have all in common, and the first of them is like none.
    rng = np.random.default_rng(5)
    frame = " ".join(document(rng, 40))
    texts = [f"{frame} {' '.join(document(rng, 30))}" for _ in range(40)]
    result = Corpus(tmp_path, {"a": [texts], "b": [texts]}).run(MinHash(bands=1, rows=2))
    assert result.verdicts()[1] == [1] * 40


@pytest.mark.parametrize("limit", [0.6666666666666666, 0.7000000000000001, 1e-19])
def test_a_limit_of_many_digits_is_compared_exactly(tmp_path, limit):
    text = " ".join(f"w{n}" for n in range(2000))
    near = text + " and more"
    far = " ".join([f"w{n}" for n in range(1500)] + [f"v{n}" for n in range(500)])
    stage = MinHash(bands=100, rows=1, min_jaccard=limit)
    result = Corpus(tmp_path, {"a": [[text]], "b": [[near, far]]}).run(stage)
    assert result.verdicts() == [[0], [1, int(jaccard(text, far) >= limit)]]
    assert 0.59 < jaccard(text, far) < 0.61


@pytest.mark.parametrize("n_lots", [1, 3, 10, 40])
def test_lots_of_pairs_are_even_whoever_leads(tmp_path, n_lots):
    base = " ".join(f"w{n}" for n in range(60))
    texts = [base, *(f"{base} u{n}" for n in range(400))]
    result = Corpus(tmp_path, {"a": [texts[:1]], "b": [texts[1:]]}).run(MinHash(), axes={"verify": n_lots})
    sizes = [task.facts["n_pairs"] for task in result.tasks["verify"]]
    paths = [task.outputs["edges"].check(tmp_path) for task in result.tasks["match"]]
    pairs = [
        tuple(pair)
        for path in paths
        for pair in zip(read_arrays(path)["a"], read_arrays(path)["b"], strict=True)
    ]
    assert sum(sizes) == len(set(pairs))
    assert max(sizes) <= 1.3 * sum(sizes) / n_lots + 2 * MAX_LIKE
    assert sum(result.column("verdict")) == 400


@pytest.mark.parametrize("verify", ["exact", "estimate"])
def test_no_two_that_stay_are_alike_and_have_a_band_in_common(tmp_path, verify):
    rng = np.random.default_rng(17)
    families = [relatives(rng) for _ in range(60)]
    sources = {"first": [[family[0] for family in families]], "rest": [[*family[1:]] for family in families]}
    result = Corpus(tmp_path, sources).run(MinHash(bands=4, rows=5, scheme="datasketch", verify=verify))
    first, *rest = result.verdicts()
    n_of_two = 0
    for family, verdicts in zip(families, zip(first, *zip(*rest, strict=True), strict=True), strict=True):
        signed = [signature(text, ngram=5, n_hashes=20).reshape(4, 5) for text in family]
        for (i, a), (j, b) in combinations(enumerate(family), 2):
            n_bands = (signed[i] == signed[j]).all(axis=1).sum()
            alike = jaccard(a, b) if verify == "exact" else (signed[i] == signed[j]).mean()
            if n_bands and alike >= 0.7:
                assert verdicts[i] or verdicts[j]
        n_of_two += verdicts[:2] == (0, 1) and 0 in verdicts[2:]
    assert n_of_two > 3


def test_similarity_is_given_in_per_mille_and_close_to_the_true_one(tmp_path):
    first, second = planted(40, 0.02, seed=8)
    result = Corpus(tmp_path, {"a": [first], "b": [second]}).run(MinHash(verify="estimate"))
    pairs = zip(first, second, result.tables()[1].column("similarity").to_pylist(), strict=True)
    errors = [found / 1000 - jaccard(a, b) for a, b, found in pairs if found is not None]
    assert len(errors) > 30
    assert abs(np.mean(errors)) < 0.03
    assert max(map(abs, errors)) < 0.2
    assert set(result.tables()[0].column("similarity").to_pylist()) == {None}


def test_a_near_copy_falls_with_its_reason(tmp_path):
    text = " ".join(f"w{i}" for i in range(300))
    corpus = Corpus(tmp_path, {"a": [[text]], "b": [[text + " end", "unlike"]]})
    result = corpus.run(MinHash())
    assert result.verdicts() == [[0], [1, 0]]
    assert result.tally().dropped == {"minhash": {"near_duplicate": 1}}
    check_account(corpus, result)


def test_within_source_leaves_copies_in_other_sources(tmp_path):
    text = " ".join(f"w{i}" for i in range(300))
    corpus = Corpus(tmp_path, {"a": [[text, text]], "b": [[text], [text]]})
    assert sum(corpus.run(MinHash(within="source")).column("verdict")) == 2
    assert sum(corpus.run(MinHash(within="all")).column("verdict")) == 3


def test_documents_without_words_are_never_merged(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["", "", None, None, "...", "...", " ", " "]]})
    result = corpus.run(MinHash())
    assert sum(result.column("verdict")) == 0
    assert result.tasks["sign"][0].facts == {"n_signed": 0, "n_without_words": 8}


def test_the_longest_stays_where_it_is_asked_for(tmp_path):
    text = " ".join(f"w{i}" for i in range(300))
    corpus = Corpus(tmp_path, {"a": [[text]], "b": [[text + " and an end"]]})
    assert corpus.run(MinHash(keep="first")).verdicts() == [[0], [1]]
    assert corpus.run(MinHash(keep="longest")).verdicts() == [[1], [0]]


def test_max_cluster_counts_and_does_not_cut(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["one two three"] * 9 + ["four five six"] * 2]})
    result = corpus.run(MinHash(max_cluster=5))
    facts = result.tasks["cluster"][0].facts
    assert (facts["n_clusters"], facts["n_above_max"], facts["largest"][0][1]) == (2, 1, 9)
    assert sum(result.column("verdict")) == 9


@pytest.mark.parametrize("verify", ["exact", "none"])
def test_giant_clusters_stay_whole_where_it_is_asked_for(tmp_path, verify):
    corpus = Corpus(tmp_path, {"a": [["one two three"] * 9 + ["four five six"] * 2]})
    result = corpus.run(MinHash(max_cluster=5, giant="keep", verify=verify))
    verdicts = result.column("verdict")
    assert (sum(verdicts[:9]), sum(verdicts[9:])) == (0, 1)
    # They stay one cluster, of which the holdout takes all or none, though nobody fell for anybody.
    assert len(set(result.column("cluster")[:9])) == 1
    assert result.column("cluster_size")[:9] == [9] * 9
    assert result.column("keeper")[:9] == [None] * 9
    assert result.column("similarity")[:9] == [None] * 9
    assert result.tasks["cluster"][0].facts["n_above_max"] == 1
    with pytest.raises(ValidationError, match="expected `max_cluster: N` beside giant: keep"):
        MinHash(giant="keep")


def test_the_bytes_do_not_depend_on_the_order_of_units(tmp_path):
    first, second = planted(30, 0.02, seed=2)
    corpus = Corpus(tmp_path, {"a": [first[:9], first[9:]], "b": [second, first[:4]]})
    stage = MinHash(min_jaccard=0.6)
    wanted = corpus.run(stage).digests()
    for seed in range(2):
        assert corpus.run(stage, shuffle=seed).digests() == wanted


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
def test_clusters_and_verdicts_have_the_same_bytes_for_any_number_of_ranges(tmp_path, verify):
    first, second = planted(30, 0.04, seed=4)
    corpus = Corpus(tmp_path, {"a": [first[:9], [], first[9:] + first[:4]], "b": [second, first[:4]]})
    stage = MinHash(verify=verify, min_jaccard=0.6)
    found = set()
    for n, shuffle in ((1, None), (2, 1), (7, 2)):
        result = corpus.run(stage, axes={"match": stage.bands * n, "verify": n}, shuffle=shuffle)
        tasks = [task for phase in ("cluster", "verdict") for task in result.tasks[phase]]
        found.add(tuple(ref.digest for task in tasks for ref in task.outputs.values()))
    assert len(found) == 1
    assert sum(result.column("verdict")) > 15


def test_who_stays_depends_neither_on_parts_nor_on_buckets(tmp_path):
    first, second = planted(30, 0.03, seed=3)
    texts = [text for pair in zip(first, second, strict=True) for text in pair]
    whole = Corpus(tmp_path / "whole", {"a": [texts]})
    dealt = Corpus(tmp_path / "dealt", {"a": [texts[33:], [], texts[:5], texts[5:33]]})
    stage = MinHash(min_jaccard=0.6)
    kept = kept_ids(whole, whole.run(stage))
    assert len(kept) < 40
    assert kept == kept_ids(dealt, dealt.run(stage, axes={"match": 60, "verify": 3}))


def test_a_document_dropped_before_neither_joins_nor_bridges(tmp_path):
    text = " ".join(f"w{i}" for i in range(300))
    corpus = Corpus(tmp_path, {"a": [[text]], "b": [[text + " x", text + " y"]]})
    corpus.alive_rows[0][:] = False
    result = corpus.run(MinHash())
    assert result.verdicts()[0] == [0]
    assert sum(result.verdicts()[1]) == 1
    check_account(corpus, result)


def test_a_chain_is_one_cluster(tmp_path):
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join([*words[: 400 - 8 * k], *(f"x{i}" for i in range(8 * k))]) for k in range(20)]
    result = Corpus(tmp_path, {"a": [texts]}).run(MinHash(**FINEWEB))
    assert len(set(result.column("cluster"))) == 1
    assert min(s for s in result.column("similarity") if s is not None) < 800


def test_of_a_chain_nobody_falls_for_one_who_is_unlike_him(tmp_path):
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join([*words[: 400 - 25 * k], *(f"x{i}" for i in range(25 * k))]) for k in range(8)]
    corpus = Corpus(tmp_path, {"a": [[texts[k]] for k in (0, 2, 4)], "b": [[texts[k]] for k in (1, 3, 5)]})
    result = corpus.run(MinHash(min_jaccard=0.8))
    ids = [of for part in corpus.ids for of in part]
    text_of = dict(zip(ids, (texts[k] for k in (0, 2, 4, 1, 3, 5)), strict=True))
    rows = zip(text_of, result.column("keeper"), result.column("similarity"), strict=True)
    fallen = {text_of[of]: (text_of[keeper], found) for of, keeper, found in rows if keeper}
    assert set(fallen) == {texts[k] for k in (1, 3, 5)}
    for text, (keeper, found) in fallen.items():
        assert found == int(1000 * jaccard(text, keeper)) >= 800


def test_copies_of_one_that_falls_fall_with_it(tmp_path):
    words = [f"w{i}" for i in range(400)]
    near = " ".join([*words[:380], "end"])
    corpus = Corpus(tmp_path, {"a": [[" ".join(words)]], "b": [[near, near.upper(), near]]})
    result = corpus.run(MinHash())
    assert result.verdicts() == [[0], [1, 1, 1]]
    assert set(result.column("keeper")) == {None, corpus.ids[0][0]}
    assert set(result.column("cluster_size")) == {4}


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
def test_equal_texts_are_never_missed_however_many_lead_their_bands(tmp_path, verify):
    rng = np.random.default_rng(4)
    frame = [f"f{i}" for i in range(60)]
    texts = [" ".join([*frame, *document(rng, 60)]) for _ in range(60)]
    again = [texts[k] for k in rng.permutation(60)]
    corpus = Corpus(tmp_path, {"a": [texts], "b": [again, again]})
    result = corpus.run(MinHash(bands=40, rows=2, verify=verify))
    assert sum(result.verdicts()[1]) + sum(result.verdicts()[2]) == 120


def test_a_large_corpus_is_matched_in_more_ranges_of_keys(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["x"]]})
    match = MinHash().phases()[1]
    assert corpus._n_units(match, {}) == 16
    corpus.parts[0] = replace(corpus.parts[0], n_docs=DOCS_PER_BUCKET + 1)
    # Those that are compared take four times the memory.
    assert corpus._n_units(match, {}) == 5 * 16
    assert corpus._n_units(MinHash(verify="none").phases()[1], {}) == 2 * 16
    assert corpus._n_units(Exact().phases()[1], {}) == 2


@pytest.mark.parametrize("sources", [{}, {"a": []}, {"a": [[]]}, {"a": [[None, ""], []]}, {"a": [["one"]]}])
def test_corpora_with_next_to_nothing_in_them_work(tmp_path, sources):
    corpus = Corpus(tmp_path, sources)
    result = corpus.run(MinHash(min_jaccard=0.5))
    assert sum(result.column("verdict")) == 0
    check_account(corpus, result)


def test_signatures_of_two_schemes_are_refused(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["one two"], ["one two"]]})
    paths = []
    for seed in (1, 2):
        task = corpus.run(MinHash(seed=seed)).tasks["sign"][0]
        paths.append(tmp_path / f"{seed}.arrays")
        paths[-1].write_bytes(task.outputs["signatures"].check(tmp_path).read_bytes())
    with pytest.raises(FormatError, match=r"'seed': 1.*'seed': 2"):
        read_signatures(paths)


DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.real
@pytest.mark.parametrize(("number", "n_pairs"), [(100, 5), (1000, 10)])
def test_planted_articles_are_found_and_nothing_else(tmp_path, number, n_pairs):
    train = DATA / f"dedup/minhash-articles/articles_{number}.train"
    if not train.exists():
        pytest.skip("no ../shared/data")
    lines = [line.split(" ", 1) for line in train.read_text().splitlines() if line]
    names = [name for name, _ in lines]
    gold = {
        frozenset(line.split())
        for line in train.with_suffix(".truth").read_text().splitlines()
        if line.strip()
    }
    corpus = Corpus(tmp_path, {"a": [[text for _, text in lines]]})
    result = corpus.run(MinHash(bands=28, rows=4, min_jaccard=0.4))
    of = dict(zip(corpus.ids[0], names, strict=True))
    rows = zip(names, result.column("keeper"), strict=True)
    found = {frozenset((name, of[keeper])) for name, keeper in rows if keeper}
    assert len(gold) == n_pairs
    assert found == gold


@pytest.mark.real
def test_editions_of_a_book_are_one_cluster_and_a_listing_is_none_of_it(tmp_path):
    folder = DATA / "gutenberg/en-editions-of-1342"
    if not folder.exists():
        pytest.skip("no ../shared/data")
    paths = sorted(folder.glob("*.txt"))
    texts = [p.read_bytes().decode("utf-8", "replace") for p in paths]
    result = Corpus(tmp_path, {"a": [texts]}).run(MinHash())
    clusters = dict(zip((p.name for p in paths), result.column("cluster"), strict=True))
    assert clusters.pop("pandp09.txt") is None
    assert len(set(clusters.values())) == 1


@pytest.mark.real
def test_natural_duplicates_of_gutenberg_fall_in_pairs(tmp_path):
    folder = DATA / "gutenberg/en-natural-duplicates"
    if not folder.exists():
        pytest.skip("no ../shared/data")
    pairs = [line.split("\t")[1:] for line in (folder / "PAIRS.tsv").read_text().splitlines()[1:]]
    texts = [[(folder / name).read_bytes().decode("utf-8", "replace") for name in pair] for pair in pairs]
    result = Corpus(tmp_path, {"a": texts}).run(MinHash())
    assert [sum(part) for part in result.verdicts()] == [1] * len(pairs)
    for table in result.tables():
        assert len(set(table.column("cluster").to_pylist())) == 1


@given(st.lists(st.lists(st.integers(0, 40), max_size=20).map(sorted), max_size=4), st.integers(1, 9))
def test_cuts_between_lots_stand_where_counting_puts_them(tmp_path_factory, members, n_lots):
    folder = tmp_path_factory.mktemp("lots")
    columns = []
    for number, each in enumerate(members):
        with (folder / f"{number}.arrays").open("wb") as file:
            write_arrays(file, {"a": np.array(each, dtype=np.int64)})
        columns.append(read_arrays(folder / f"{number}.arrays").column("a"))
    every = sorted(ordinal for each in members for ordinal in each)
    for lot in range(n_lots + 1):
        wanted = -(-len(every) * lot // n_lots)
        least = next(at for at in range(42) if sum(ordinal < at for ordinal in every) >= wanted)
        assert member_at(columns, lot, of=n_lots) == least
