"""Duplicates: found across every source, judged by verdicts, never by copying text.

arrays.py      the files between phases: named arrays behind a small header, read through mmap
texts.py       the texts of a part in pieces of bounded size
repeats.py     entries of many sorted files that share a key, one range of keys at a time
members.py     who belongs to which cluster, and the verdicts that follow
exact.py       Exact: equal texts
editions.py    Editions: files of one book
signatures.py  MinHash signatures and their comparison
minhash.py     MinHash: texts that share most of their word n-grams
"""

from pipelines.dedup.editions import Editions
from pipelines.dedup.exact import Exact
from pipelines.dedup.minhash import MinHash

__all__ = ["Editions", "Exact", "MinHash"]
