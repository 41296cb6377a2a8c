"""A run's report: one HTML file with plots, figures and samples, readable offline and for ever.

    config.json, metrics.jsonl, samples.jsonl, references.json -> report.html     (tens of KB, no script)

Plots: loss, bits per byte of each source beside the lines to beat, learning rate, tokens a second. Written at
every checkpoint; it is a view, so deleting it loses nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from manifests.commit import commit_bytes
from trainer.charts import Level, Series, svg_chart, text_chart
from trainer.rundir import Run, read_json

__all__ = ["loss_curve_text", "report_html", "write_report"]

MAX_SAMPLES = 60

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.1rem;margin-top:2rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:currentColor}
svg .title{font-weight:600;font-size:13px}svg .y,svg .level{text-anchor:end}svg .x{text-anchor:middle}
svg .grid{stroke:currentColor;opacity:.15}svg path.level{stroke:currentColor;stroke-dasharray:5 4;opacity:.6}
svg .line{fill:none;stroke-width:1.6}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:right}
td:first-child,th:first-child{text-align:left}tr{border-bottom:1px solid #8884}
figure{margin:.6rem 0;padding:.5rem .8rem;border-left:3px solid #8886}figure b{font-weight:600}
figcaption{font-size:.85rem;opacity:.7}pre{white-space:pre-wrap;margin:.2rem 0}
"""


def write_report(run: Run) -> None:
    """Write the run's report.html from what stands on disk."""
    commit_bytes(run.path, "report.html", report_html(run).encode())


def report_html(run: Run) -> str:
    """The whole page."""
    steps, evaluations = run.metrics("step"), run.metrics("evaluate")
    references = read_json(run.path / "references.json")
    parts = [
        f"<h1>{escape(run.name)}</h1><p>{escape(_summary(run, steps, evaluations))}</p>",
        f'<div class="plots">{"".join(_plots(steps, evaluations, references))}</div>',
        _bpb_table(evaluations, references),
        _skips(steps),
        _samples(run.samples()),
        f"<h2>Configuration</h2><pre>{escape(json.dumps(run.config, indent=1, sort_keys=True))}</pre>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(run.name)}</title><style>{_STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def loss_curve_text(metrics: Sequence[dict[str, Any]]) -> str:
    """The loss of `metrics` lines over steps, for a terminal; empty where there is no step."""
    steps = [m for m in metrics if m.get("kind") == "step" and m["loss"] is not None]
    if not steps:
        return ""
    return (
        text_chart([m["step"] for m in steps], [m["loss"] for m in steps]) + "\n" + " " * 10 + "loss by step"
    )


def _summary(run: Run, steps: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]]) -> str:
    shape = run.shape
    done = steps[-1]["step"] if steps else run.origin.step
    before = f" (the first {run.origin.step:,} those of {run.origin.run})" if run.origin.run else ""
    parts = [
        f"{shape.n_params:,} parameters ({shape.layers} layers of width {shape.width}, vocabulary {shape.vocab:,})",
        f"{done:,} of {run.n_steps:,} steps of {run.tokens_per_step:,} tokens{before}",
    ]
    if evaluations and evaluations[-1]["macro"] is not None:
        parts.append(f"{evaluations[-1]['macro']:.3f} bits per byte held out")
    return ", ".join(parts) + "."


def _plots(
    steps: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]], references: dict[str, Any]
) -> Iterable[str]:
    tokens = [s["tokens"] for s in steps]
    yield svg_chart("Training loss, nats a token", [_series("loss", tokens, steps, "loss")], x_name="tokens")
    names = sorted({name for e in evaluations for name in e["bpb"]})
    curves = [
        Series(name, [e["tokens"] for e in evaluations], [_number(e["bpb"].get(name)) for e in evaluations])
        for name in names
    ]
    levels = [Level(_spoken(line), _mean(v.values())) for line, v in _lines(references) if line != "uniform"]
    yield svg_chart("Held-out bits per byte", curves, x_name="tokens", levels=levels)
    yield svg_chart("Learning rate", [_series("rate", tokens, steps, "lr")], x_name="tokens")
    yield svg_chart("Tokens a second", [_series("tokens/s", tokens, steps, "tokens_per_s")], x_name="tokens")


def _series(name: str, xs: Sequence[float], lines: Sequence[dict[str, Any]], key: str) -> Series:
    return Series(name, xs, [_number(line[key]) for line in lines])


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _lines(references: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    found: dict[str, dict[str, float]] = references.get("bpb", {})
    return sorted(found.items(), key=lambda item: -_mean(item[1].values()))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan


def _spoken(line: str) -> str:
    return {"unigram": "token unigram", "bigram": "token bigram"}.get(line, line.replace("_", " "))


def _bpb_table(evaluations: Sequence[dict[str, Any]], references: dict[str, Any]) -> str:
    if not evaluations:
        return ""
    last = evaluations[-1]
    names = sorted(last["bpb"])
    rows = [(_spoken(line), values) for line, values in _lines(references)]
    rows.append((f"this model, step {last['step']:,}", last["bpb"]))
    cells = "".join(
        f"<tr><td>{escape(label)}</td>"
        + "".join(f"<td>{_number(values.get(n)):.3f}</td>" for n in names)
        + f"<td>{_mean(_number(values.get(n)) for n in names):.3f}</td></tr>"
        for label, values in rows
    )
    head = "".join(f"<th>{escape(n)}</th>" for n in names)
    note = ""
    if references.get("counted_frac", 1.0) < 1:
        note = f"<p>The lines to beat were counted on {references['counted_frac']:.1%} of the training tokens.</p>"
    return (
        f"<h2>Bits per byte, held out</h2><table><tr><th></th>{head}<th>mean</th></tr>{cells}</table>{note}"
    )


def _skips(steps: Sequence[dict[str, Any]]) -> str:
    skipped = [s for s in steps if s["skipped"]]
    if not skipped:
        return ""
    listed = ", ".join(f"{s['step']} ({s['skipped']})" for s in skipped[:50])
    return f"<h2>Steps without an update</h2><p>{len(skipped)}: {escape(listed)}</p>"


def _samples(samples: Sequence[dict[str, Any]]) -> str:
    if not samples:
        return ""
    figures = "".join(
        f"<figure><figcaption>step {s['step']:,}</figcaption>"
        f"<pre><b>{escape(s['prompt'])}</b>{escape(s['text'])}</pre></figure>"
        for s in reversed(samples[-MAX_SAMPLES:])
    )
    return f"<h2>Samples, newest first</h2>{figures}"
