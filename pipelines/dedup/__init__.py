"""Duplicates: found across every source, judged by verdicts, never by copying text.

arrays.py      the files between phases: named arrays behind a small header, read through mmap
texts.py       the texts of a part in pieces of bounded size
repeats.py     entries of many sorted files that share a key, one range of keys at a time
members.py     who belongs to which cluster, and the verdicts that follow
exact.py       Exact: equal texts
exact_lines.py ExactLines: equal lines and paragraphs, cut out
editions.py    Editions: files of one book
signatures.py  MinHash signatures and their comparison
ranks.py       who is better: the longest, the newest, the one with the highest score
against.py     finished corpora that new documents are compared with
compared.py    all documents of one comparison, by ordinal
candidates.py  who is compared with whom
evidence.py    pairs compared by all their shingles
clusters.py    who falls for whom
minhash.py     MinHash: texts that share most of their word n-grams
"""

from pipelines.dedup.editions import Editions
from pipelines.dedup.exact import Exact
from pipelines.dedup.exact_lines import ExactLines
from pipelines.dedup.minhash import MinHash

__all__ = ["Editions", "Exact", "ExactLines", "MinHash"]
