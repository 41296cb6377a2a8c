"""Line charts as inline SVG, and one for a terminal. No script, no fonts, nothing loaded from elsewhere.

Series("loss", xs, ys) ... -> svg_chart(...) -> "<svg ...>"        text_chart(xs, ys) -> "9.7 |*..."
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Level", "Series", "svg_chart", "text_chart", "thinned", "ticks"]

WIDTH, HEIGHT = 680, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 30, 38
# Okabe and Ito's eight colours, which people who do not see all colours can tell apart; yellow left out.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
MAX_POINTS = 600


class Series(NamedTuple):
    """One line: its name and its points, ascending in x."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


class Level(NamedTuple):
    """One horizontal line to compare with."""

    name: str
    y: float


class _Frame(NamedTuple):
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def thinned(series: Series, max_points: int = MAX_POINTS) -> Series:
    """`series` as at most `max_points` points, each the mean of its neighbours."""
    n = len(series.xs)
    if n <= max_points:
        return series
    edges = [i * n // max_points for i in range(max_points + 1)]
    pieces = [slice(a, b) for a, b in pairwise(edges)]
    return Series(series.name, [_mean(series.xs[p]) for p in pieces], [_mean(series.ys[p]) for p in pieces])


def ticks(low: float, high: float, n: int = 5) -> list[float]:
    """About `n` round numbers from low to high.

    >>> ticks(0, 9.7)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / n or 1.0
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def svg_chart(title: str, series: Sequence[Series], *, x_name: str, levels: Sequence[Level] = ()) -> str:
    """The chart as one SVG element, its lines named in a legend."""
    lines = [thinned(_finite(s)) for s in series]
    lines = [s for s in lines if s.xs]
    if not lines:
        return ""
    frame = _frame(lines, levels)
    body = [_grid(frame, x_name), *(_level(frame, k) for k in levels)]
    body += [_line(frame, s, COLOURS[i % len(COLOURS)]) for i, s in enumerate(lines)]
    body.append(_legend([s.name for s in lines]))
    head = f'<text x="{LEFT}" y="16" class="title">{escape(title)}</text>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{head}{"".join(body)}</svg>'


def text_chart(xs: Sequence[float], ys: Sequence[float], *, width: int = 64, height: int = 12) -> str:
    """The curve in `height` lines of `width` characters and an axis; empty for no points."""
    points = thinned(_finite(Series("", xs, ys)), width)
    if not points.xs:
        return ""
    low, high = min(points.ys), max(points.ys)
    span = (high - low) or 1.0
    grid = [[" "] * len(points.xs) for _ in range(height)]
    for column, y in enumerate(points.ys):
        grid[round((high - y) / span * (height - 1))][column] = "*"
    labels = {0: high, height - 1: low}
    rows = [f"{labels[i]:8.3f} |" if i in labels else " " * 8 + " |" for i in range(height)]
    drawn = [label + "".join(cells).rstrip() for label, cells in zip(rows, grid, strict=True)]
    axis = " " * 9 + "+" + "-" * len(points.xs)
    first, last = f"{xs[0]:,.0f}", f"{xs[-1]:,.0f}"
    ends = " " * 10 + first + last.rjust(max(len(last) + 1, len(points.xs) - len(first)))
    return "\n".join([*drawn, axis, ends])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _finite(series: Series) -> Series:
    kept = [(x, y) for x, y in zip(series.xs, series.ys, strict=True) if y is not None and math.isfinite(y)]
    return Series(series.name, [x for x, _ in kept], [y for _, y in kept])


def _frame(lines: Sequence[Series], levels: Sequence[Level]) -> _Frame:
    xs = [x for s in lines for x in s.xs]
    ys = [y for s in lines for y in s.ys] + [k.y for k in levels]
    pad = (max(ys) - min(ys)) * 0.04 or abs(max(ys)) * 0.04 or 1.0
    x1 = max(xs) if max(xs) > min(xs) else min(xs) + 1
    return _Frame(min(xs), x1, min(ys) - pad, max(ys) + pad)


def _grid(frame: _Frame, x_name: str) -> str:
    parts = [_y_tick(frame.y(y), f"{y:g}") for y in ticks(frame.y0, frame.y1)]
    parts += [_x_text(frame.x(x), HEIGHT - BOTTOM + 16, _short(x)) for x in ticks(frame.x0, frame.x1)]
    parts.append(_x_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_name))
    return "".join(parts)


def _y_tick(at: float, text: str) -> str:
    line = f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="grid"/>'
    return f'{line}<text x="{LEFT - 6}" y="{at + 4:.1f}" class="y">{text}</text>'


def _x_text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" class="x">{escape(text)}</text>'


def _short(value: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _line(frame: _Frame, series: Series, colour: str) -> str:
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(series.xs, series.ys, strict=True))
    dots = "".join(
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.4" fill="{colour}"/>'
        for x, y in zip(series.xs, series.ys, strict=True)
        if len(series.xs) <= 40
    )
    return f'<polyline points="{points}" stroke="{colour}" class="line"/>{dots}'


def _level(frame: _Frame, level: Level) -> str:
    at = frame.y(level.y)
    text = (
        f'<text x="{WIDTH - RIGHT}" y="{at - 4:.1f}" class="level">{escape(level.name)} {level.y:.3f}</text>'
    )
    return f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" class="level"/>{text}'


def _legend(names: Sequence[str]) -> str:
    parts, x = [], WIDTH - RIGHT
    for i, name in reversed(list(enumerate(names))):
        x -= 7 * len(name) + 22
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="8" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="17">{escape(name)}</text>')
    return "".join(parts)
