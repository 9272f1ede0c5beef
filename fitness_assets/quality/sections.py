"""The sections of the report and their charts; ``charts.py`` draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from typing import Any

from markupsafe import Markup

from fitness_assets.quality import charts, thresholds
from fitness_assets.quality.diagnostics import Finding
from fitness_assets.quality.measures import Collected, Estimate, histogram, is_beyond, moments
from fitness_assets.quality.sums import DAY
from fitness_assets.quality.tables import METRICS, NOT_ENOUGH_DATA, PLAUSIBLE, plain
from fitness_assets.quality.transforms import BIN_WIDTH
from fitness_assets.silver.tables import CATEGORIES_FROM, CLEAN_DAYS, WEEKDAYS

LEAST_OF_WEEK, LEAST_OF_MONTHS = 2.0, 3.0
"""In percent: chance moves the means of many days by less, and a chart of it would show what is not there."""

_CATEGORIES = {"gender": "gender", "steps": "activity level", "sleep_hours": "sleep quality", "bmi": "BMI category"}


@dataclass(frozen=True)
class Chart:
    """A picture with its title and a line of text."""

    title: str
    svg: Markup
    text: str = ""


@dataclass(frozen=True)
class Section:
    """Pictures under one heading.

    Attributes:
        title: the heading.
        text: how to read the charts.
        charts: the pictures.
        real: whether the charts also show the values of real people.
        left_out: the charts that would be empty.
    """

    title: str
    text: str
    charts: list[Chart]
    real: bool = False
    left_out: str = ""


def sections(c: Collected, findings: Sequence[Finding]) -> list[Section]:
    """Every section in its order; one without charts is not shown."""
    return [
        Section(
            "What gives it away, or speaks for it",
            "Measured on people, each metric differs between persons and knows something of the day before. Dots are "
            "what this data gives, with 99 % intervals.",
            [
                *_maybe(
                    "Do people differ?",
                    "Share of variance between people. 0: nobody differs; 1: only people differ.",
                    between(findings),
                    "between",
                ),
                *_maybe(
                    "Does a day know the day before?",
                    "Correlation with the day before, within people. 0: no day is like the one before.",
                    day_to_day(findings),
                    "lag",
                ),
                *_maybe(
                    "Do metrics go together?",
                    "Correlation of a person's metrics of one day. 0: they do not.",
                    _links(findings),
                    "links",
                    2.9,
                ),
                *_maybe(
                    "Do weekends differ?", "Weekend less other days. 0: they do not.", _weekends(findings), "weekend"
                ),
            ],
            real=True,
        ),
        Section(
            "One person",
            "The person with most weights. The weight of a body drifts slowly; random numbers jump.",
            [
                _chart("Weight", weight(c), "person-weight", f"User {c.person['user_id']}, at most a year."),
                _chart("Steps", charts.line(*_course(c, "steps"), "steps"), "person-steps", "The same person."),
                _chart(
                    "Stress", charts.line(*_course(c, "stress_level"), "rating"), "person-stress", "The same person."
                ),
            ]
            if c.person
            else [],
        ),
        Section(
            "Before and after cleaning",
            "Days as they were logged (grey) and as they are kept (blue); what is only grey was left out. The numbers "
            "are mean ± standard deviation of the days within the ranges of the cleaning rules.",
            [
                _chart(
                    plain(name),
                    charts.histogram(before, after, BIN_WIDTH[name], _unit(name), name == "stress_level"),
                    f"hist-{name}",
                    _numbers(c, name),
                )
                for name in ("age", *METRICS)
                if (before := histogram(c.before, name)) and (after := histogram(c.after, name))
            ]
            + [
                _chart(_CATEGORIES[name], charts.bars(found, "share of clean days"), f"cat-{name}")
                for name in ("gender", *CATEGORIES_FROM)
                if (found := _categories(c, name))
            ],
        ),
        _section_of_metrics(
            "The week",
            "Means of the weekdays, in percent of the mean of all days. People have weekends.",
            {
                name: (max(abs(value) for value in week.values()), charts.columns(week, "%", zero=False))
                for name in METRICS
                if name != "bmi" and (week := _week(c, name))
            },
            "week",
            LEAST_OF_WEEK,
        ),
        _section_of_metrics(
            "The months",
            "Averages over people from gold/monthly_summary: trust these more than single days.",
            {
                name: (_spread(values), charts.line([_month(row) for row in c.months], values, _unit(name)))
                for name in ("share_logged", *METRICS)
                if len(c.months) > 1 and set(values := [row[name] for row in c.months]) != {None}
            },
            "month",
            LEAST_OF_MONTHS,
        ),
        Section(
            "What is missing",
            "How completely people log, and what the cleaning rules left out.",
            [
                *(
                    [
                        _chart(
                            "Days logged between first and last",
                            charts.columns(
                                {
                                    f"{r['share']:.0%}": r["people"]
                                    for r in sorted(c.completeness, key=lambda r: r["share"])
                                },
                                "people",
                            ),
                            "complete",
                        )
                    ]
                    if len(c.completeness) > 1  # a single bar says nothing
                    else []
                ),
                *(
                    [
                        _chart(
                            "Rows left out by rule",
                            charts.bars(dict(sorted(c.rejected.items(), key=lambda r: -r[1])), "rows", False),
                            "rejected",
                            height=2.6,
                        )
                    ]
                    if len(c.rejected) > 1
                    else []
                ),
                *(
                    [
                        _chart(
                            "Cells quarantined by column",
                            charts.bars({plain(name): n for name, n in c.quarantine_reasons.items()}, "cells", False),
                            "quarantined",
                        )
                    ]
                    if len(c.quarantine_reasons) > 1
                    else []
                ),
            ]
            if c.completeness
            else [],
        ),
    ]


def _chart(title: str, draw: charts.Draw, identity: str, text: str = "", height: float = 2.1) -> Chart:
    return Chart(title, Markup(charts.svg(draw, title, identity, height)), text)  # noqa: S704, drawn here, escaped there


def _maybe(title: str, text: str, draw: charts.Draw | None, identity: str, height: float = 2.4) -> list[Chart]:
    return [_chart(title, draw, identity, text, height)] if draw else []


def _estimates(findings: Sequence[Finding], name: str, real: dict[str, float], unit: str) -> charts.Draw | None:
    found: list[tuple[str, Estimate, Any]] = [
        (f.scope, f.found, "good" if f.verdict in (PLAUSIBLE, NOT_ENOUGH_DATA) else "bad")
        for f in findings
        if f.diagnostic.name == name and f.found
    ]
    return charts.intervals(found, real, unit) if found else None


def between(findings: Sequence[Finding]) -> charts.Draw | None:
    """How much people differ, by metric; None if nothing can be estimated."""
    return _estimates(findings, "people_differ", thresholds.FITBIT_BETWEEN, "share of variance")


def day_to_day(findings: Sequence[Finding]) -> charts.Draw | None:
    """How much a day is like the day before, by metric; None if nothing can be estimated."""
    return _estimates(findings, "day_to_day", thresholds.FITBIT_DAY_TO_DAY, "correlation")


def _links(findings: Sequence[Finding]) -> charts.Draw | None:
    return _estimates(findings, "link", thresholds.FITBIT_LINKS, "correlation")


def _weekends(findings: Sequence[Finding]) -> charts.Draw | None:
    return _estimates(findings, "weekend_rhythm", {}, "standard deviations")


def weight(c: Collected) -> charts.Draw:
    """The weights of the person who has most of them."""
    return charts.line(*_course(c, "weight_kg"), "kg")


def _course(c: Collected, name: str) -> tuple[list[Any], list[Any]]:
    return [date(1970, 1, 1) + timedelta(day) for day in c.person[DAY]], c.person[name]


def _numbers(c: Collected, name: str) -> str:
    def one(bins: Sequence[dict[str, Any]]) -> str:
        parts = moments(bins, name).values()
        n = sum(part[0] for part in parts)
        if not n:
            return "none"
        mean = sum(m * x for m, x, _ in parts) / n
        deviation = sqrt(sum(m * (v + (x - mean) ** 2) for m, x, v in parts) / n)
        decimals = 0 if abs(mean) >= 100 else 1
        return f"{mean:,.{decimals}f} ± {deviation:,.{decimals}f}"

    beyond = sum(row["n"] for row in c.before if row["item"] == name and is_beyond(row))
    out_of_range = f", {beyond:,} days out of range" if beyond else ""
    return f"Logged: {one(c.before)}{out_of_range}. Clean: {one(c.after)}."


def _categories(c: Collected, name: str) -> dict[str, float]:
    bars = histogram(c.after, name)
    total = sum(bars.values())
    if not total:
        return {}
    if name == "gender":
        return {"F": bars.get(0, 0) / total, "M": bars.get(1, 0) / total}
    bounds, labels = CATEGORIES_FROM[name]
    counts = dict.fromkeys(labels, 0.0)
    for bar, n in bars.items():
        counts[labels[sum(bar * BIN_WIDTH[name] >= bound for bound in bounds)]] += n / total
    return counts


def _week(c: Collected, name: str) -> dict[str, float]:
    of = moments(c.after, name)
    n = sum(part[0] for part in of.values())
    mean = sum(m * x for m, x, _ in of.values()) / n if n else 0
    return {WEEKDAYS[int(day)][:2]: (of[day][1] / mean - 1) * 100 for day in sorted(filter(None, of))} if mean else {}


def _spread(values: Sequence[float | None]) -> float:
    """How far the furthest value is from the mean, in percent of it."""
    there = [value for value in values if value is not None]
    mean = sum(there) / len(there)
    return max(abs(value / mean - 1) for value in there) * 100 if mean else 0.0


def _section_of_metrics(
    title: str, text: str, metrics: dict[str, tuple[float, charts.Draw]], identity: str, least: float
) -> Section:
    """A chart for each metric that is somewhere further from its mean than ``least`` percent; the others are named."""
    even = [plain(name) for name, (furthest, _) in metrics.items() if furthest < least]
    left_out = f"Within {least:g} % of their mean, so without a chart: {', '.join(even)}." if even else ""
    drawn = [
        _chart(plain(name), draw, f"{identity}-{name}")
        for name, (furthest, draw) in metrics.items()
        if furthest >= least
    ]
    return Section(title, text, drawn, left_out=left_out)


def _month(row: dict[str, Any]) -> str:
    return f"{row['year']}-{row['month']:02}"


def _unit(name: str) -> str:
    return "share of days" if name == "share_logged" else CLEAN_DAYS[name].unit or ""
