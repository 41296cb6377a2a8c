"""The `quern` command: what each verb is called, what it takes, and an example that runs.

    quern VERB OBJECT [--options]      data on stdout, people on stderr, --json everywhere

    exit 0   fine                      exit 2          used wrong: nothing was touched
    exit 1   something found wrong     exit 130, 143   stopped; the same command goes on

Nothing heavy is imported before a verb runs: asking for help costs what click costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

__all__ = ["main"]

_FOLDER = _FILE = click.Path(path_type=Path)
_COUNT, _NOT_NEGATIVE = click.IntRange(min=1), click.FloatRange(min=0)


def _refusals() -> tuple[type[BaseException], ...]:
    from manifests.errors import QuernError

    return QuernError, KeyboardInterrupt, OSError


def _refuse(error: BaseException, verb: str | None) -> NoReturn:
    """End the command as its error asks; with QUERN_TRACEBACK=1 show where it was raised."""
    from corpus_tools.screen import note, refused_by_the_system

    if os.environ.get("QUERN_TRACEBACK") == "1" or isinstance(error, BrokenPipeError):
        raise error  # a reader that went away, as `head` does, is click's to end quietly
    text = str(error)
    if isinstance(error, KeyboardInterrupt):
        text = "Stopped. The same command goes on from here."
    elif isinstance(error, OSError):
        text = refused_by_the_system(error, verb)
    note("\n".join([text, *getattr(error, "__notes__", [])]))
    code = 1 if isinstance(error, OSError) else 130
    raise SystemExit(getattr(error, "exit_code", code)) from None


class _Verbs(click.Group):
    """Verbs in the order of a day's work; a refusal is told in words, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except _refusals() as error:  # evaluated, and so imported, only when something was raised
            _refuse(error, ctx.invoked_subcommand)


class _Seconds(click.ParamType):  # type: ignore[type-arg]
    """A span of time above 0: 90, 90s, 2m, 1h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        digits, unit = (value, "s") if value[-1:].isdigit() else (value[:-1], value[-1:])
        try:
            seconds = float(digits) * {"s": 1, "m": 60, "h": 3600}[unit]
        except (ValueError, KeyError):
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f'expected a time such as 60s, 2m or 1h, got "{value}"', param, ctx)
        return seconds


def _json(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")(function)


def _set(function: Callable[..., Any]) -> Callable[..., Any]:
    text = "Set a key of the file, as if it stood there; may be given again."
    return click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help=text)(function)


def _number(*names: str, kind: Any, default: float, text: str) -> Callable[..., Any]:
    return click.option(*names, type=kind, default=default, show_default=True, help=text)


def _allow_code(function: Callable[..., Any]) -> Callable[..., Any]:
    text = "Run the stages that the recipe takes from files of its own."
    return click.option("--allow-code", is_flag=True, help=text)(function)


def _example(*lines: str) -> str:
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def _finish(*, wrong: bool) -> None:
    sys.exit(1 if wrong else 0)


@click.group(
    cls=_Verbs,
    context_settings={"max_content_width": 100},
    epilog=_example("quern demo", "quern init book.txt  &&  quern build recipe.yaml"),
)
@click.version_option(package_name="quern", prog_name="quern")
def main() -> None:
    """Grinds raw crawls and book dumps into token shards, and trains language models on them."""


# --- starting --------------------------------------------------------------------------------------


@main.command("demo", epilog=_example("quern demo --out quern-demo"))
@click.option(
    "--out", type=_FOLDER, default=Path("quern-demo"), show_default=True, help="The folder to work in."
)
def _demo(out: Path) -> None:
    """A crawl to a sampling model, offline, in minutes; prints every command before it runs."""
    from corpus_tools.demo import run_demo

    run_demo(out)


@main.command("init", epilog=_example("quern init --list", "quern init book.txt --out my-book"))
@click.argument("what", nargs=-1, metavar="NAME|FILES...")
@click.option(
    "--out", type=_FOLDER, help="Folder for the files; a NAME alone is printed unless this is given."
)
@click.option("--list", "list_shipped", is_flag=True, help="Show the recipes that are shipped.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@_json
def _init(what: tuple[str, ...], out: Path | None, *, list_shipped: bool, force: bool, as_json: bool) -> None:
    """Write recipe.yaml, mix.yaml and train.yaml, commented and fitted to the data."""
    from corpus_tools import init
    from corpus_tools.screen import emit

    if list_shipped:
        emit(init.shipped(), as_json=as_json, text=init.shipped_text())
    elif not what:
        raise click.UsageError("Name a shipped recipe (quern init --list) or some files.")
    else:
        written = init.write_files(list(what), out, force=force)
        emit(written.as_json(), as_json=as_json, text=written.text())


@main.command("doctor", epilog=_example("quern doctor", "quern doctor --json"))
@_json
def _doctor(*, as_json: bool) -> None:
    """Look for what would break a build or a run on this machine; exit 1 when something is wrong."""
    from corpus_tools import doctor
    from corpus_tools.screen import emit

    findings = doctor.examine()
    emit([f.as_json() for f in findings], as_json=as_json, text=doctor.report(findings))
    _finish(wrong=any(f.state == "wrong" for f in findings))


# --- building --------------------------------------------------------------------------------------


@main.command("plan", epilog=_example("quern plan recipe.yaml", "quern plan recipe.yaml --probe 60s"))
@click.argument("recipe", type=_FILE)
@click.option("--out", type=_FOLDER, help="The corpus folder; corpora/NAME by default.")
@click.option("--sample", metavar="SHARE", help="Plan a sample of the units, such as 0.1%.")
@click.option("--probe", type=_Seconds(), help="Run a few units for this long and reckon time and disk.")
@_allow_code
@_set
@_json
def _plan(recipe: Path, out: Path | None, *, probe: float | None, as_json: bool, **options: Any) -> None:
    """What a build would do: every step, done or new, with its files, units and bytes."""
    from corpus_tools import building
    from corpus_tools.screen import emit

    plan = building.planned(recipe, out, **options)
    answer = building.describe(plan, probe_seconds=probe)
    emit(answer, as_json=as_json, text=building.plan_text(answer))


@main.command(
    "build", epilog=_example("quern build recipe.yaml", "quern build recipe.yaml --sample 5% --workers 2")
)
@click.argument("recipe", type=_FILE)
@click.option("--out", type=_FOLDER, help="The corpus folder; corpora/NAME by default.")
@click.option("--sample", metavar="SHARE", help="Take this share of the units through the whole path.")
@click.option("--workers", type=_COUNT, help="Child processes; by default what cores and memory allow.")
@click.option(
    "--memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GB",
    help="Memory that all workers together may use.",
)
@click.option(
    "--measure-all", is_flag=True, help="Take every document through every step, for `quern whatif`."
)
@click.option("--keep", is_flag=True, help="Keep what one step wrote for another.")
@_allow_code
@_set
@_json
def _build(recipe: Path, out: Path | None, *, sample: str | None, as_json: bool, **options: Any) -> None:
    """Build a corpus, or go on with one: finished units are never done again."""
    from corpus_tools import building
    from corpus_tools.screen import emit

    given = {name: options.pop(name) for name in ("overrides", "measure_all", "allow_code")}
    plan = building.planned(recipe, out, sample=sample, **given)
    answer = building.run_build(plan, memory_gb=options.pop("memory"), **options)
    emit(answer, as_json=as_json, text=building.build_text(answer))


@main.command("status", epilog=_example("quern status corpora/web"))
@click.argument("folder", type=_FOLDER, metavar="DIR")
@_json
def _status(folder: Path, *, as_json: bool) -> None:
    """What is finished and what is not in a corpus folder."""
    from corpus_tools import status
    from corpus_tools.screen import emit

    state = status.look(folder)
    emit(state, as_json=as_json, text=status.status_text(state))


# --- asking ----------------------------------------------------------------------------------------


@main.command("verify", epilog=_example("quern verify corpora/web --deep"))
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option("--deep", is_flag=True, help="Read every byte: digests, shards, Parquet pages.")
@_json
def _verify(folder: Path, *, deep: bool, as_json: bool) -> None:
    """Whether a corpus is what its manifest says; exit 1 when anything is not."""
    from corpus_tools import verify
    from corpus_tools.screen import emit

    verdict = verify.verify_corpus(folder, deep=deep)
    emit(verdict.as_json(), as_json=as_json, text=verdict.text())
    _finish(wrong=bool(verdict.findings))


@main.command(
    "whatif",
    epilog=_example(
        "quern whatif corpora/web --set gopher_quality.min_words=60 --set language.min_score=0.8"
    ),
)
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option(
    "--set", "overrides", multiple=True, metavar="STEP.KEY=VALUE", help="A limit to move; may be given again."
)
@_json
def _whatif(folder: Path, *, overrides: tuple[str, ...], as_json: bool) -> None:
    """What other limits of rules would have kept, from the values saved by `quern build --measure-all`."""
    from corpus_tools.screen import emit
    from corpus_tools.whatif import whatif, whatif_text

    answer = whatif(folder, overrides).as_json()
    emit(answer, as_json=as_json, text=whatif_text(answer))


@main.command("audit", epilog=_example("quern audit corpora/web", "quern audit corpora/web --clusters 5"))
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.option(
    "--clusters",
    "n_clusters",
    type=_COUNT,
    metavar="N",
    help="Show N duplicates' clusters of a step, side by side.",
)
@click.option(
    "--contaminated",
    "n_items",
    type=_COUNT,
    metavar="N",
    help="Show N benchmark items beside the passages found.",
)
@_json
def _audit(folder: Path, *, n_clusters: int | None, n_items: int | None, as_json: bool) -> None:
    """What a corpus is made of: every step's account, drop reasons, sources, languages, tokens, lengths."""
    from corpus_tools import audit
    from corpus_tools.screen import emit

    if n_clusters is None and n_items is None:
        answer = audit.audit_corpus(folder)
        emit(answer, as_json=as_json, text=audit.audit_text(answer))
    else:
        found = audit.audit_examples(folder, n_clusters=n_clusters, n_items=n_items)
        emit(audit.examples_as_json(found), as_json=as_json, text=audit.examples_text(found))


@main.command("explain", epilog=_example("quern explain corpora/web https://example.org/page"))
@click.argument("folder", type=_FOLDER, metavar="DIR")
@click.argument("document", metavar="DOC")
@_number("--max", "at_most", kind=_COUNT, default=10, text="Documents shown when several match.")
@_json
def _explain(folder: Path, document: str, *, at_most: int, as_json: bool) -> None:
    """One document's life. DOC is an id (or 8 digits of it), a URL, a ref, or the start of a path."""
    from corpus_tools import explain
    from corpus_tools.screen import emit

    lives = explain.explain(folder, document, at_most=at_most)
    emit([life.as_json() for life in lives], as_json=as_json, text="\n".join(life.text() for life in lives))


@main.command(
    "trace", epilog=_example("quern trace runs/book --step 200", "quern trace runs/book --step 200:210")
)
@click.argument("run", type=_FOLDER)
@click.option(
    "--step", "steps", metavar="N[:M]", help="The documents that steps N up to M (not M itself) read."
)
@click.option(
    "--doc",
    "document",
    metavar="ID",
    help="The steps that read a document (an id, 8 digits of it, or a URL).",
)
@_json
def _trace(run: Path, *, steps: str | None, document: str | None, as_json: bool) -> None:
    """Which documents a step of a run read, or which steps read a document."""
    from corpus_tools import trace
    from corpus_tools.screen import emit

    if (steps is None) == (document is None):
        raise click.UsageError("Give either --step N[:M] or --doc ID.")
    rows = trace.trace_steps(run, steps) if steps is not None else trace.trace_document(run, str(document))
    emit(rows, as_json=as_json, text=trace.trace_text(rows))


# --- training --------------------------------------------------------------------------------------


@main.group("mix", epilog=_example("quern mix check mix.yaml"))
def _mix() -> None:
    """Which tokens a run may see, and in which shares."""


@_mix.command("check", epilog=_example("quern mix check mix.yaml"))
@click.argument("mix", type=_FILE)
@_set
@_json
def _mix_check(mix: Path, *, overrides: tuple[str, ...], as_json: bool) -> None:
    """Tokens there, tokens wanted, epochs and verdict of every source; the gate the trainer itself runs."""
    from corpus_tools import mixing
    from corpus_tools.screen import emit

    answer = mixing.checked(mix, overrides)
    emit(answer, as_json=as_json, text=mixing.mix_text(answer))


@main.command(
    "train",
    epilog=_example("quern train train.yaml", "quern train train.yaml --set seed=2 --out runs/seed-2"),
)
@click.argument("config", type=_FILE)
@click.option("--out", type=_FOLDER, help="The run's folder; runs/NAME by default.")
@click.option("--fork", metavar="NAME", help="Start a new run from the newest checkpoint of this one.")
@_set
@_json
def _train(
    config: Path, *, out: Path | None, fork: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Train a model, or go on with a run that was stopped."""
    from corpus_tools import training
    from corpus_tools.screen import emit

    answer = training.trained(config, out, fork=fork, overrides=overrides)
    emit(answer, as_json=as_json, text=training.train_text(answer))


@main.command("sample", epilog=_example('quern sample runs/book "It is a truth universally acknowledged"'))
@click.argument("run", type=_FOLDER)
@click.argument("prompts", nargs=-1, metavar="[PROMPT]...")
@_number("--tokens", "n_tokens", kind=_COUNT, default=200, text="Tokens to write at most.")
@_number("--temperature", kind=_NOT_NEGATIVE, default=0.8, text="0 takes the likeliest token each time.")
@_number("--top-k", kind=_COUNT, default=50, text="Choose among this many tokens.")
@click.option("--seed", default=1, show_default=True, help="The same seed writes the same text.")
@_json
def _sample(run: Path, prompts: tuple[str, ...], *, as_json: bool, **options: Any) -> None:
    """Let the newest checkpoint of a run write on from each PROMPT."""
    from corpus_tools import training
    from corpus_tools.screen import emit

    rows = training.sampled(run, prompts, **options)
    emit(rows, as_json=as_json, text=training.sample_text(rows))


if __name__ == "__main__":
    main()
