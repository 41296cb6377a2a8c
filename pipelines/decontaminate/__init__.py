"""Documents that hold pieces of benchmarks, found by shared runs of words.

benchmarks.py   the items of a benchmark file and the strings in them
stage.py        Decontaminate: index, verdict, and the report that goes into the corpus manifest
"""

from pipelines.decontaminate.stage import Decontaminate, benchmark_report

__all__ = ["Decontaminate", "benchmark_report"]
