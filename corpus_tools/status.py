"""What is finished and what is not in a corpus folder.

    runs/plan.json     the newest plan: steps, units, keys        (absent: the corpus is only being read here)
    receipts/          a receipt for every finished unit          key done <=> receipt there, outputs of their size,
                                                                 made from the parts that stand
    corpus.json        the newest finished corpus

It reads and changes nothing, so it may be asked while a build is at work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corpus_tools.screen import size, table
from manifests.corpus import CorpusManifest
from manifests.digest import digest_value
from manifests.errors import DamageError, MissingFileError
from manifests.receipt import Receipt, read_pack

__all__ = ["done_rows", "look", "status_text"]

_Known = dict[str, list[Receipt]]


def look(folder: Path) -> dict[str, Any]:
    """The newest finished corpus of a folder, and the newest plan's steps with how many units are done.

    Raises: MissingFileError when neither is there; DamageError for a damaged manifest.
    """
    corpus, plan = _corpus(folder), _plan(folder)
    if corpus is None and plan is None:
        raise MissingFileError(
            f"{folder}: expected a corpus folder, found neither corpus.json nor runs/plan.json. "
            f"`quern build RECIPE --out {folder}` makes one."
        )
    steps = done_rows(folder, plan["steps"]) if plan else []
    return {
        "folder": str(folder),
        "corpus": corpus,
        "finished": corpus is not None and (plan is None or plan.get("key") in (None, corpus["key"])),
        "steps": steps,
    }


def _corpus(folder: Path) -> dict[str, Any] | None:
    if not (folder / "corpus.json").is_file():
        return None
    manifest = CorpusManifest.read(folder)
    return {
        "name": manifest.name,
        "digest": manifest.digest,
        "key": manifest.key,
        "documents": sum(p.n_docs for p in manifest.parts if p.final) - _n_dropped(manifest),
        "tokens": sum(p.n_tokens for p in manifest.partitions),
        "bytes": sum(ref.size for _, ref in manifest.files()),
        "missing_units": manifest.missing,
    }


def _n_dropped(manifest: CorpusManifest) -> int:
    return sum(v.n_dropped for v in manifest.verdicts if v.action == "drop")


def _plan(folder: Path) -> dict[str, Any] | None:
    path = folder / "runs" / "plan.json"
    if not path.is_file():
        return None
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {"steps": value}


def done_rows(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a plan, each with `done`, how many of its units are, and its state: new, begun or done."""
    known = _receipts(folder)
    made: dict[str, str] = {}
    told, final = [], []
    for row in rows:
        if row.get("units") is None:
            told.append(
                {**row, "done": None, "state": _gather_state(folder, row, known, digest_value(final))}
            )
            continue
        found = [
            _standing(folder, known, key, made.get(up))
            for key, up in zip(row["keys"], row["parents"], strict=True)
        ]
        made |= {r.key: r.outputs["part"].digest for r in found if r}
        final += [r.outputs["part"].digest for r in found if r and row["final"]]
        done = sum(r is not None for r in found)
        told.append(
            {**row, "done": done, "state": "done" if done == row["units"] else "begun" if done else "new"}
        )
    return told


def _standing(folder: Path, known: _Known, key: str, given: str | None) -> Receipt | None:
    """The receipt of a task whose outputs are there and which read the part that stands."""
    mine = (r for r in known.get(key, ()) if r.facts.get("given") == given)
    return next((r for r in mine if r.verifies(folder)), None)


def _gather_state(folder: Path, row: Mapping[str, Any], known: _Known, given: str) -> str:
    # How many tasks a gather has is known when it runs; it is done when its receipts are packed.
    mine = [r for found in known.values() for r in found if r.step_key == row["key"]]
    good = all(r.verifies(folder) and r.facts.get("given") == given for r in mine)
    packed = (folder / "receipts" / f"{row['key']}.jsonl").is_file() and good
    return "done" if packed else "begun" if mine else "new"


def _receipts(folder: Path) -> _Known:
    """The receipts of a store by task key; damaged ones count as not there."""
    found: _Known = {}
    for path in sorted((folder / "receipts").glob("*.json*")):
        for receipt in _read(folder, path):
            found.setdefault(receipt.key, []).append(receipt)
    return found


def _read(folder: Path, path: Path) -> list[Receipt]:
    try:
        if path.suffix == ".jsonl":
            return list(read_pack(path))
        receipt = Receipt.read(folder, path.stem)
    except DamageError:
        return []
    return [] if receipt is None else [receipt]


def status_text(state: Mapping[str, Any]) -> str:
    """The state as a page."""
    corpus = state["corpus"]
    lines = [
        f"{state['folder']}: {'finished' if state['finished'] else 'not finished; the same build goes on'}"
    ]
    if corpus is not None:
        counts = f"{corpus['documents']:,} documents, {corpus['tokens']:,} tokens, {size(corpus['bytes'])}"
        lines.append(f"newest corpus {corpus['name']} {corpus['digest']}: {counts}")
        lines += [f"missing: {unit}" for unit in corpus["missing_units"]]
    columns = ("step", "source", "kind", "done", "units", "state")
    return (
        "\n".join(lines)
        + "\n"
        + (table(state["steps"], columns, title="\nnewest plan") if state["steps"] else "")
    )
