"""What is finished and what is not in a corpus folder.

    runs/plan.json     the newest plan: steps, units, keys        (absent: the corpus is only being read here)
    receipts/          a receipt for every finished unit          key done <=> receipt there, outputs of their size
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
from manifests.errors import DamageError, MissingFileError
from manifests.receipt import Receipt, read_pack

__all__ = ["done_rows", "finished", "look", "status_text"]


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
    known = finished(folder)
    return [{**row, **_progress(folder, row, known)} for row in rows]


def _progress(folder: Path, row: Mapping[str, Any], known: Mapping[str, Receipt]) -> dict[str, Any]:
    if row.get("units") is None:
        # How many tasks a gather has is known when it runs; it is done when its receipts are packed.
        mine = [r for r in known.values() if r.step_key == row["key"]]
        packed = (folder / "receipts" / f"{row['key']}.jsonl").is_file() and all(
            r.verifies(folder) for r in mine
        )
        return {"done": None, "state": "done" if packed else "begun" if mine else "new"}
    done = sum(key in known and known[key].verifies(folder) for key in row["keys"])
    return {"done": done, "state": "done" if done == row["units"] else "begun" if done else "new"}


def finished(folder: Path) -> dict[str, Receipt]:
    """The receipts of a store by task key; damaged ones count as not there."""
    found: dict[str, Receipt] = {}
    for path in sorted((folder / "receipts").glob("*.json*")):
        try:
            if path.suffix == ".jsonl":
                found.update((r.key, r) for r in read_pack(path))
            elif (receipt := Receipt.read(folder, path.stem)) is not None:
                found[receipt.key] = receipt
        except DamageError:
            continue
    return found


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
