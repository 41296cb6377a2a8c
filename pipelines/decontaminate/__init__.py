"""Documents in which items of benchmarks stand, found by their words.

benchmarks.py   the items of a benchmark file, the strings in them and what each is
layouts.py      which field of which file is what
coverage.py     most of an item's words together: what is looked for, and what is found
runs.py         any run of words: the same
evidence.py     what either says of a part; said.py what the items say, for whoever reads a verdict
stage.py        Decontaminate: index, verdict, and the report that goes into the corpus manifest
selftest.py     planted items, and how many of them are found
"""

from pipelines.decontaminate.stage import Decontaminate, benchmark_report

__all__ = ["Decontaminate", "benchmark_report"]
