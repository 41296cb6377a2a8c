"""What is finished and what is not in a corpus folder.

    runs/plan.json     the newest plan: steps, units, keys        (absent: the corpus is only being read here)
    receipts/          a receipt for every finished unit          key done <=> receipt there, outputs of their size,
                                                                 made from the parts that stand
    corpus.json        the newest finished corpus
    sample/            the newest finished sample (`quern build --sample`), read as DIR/sample

It reads and changes nothing, so it may be asked while a build is at work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corpus_tools.screen import size, table
from manifests.corpus import CorpusManifest, is_corpus
from manifests.digest import digest_value
from manifests.errors import MissingFileError, UsageError
from manifests.nearby import did_you_mean_path
from pipelines.store import PLAN, Receipts, read_plan

__all__ = ["done_rows", "look", "status_text"]


def look(folder: Path) -> dict[str, Any]:
    """The newest finished corpus and sample of a folder, and the newest plan's steps with how many units are done.

    plan: `read`, `absent` or `unreadable`; without one, what stands is known and what is left to do is not.

    Raises: MissingFileError when nothing of it is there; UsageError for a file; DamageError for a damaged manifest.
    """
    if folder.is_file():
        raise UsageError(
            f"{folder}: expected a corpus folder, got a file. What is finished stands in a folder: name the one that "
            "`quern build` writes, corpora/NAME by default. `quern plan RECIPE` says what is done of a recipe."
        )
    found = {"corpus": _corpus(folder), "sample": _corpus(folder / "sample")}
    is_there = (folder / PLAN).is_file()
    plan = read_plan(folder)
    if not is_there and not any(found.values()):
        near = did_you_mean_path(str(folder), fits=_is_begun)
        raise MissingFileError(
            f"{folder}: expected a corpus folder, found neither corpus.json nor {PLAN}{near or '.'} "
            f"`quern build RECIPE --out {folder}` makes one."
        )
    newest = found["sample" if (plan and plan["sample"]) or not found["corpus"] else "corpus"]
    return {
        "folder": str(folder),
        **found,
        "finished": newest is not None and (plan["key"] == newest["key"] if plan else not is_there),
        "plan": "read" if plan else "unreadable" if is_there else "absent",
        "steps": done_rows(folder, plan["steps"]) if plan else [],
    }


def _is_begun(folder: Path) -> bool:
    return is_corpus(folder) or (folder / PLAN).is_file()


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


def done_rows(folder: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of a plan, each with `done`, how many of its units are, and its state: new, begun or done."""
    receipts = Receipts(folder)
    made: dict[str, str] = {}
    told, final = [], []
    for row in rows:
        if row.get("units") is None:
            told.append({**row, "done": None, "state": _gather_state(receipts, row, digest_value(final))})
            continue
        found = [receipts.get(key, made.get(up)) for key, up in zip(row["keys"], row["parents"], strict=True)]
        made |= {r.key: r.outputs["part"].digest for r in found if r}
        final += [r.outputs["part"].digest for r in found if r and row["final"]]
        done = sum(r is not None for r in found)
        told.append(
            {**row, "done": done, "state": "done" if done == row["units"] else "begun" if done else "new"}
        )
    return told


def _gather_state(receipts: Receipts, row: Mapping[str, Any], given: str) -> str:
    # How many tasks a gather has is known when it runs; it is done when its receipts are packed.
    if receipts.finished_gather(row["key"], given, row["phases"]) is not None:
        return "done"
    return "begun" if receipts.begun(row["key"]) else "new"


def status_text(state: Mapping[str, Any]) -> str:
    """The state as a page."""
    lines = [f"{state['folder']}: {_verdict(state)}"]
    for what in ("corpus", "sample"):
        if (corpus := state[what]) is not None:
            counts = (
                f"{corpus['documents']:,} documents, {corpus['tokens']:,} tokens, {size(corpus['bytes'])}"
            )
            place = "" if what == "corpus" else f" in {state['folder']}/sample"
            lines.append(f"newest {what} {corpus['name']} {corpus['digest']}{place}: {counts}")
            lines += [f"missing: {unit}" for unit in corpus["missing_units"]]
    columns = ("step", "source", "kind", "done", "units", "state")
    return (
        "\n".join(lines)
        + "\n"
        + (table(state["steps"], columns, title="\nnewest plan") if state["steps"] else "")
    )


def _verdict(state: Mapping[str, Any]) -> str:
    if state["plan"] == "unreadable":
        return f"{PLAN} is damaged, so what is left to do is not known; the next build writes it anew"
    if not state["finished"]:
        return "not finished; the same build goes on"
    return "finished" if state["corpus"] else "a sample is finished, and no whole corpus"
