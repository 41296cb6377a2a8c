"""Corpora drawn by hypothesis, and a gather's verdicts as the twins spell theirs."""

from hypothesis import strategies as st

from tests.kernels.texts import texts
from tests.oracles.gather_twins import Doc

some = st.sampled_from([None, "", " ", "a b", "A  b!", "a b ", "c", "...", "中文", "中 文"]) | texts
parts = st.lists(st.lists(some, max_size=8), max_size=3)
corpora = st.fixed_dictionaries({"web": parts, "books": parts})


def as_docs(corpus):
    ranks = {source: rank for rank, source in enumerate(corpus.sources)}
    sources = [source for source, parts in corpus.sources.items() for _ in parts]
    given = [part for parts in corpus.sources.values() for part in parts]
    listed = zip(sources, corpus.ids, given, strict=True)
    return [Doc(ranks[s], i, t) for s, ids, part in listed for i, t in zip(ids, part, strict=True)]


def keepers(corpus, result):
    """The cluster of every document that has one, checked against verdict and keeper."""
    found = {}
    clusters, named = result.column("cluster"), result.column("keeper")
    verdicts = result.column("verdict")
    for doc, cluster, keeper, verdict in zip(as_docs(corpus), clusters, named, verdicts, strict=True):
        assert bool(verdict) == (keeper is not None) == (cluster not in (None, doc.id))
        assert keeper in (None, cluster)
        if cluster is not None:
            found[doc.id] = cluster
    return found
