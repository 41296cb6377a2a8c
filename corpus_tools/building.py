"""`quern plan` and `quern build`: what the pipelines are asked, and how their answers are shown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus_tools.progress import clock, progress
from corpus_tools.screen import size, table
from corpus_tools.status import done_rows
from manifests.corpus import CorpusManifest
from manifests.errors import UsageError
from manifests.mistakes import shown
from manifests.quantities import parse_percent
from manifests.yamlfile import load_yaml

if TYPE_CHECKING:
    from pipelines.plan import Plan

__all__ = ["build_text", "describe", "plan_text", "planned", "run_build"]


def planned(
    recipe: Path,
    out: Path | None,
    *,
    overrides: Sequence[str] = (),
    sample: str | None = None,
    measure_all: bool = False,
    allow_code: bool = False,
) -> Plan:
    """The plan of a recipe; its folder is corpora/NAME unless `out` names another.

    Raises: RecipeError, UsageError.
    """
    from pipelines.plan import make_plan

    return make_plan(
        recipe,
        out or _default_out(recipe, overrides, allow_code=allow_code),
        overrides=overrides,
        sample=_share(sample),
        measure_all=measure_all,
        allow_code=allow_code,
    )


def _share(sample: str | None) -> Fraction | None:
    if sample is None:
        return None
    try:
        share = parse_percent(sample)
    except ValueError as error:
        raise UsageError(
            f"--sample {sample}: {error}. Nothing was built. Write a share such as 5% or 0.1%."
        ) from error
    if share == 0:
        raise UsageError(
            f"--sample {sample}: expected a share above 0%, which holds no unit. Nothing was built. Write one such as "
            "5% or 0.1%."
        )
    return share


def _default_out(recipe: Path, overrides: Sequence[str], *, allow_code: bool) -> Path:
    from pipelines.recipe import load_recipe

    value, positions = load_yaml(recipe)
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
        load_recipe(recipe, overrides, allow_code=allow_code)  # tells whatever else is wrong beside it
        got = "an empty file" if value is None else "none" if name is None else shown(name)
        raise UsageError(
            f"{positions.file}:1:1: expected a `name:` for the corpus, got {got}. It names the folder "
            "corpora/NAME. Add one, or give --out DIR."
        )
    return Path("corpora") / name


def describe(plan: Plan, *, probe_seconds: float | None) -> dict[str, Any]:
    """The plan's steps with what is done of them, and with a probe what the whole build will cost."""
    answer: dict[str, Any] = {"out": str(plan.root), "steps": done_rows(plan.root, plan.describe())}
    if probe_seconds is not None:
        from pipelines.probe import probe

        # A build from nothing imports, plans and digests its input as this command did.
        before = time.process_time()
        with progress() as show:
            answer["probe"] = probe(plan, probe_seconds, before=before, on_event=show).as_json()
    return answer


def plan_text(answer: Mapping[str, Any]) -> str:
    """The plan as a table, the probe's figures below it."""
    rows = [
        {
            "step": row["step"],
            "source": row.get("source"),
            "does": ", ".join(row.get("steps") or [row["kind"]]),
            "units": row.get("units"),
            "done": row["done"],
            "input": size(row["bytes"]) if row.get("bytes") is not None else None,
            "state": row["state"],
        }
        for row in answer["steps"]
    ]
    return table(rows, title=f"into {answer['out']}") + (
        _probe_text(answer["probe"]) if "probe" in answer else ""
    )


def _probe_text(probe: Mapping[str, Any]) -> str:
    rows = [
        {
            "step": step["step"],
            "core seconds": round(step["core_seconds"], 1),
            "writes": size(step["n_bytes"]),
            "stays": step["stays"],
        }
        for step in probe["steps"]
    ]
    whole = (
        f"the whole build: {clock(probe['seconds'])} with {probe['workers']} workers, {size(probe['peak_bytes'])} "
        f"of disk at its peak, {size(probe['final_bytes'])} in the end (from samples of up to {probe['share']})\n"
    )
    return "\n" + table(rows) + whole


def run_build(plan: Plan, **options: Any) -> dict[str, Any]:
    """Build, showing progress on stderr; returns what was built.

    Raises: QuernError; Stopped after a signal, ready to go on.
    """
    from pipelines.executor import build

    units = Counter[str]()

    def count_and_show(event: Mapping[str, Any]) -> None:
        units["new"] += event["kind"] == "unit_done"
        units["stood"] += event["n_done"] if event["kind"] == "step" else 0
        show(event)

    with progress() as show:
        path = build(plan, on_event=count_and_show, **options)
    manifest = CorpusManifest.read(path)
    dropped = sum(v.n_dropped for v in manifest.verdicts if v.action == "drop")
    return {
        "manifest": str(path),
        "digest": manifest.digest,
        "documents": sum(p.n_docs for p in manifest.parts if p.final) - dropped,
        "tokens": sum(p.n_tokens for p in manifest.partitions),
        "steps": [
            {"step": s.name, "source": s.source, "read": s.n_read, "kept": s.n_kept, "dropped": s.dropped}
            for s in manifest.steps
        ],
        "missing_units": manifest.missing,
        "new_units": units["new"],
        "standing_units": units["stood"],
    }


def build_text(answer: Mapping[str, Any]) -> str:
    """What was built: every step's account, then the manifest."""
    rows = [{**row, "dropped": _reasons(row["dropped"])} for row in answer["steps"]]
    counts = f"{answer['documents']:,} documents, {answer['tokens']:,} tokens"
    missing = "".join(f"missing: {unit}\n" for unit in answer["missing_units"])
    whole = f"\n{answer['manifest']}  {answer['digest']}  {counts}\n"
    return table(rows) + missing + whole + _standing_text(answer)


def _standing_text(answer: Mapping[str, Any]) -> str:
    # Only their sizes were looked at: damage that keeps the size would go unseen in a build that finds most done.
    if answer["standing_units"] <= answer["new_units"]:
        return ""
    return (
        f"{answer['standing_units']:,} units stood already, and their files were not read again; "
        f"`quern verify --deep {Path(answer['manifest']).parent}` reads them\n"
    )


def _reasons(dropped: Mapping[str, int]) -> str:
    heaviest = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {n:,}" for reason, n in heaviest)
