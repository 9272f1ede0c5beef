"""Draws weights and forecasts as SVG, by hand: no library, no inline style, and numbers only (text is escaped)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor

from markupsafe import Markup, escape

_HEIGHT = 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 12.0, 34.0, 30.0
_TICKS = 5
LARGE, SMALL = 480, 360
"""Widths of a chart in its own units; the type is the same, so a small chart is for narrow places."""
_NICE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)

Point = tuple[date, float]


@dataclass(frozen=True)
class Series:
    """What a chart shows.

    Attributes:
        title: for a screen reader.
        description: the same content in a sentence.
        dots: logged values.
        line: a line with its values.
        band: day, lower end, upper end.
        unit: of the values.
    """

    title: str
    description: str
    dots: Sequence[Point]
    line: Sequence[Point] = ()
    band: Sequence[tuple[date, float, float]] = ()
    unit: str = "kg"


def chart(series: Series, name: str, width: int = LARGE) -> Markup:
    """The chart as an SVG element.

    Args:
        series: what it shows.
        name: unique on the page.
        width: `LARGE` or `SMALL`.
    """
    days = [day for day, *_ in (*series.dots, *series.line, *series.band)]
    values = [value for _, *many in (*series.dots, *series.line, *series.band) for value in many]
    if not days:
        return Markup("<p>{}</p>").format("Nothing was logged.")
    first, last = min(days), max(max(days), min(days) + timedelta(1))
    step = next((nice for nice in _NICE if (max(values) - min(values)) / nice <= _TICKS), _NICE[-1])
    low, high = floor(min(values) / step) * step, max(ceil(max(values) / step), floor(min(values) / step) + 1) * step

    def x(day: date) -> float:
        return _LEFT + (width - _LEFT - _RIGHT) * (day - first).days / (last - first).days

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low)

    parts = [*_grid(low, high, step, y, width - _RIGHT), *_days(first, last, x, 4 if width == LARGE else 3)]
    if series.band:
        upper = [f"{x(day):.1f},{y(top):.1f}" for day, _, top in series.band]
        lower = [f"{x(day):.1f},{y(bottom):.1f}" for day, bottom, _ in reversed(series.band)]
        parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
    if series.line:
        points = " ".join(f"{x(day):.1f},{y(value):.1f}" for day, value in series.line)
        parts.append(f'<polyline class="line" points="{points}"/>')
    parts += [f'<circle class="dot" cx="{x(day):.1f}" cy="{y(value):.1f}" r="2.5"/>' for day, value in series.dots]
    return Markup(  # noqa: S704, all text is escaped, the rest are numbers
        f'<svg role="img" viewBox="0 0 {width} {_HEIGHT:g}" aria-labelledby="{escape(name)}-t {escape(name)}-d">'
        f'<title id="{escape(name)}-t">{escape(series.title)}</title>'
        f'<desc id="{escape(name)}-d">{escape(series.description)}</desc>{"".join(parts)}'
        f'<text class="unit" x="4" y="18">{escape(series.unit)}</text></svg>'
    )


def _grid(low: float, high: float, step: float, y: Callable[[float], float], right: float) -> Sequence[str]:
    parts = []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        at, text = y(value), f"{value:,.10g}"
        parts.append(f'<line class="grid" x1="{_LEFT:g}" x2="{right:g}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6:g}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _days(first: date, last: date, x: Callable[[date], float], most: int) -> Sequence[str]:
    count = min(most, (last - first).days)
    days = [first + (last - first) * part / count for part in range(count + 1)]
    return [
        f'<text x="{x(day):.1f}" y="{_HEIGHT - 8:g}" text-anchor="{anchor}">{day:%d %b}</text>'
        for day, anchor in zip(days, ["start", *["middle"] * (count - 1), "end"], strict=True)
    ]
