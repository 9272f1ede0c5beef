"""The report: one self-contained page, verdict first, and a short summary for the Dagster UI.

Text from outside (people, files, reasons) reaches the page only through the template, which escapes it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from fitness_assets.quality import charts, thresholds
from fitness_assets.quality.bounds import said, unit_of
from fitness_assets.quality.diagnostics import Finding
from fitness_assets.quality.measures import Collected, usual_difference
from fitness_assets.quality.sections import between, day_to_day, sections, weight
from fitness_assets.quality.tables import FILE, METRICS, plain
from fitness_assets.quality.verdicts import Verdict, actions, advice, verdicts
from fitness_assets.silver.tables import CLEAN_DAYS


@dataclass(frozen=True)
class _Compared:
    """One line of the table at the top: how far two people are apart here, and among real people."""

    metric: str
    verdict: str
    faults: str
    yours: str
    real: str
    source: str
    days: str


def report_page(collected: Collected, findings: Sequence[Finding], version: str, made_from: dict[str, str]) -> str:
    """The page as HTML.

    Args:
        collected: what was found.
        findings: what it says.
        version: of the audit.
        made_from: versions of the tables that were audited, by key.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "slug": lambda text: text.replace(" ", "-"),
        "plain": plain,
        "value": _value,
        "unit": unit_of,
    }
    template = environment.from_string((files("fitness_assets.quality") / "report.html.j2").read_text(encoding="utf-8"))
    overall, *metrics = verdicts(findings)
    groups = [(name or FILE, [f for f in findings if f.metric == name]) for name in (None, *METRICS)]
    return template.render(
        overall=overall,
        advice=advice(findings),
        metrics=metrics,
        compared=[_compared(collected, one) for one in metrics],
        collected=collected,
        span=_span(collected),
        audited_on=datetime.now(UTC).date(),
        version=version,
        actions=actions(findings),
        sections=[section for section in sections(collected, findings) if section.charts or section.left_out],
        groups=[(name, rows) for name, rows in groups if rows],
        diagnostics=list({f.diagnostic.title + f.diagnostic.why: f.diagnostic for f in findings}.values()),
        made_from=", ".join(f"{key} version {of}" for key, of in made_from.items()),
    )


def summary(collected: Collected, findings: Sequence[Finding]) -> str:
    """The verdicts and the main pictures as Markdown."""
    overall, *metrics = verdicts(findings)
    lines = [f"# {overall.verdict.capitalize()}", "", f"**{advice(findings)}**", "", overall.text, ""]
    lines += ["| metric | verdict | why |", "|---|---|---|"]
    lines += [f"| {plain(one.scope)} | {one.verdict} | {one.faults} |" for one in metrics]
    titled = {"Do people differ?": between(findings), "Does a day know the day before?": day_to_day(findings)}
    draws = [(title, draw) for title, draw in titled.items() if draw]
    if collected.person:
        draws.append(("The weight of one person", weight(collected)))
    if draws:
        picture = base64.b64encode(charts.png(draws)).decode()
        lines += ["", f"![The main pictures of the report](data:image/png;base64,{picture})"]
    lines += ["", "## Before anybody decides on it", ""]
    lines += [f"- {action}" for action in actions(findings, named=False)] or ["- Nothing has to be corrected."]
    return "\n".join([*lines, "", "The whole report is `report.html` beside the table."]) + "\n"


def _compared(c: Collected, one: Verdict) -> _Compared:
    unit = CLEAN_DAYS[one.scope].unit or ("points" if one.scope == "stress_level" else "")
    yours, (real, source) = usual_difference(c.items.get(one.scope)), thresholds.REAL_DIFFERENCES[one.scope]

    def apart(value: float | None, otherwise: str) -> str:
        return otherwise if value is None else f"{value:,.{0 if value >= 20 else 1}f} {unit}"

    return _Compared(
        one.scope,
        one.verdict,
        one.faults,
        apart(yours, "not enough data"),
        apart(real, "no reference"),
        source,
        c.sources(one.scope),
    )


def _span(c: Collected) -> str:
    """The first and the last day of all uploads."""
    days = [day for row in c.uploads for day in (row["first"], row["last"]) if day]
    return f"{min(days)} to {max(days)}" if days else ""


def _value(finding: Finding) -> str:
    if finding.found is None:
        return "–"
    value, lower, upper = (said(number, finding.diagnostic.unit) for number in finding.found)
    return value if lower == upper else f"{value} ({lower} to {upper})"
