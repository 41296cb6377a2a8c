"""`quern mix check`: whether the corpora can feed a mix, as a table, before any GPU hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpus_tools.screen import table
from manifests.mixcheck import check
from manifests.mixfile import load_mix

__all__ = ["checked", "mix_text"]


def checked(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The mix's digest, rows and tokens, a row for every source, and remarks on what the mix leaves out.

    Raises: UsageError for whatever the trainer would refuse.
    """
    resolved = load_mix(path, overrides)
    mix = resolved.manifest
    rows = [asdict(row) for row in check(mix)]
    tokens = mix.n_rows * mix.seq_len
    facts = {"name": mix.name, "digest": mix.digest, "rows": mix.n_rows, "tokens": tokens, "sources": rows}
    return {**facts, "remarks": list(resolved.remarks)}


def mix_text(answer: Mapping[str, Any]) -> str:
    """The check as a table."""
    rows = [{**row, "licences": _shortened(row["licences"])} for row in answer["sources"]]
    head = f"{answer['name']}: {answer['tokens']:,} tokens in {answer['rows']:,} rows, mix {answer['digest']}"
    return "\n".join([table(rows, title=head), *answer["remarks"]])


def _shortened(licences: Mapping[str, int], at_most: int = 3) -> str:
    # The commonest first; a source of package descriptions names dozens, and --json has them all.
    named = sorted(licences, key=lambda name: (-licences[name], name))
    more = f" and {len(named) - at_most} more" if len(named) > at_most else ""
    return ", ".join(named[:at_most]) + more
