"""Draws the charts of the report: small SVG images with the colours and the font of the page around them.

``sections.py`` says which charts the report has.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO, StringIO
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from fitness_assets.quality.measures import Estimate
from fitness_assets.quality.tables import plain

# matplotlib draws in these unique colours, which are then replaced by variables of the page's style sheet.
_INK, _QUIET, _BEFORE, _AFTER, _REAL, _BAD = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {
    _INK: "var(--ink)",
    _QUIET: "var(--quiet)",
    _BEFORE: "var(--before)",
    _AFTER: "var(--accent)",
    _REAL: "var(--real)",
    _BAD: "var(--bad)",
}
_PRINTED = {
    _INK: "#777777",
    _QUIET: "#999999",
    _BEFORE: "#b8b8b8",
    _AFTER: "#3b6fb6",
    _REAL: "#2e9e6b",
    _BAD: "#d1495b",
}
"""For pictures that cannot know the page: readable on light and on dark."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": _INK,
    "axes.labelcolor": _QUIET,
    "axes.edgecolor": _QUIET,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": 11.5,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
}

_TICK_CHARACTERS = 24
"""A longer name beside an axis would leave no room for the chart."""

Draw = Callable[[Axes], None]


def svg(draw: Draw, label: str, identity: str, height: float = 2.1) -> str:
    """One chart as an inline SVG, 3.6 inches wide, that scales with the page.

    Args:
        draw: draws on axes.
        label: what the chart shows, for those who do not see it.
        identity: unique on the page, so that no two charts share the names of their parts.
        height: in inches.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": identity}):
        figure = Figure(figsize=(3.6, height))
        axes = figure.subplots()
        draw(axes)
        _make_room(figure, axes, 3.6, height)
        file = StringIO()
        figure.savefig(
            file, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{identity}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{identity}-", text)
    for drawn, variable in _VARIABLES.items():
        text = text.replace(drawn, variable)
    # Sizes are those of the viewBox; the style sheet says how wide a chart is.
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{head} role="img" aria-label="{escaped}">{rest}'


def png(draws: Sequence[tuple[str, Draw]]) -> bytes:
    """Charts with their titles in a row as one picture, for places that show no SVG."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2 * len(draws), 2.9), layout="constrained")
        for axes, (title, draw) in zip(figure.subplots(1, len(draws), squeeze=False)[0], draws, strict=True):
            draw(axes)
            axes.set_title(title, fontsize=12, loc="left")
        _recolour(figure)
        file = BytesIO()
        figure.savefig(file, format="png", dpi=90, transparent=True)
    return file.getvalue()


def _make_room(figure: Figure, axes: Axes, width: float, height: float) -> None:
    """Leave room for labels by the number of their letters; the page sets them in a font that is not known here."""
    longest = max((len(label.get_text()) for label in axes.get_yticklabels()), default=0)
    left = 0.16 + 0.092 * longest + (0.28 if axes.get_ylabel() else 0)
    bottom = 0.08 + (0.22 if len(axes.get_xticks()) else 0) + (0.23 if axes.get_xlabel() else 0)
    figure.subplots_adjust(left=left / width, bottom=bottom / height, right=1 - 0.22 / width, top=1 - 0.08 / height)


def _tick(name: str) -> str:
    """A name beside an axis: one short line of plain text, whatever characters it has."""
    text = "".join(character if character.isprintable() else "?" for character in name.replace("_", " "))
    short = text if len(text) <= _TICK_CHARACTERS else f"{text[: _TICK_CHARACTERS - 1]}…"
    return short.replace("$", r"\$")  # Matplotlib reads what stands between two of these as a formula


def _recolour(figure: Figure) -> None:
    from matplotlib.colors import to_hex

    for artist in figure.findobj():
        for name in ("color", "facecolor", "edgecolor"):
            get, put = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            value = get() if get and put else None
            if isinstance(value, str | tuple) and len(value) in (3, 4, 7):
                printed = _PRINTED.get(to_hex(value))
                if put and printed and (not isinstance(value, tuple) or len(value) < 4 or value[3] > 0):
                    put(printed)


def histogram(
    before: Mapping[int, int], after: Mapping[int, int], width: float, unit: str, centred: bool = False
) -> Draw:
    """Days before cleaning (behind) and after it; the outermost 0.1 % are left out.

    Args:
        before: days by the number of their bar.
        after: the same.
        width: of a bar.
        unit: of the metric.
        centred: whether each bar stands for one value, and is drawn around it, not from it on.
    """

    def draw(axes: Axes) -> None:
        low, high = _core(after or before)
        edges = [(bar - centred / 2) * width for bar in range(low, high + 2)]
        for bars, color in ((before, _BEFORE), (after, _AFTER)):
            axes.stairs([bars.get(bar, 0) for bar in range(low, high + 1)], edges, fill=True, color=color)
        axes.set_xlabel(unit)
        axes.set_ylabel("days")
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))

    return draw


def intervals(
    entries: Sequence[tuple[str, Estimate, Literal["bad", "good"]]], real: Mapping[str, float], unit: str
) -> Draw:
    """Estimates with their intervals, one a line, beside the values of real wearables."""

    def draw(axes: Axes) -> None:
        names = [name for name, _, _ in entries]
        for y, (name, found, verdict) in enumerate(entries):
            color = _BAD if verdict == "bad" else _AFTER
            axes.plot([found.lower, found.upper], [y, y], color=color, lw=2, solid_capstyle="butt")
            axes.plot(found.value, y, "o", ms=5, color=color)
            if name in real:
                axes.plot(real[name], y, "D", ms=5, markerfacecolor="none", markeredgecolor=_REAL, markeredgewidth=1.4)
        axes.axvline(0, color=_QUIET, lw=0.6)
        axes.set_yticks(range(len(names)), [_tick(plain(name)) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(unit)

    return draw


def bars(values: Mapping[str, float], unit: str, percent: bool = True) -> Draw:
    """Horizontal bars, one for each name, the first on top."""

    def draw(axes: Axes) -> None:
        names = [*values]
        axes.barh(range(len(names)), [*values.values()], color=_AFTER, height=0.65)
        axes.set_yticks(range(len(names)), [_tick(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        for y, value in enumerate(values.values()):
            text = f" {value:.1%}" if percent else f" {value:,.0f}"
            axes.text(value, y, text, va="center", fontsize=11.5)
        axes.set_xlim(0, max([*values.values(), 1e-9]) * 1.3)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.set_xlabel(unit)
        axes.spines[["left", "bottom"]].set_visible(False)

    return draw


def columns(values: Mapping[str, float], unit: str, zero: bool = True) -> Draw:
    """Vertical bars in their order."""

    def draw(axes: Axes) -> None:
        axes.bar(range(len(values)), [*values.values()], color=_AFTER, width=0.8)
        every = -(-len(values) // 7)  # more names than seven would not fit
        axes.set_xticks(range(0, len(values), every), [*values][::every])
        axes.set_ylabel(unit)
        axes.tick_params(axis="x", length=0)
        if not zero:  # a week without rhythm must not look like one
            reach = max(10.0, *(abs(value) * 1.1 for value in values.values()))
            axes.set_ylim(-reach, reach)
            axes.axhline(0, color=_QUIET, lw=0.6)

    return draw


def line(days: Sequence[Any], values: Sequence[float | None], unit: str, from_zero: bool = False) -> Draw:
    """A course over time, by dates or their names; a day without a value breaks the line."""

    def draw(axes: Axes) -> None:
        numbers = [float("nan") if value is None else value for value in values]
        axes.plot(list(days), numbers, color=_AFTER, lw=1.2, marker="o" if len(numbers) < 40 else None, ms=3)
        axes.set_ylabel(unit)
        if from_zero:
            axes.set_ylim(0, max((n for n in numbers if n == n), default=1) * 1.15)
        step = max(1, -(-len(days) // 3))
        axes.set_xticks([*list(days)[::step]], [str(day)[:7] for day in list(days)[::step]])

    return draw


def _core(bins: Mapping[int, int]) -> tuple[int, int]:
    total, run, inside = sum(bins.values()), 0, []
    for bar in sorted(bins):
        if total * 0.001 <= run + bins[bar] and run <= total * 0.999:
            inside.append(bar)
        run += bins[bar]
    return (inside[0] - 1, inside[-1] + 1) if inside else (0, 0)
