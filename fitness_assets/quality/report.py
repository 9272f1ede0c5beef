"""The report: one self-contained page, verdict first, and a short summary for the Dagster UI.

Whatever comes from outside (people, files, reasons) reaches the page through the template, which escapes it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from fitness_assets.quality import charts, thresholds
from fitness_assets.quality.diagnostics import Finding
from fitness_assets.quality.measures import Collected, usual_difference
from fitness_assets.quality.sections import between, day_to_day, sections, weight, words
from fitness_assets.quality.tables import FILE, METRICS, SUSPICIOUS
from fitness_assets.quality.verdicts import Verdict, advice, digits, to_mend, verdicts
from fitness_assets.silver.tables import CLEAN_DAYS

_NAMING = (
    "implied_height",
    "scale_jump",
    "copied_days",
    "round_people",
    "identical_stretch",
    "changing_identity",
    "longest_gap",
    "drift",
)


@dataclass(frozen=True)
class _Compared:
    """One line of the table at the top: how far two people are apart here, and among real people."""

    metric: str
    verdict: str
    yours: str
    real: str
    source: str


def report(collected: Collected, findings: Sequence[Finding], version: str, made_from: dict[str, str]) -> str:
    """The page as HTML.

    Args:
        collected: what was found.
        findings: what it says.
        version: of the audit.
        made_from: versions of the tables that were audited, by key.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"slug": lambda text: text.replace(" ", "-"), "words": words, "value": _value}
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
        mend=[(what, [*map(_subject, because)]) for what, because in to_mend(findings)],
        named=[f for f in findings if f.text and f.verdict == SUSPICIOUS and f.diagnostic.name in _NAMING],
        sections=[section for section in sections(collected, findings) if section.charts],
        groups=[(name, rows) for name, rows in groups if rows],
        diagnostics=list({f.diagnostic.title + f.diagnostic.why: f.diagnostic for f in findings}.values()),
        made_from=", ".join(f"{key} version {of}" for key, of in made_from.items()),
    )


def summary(collected: Collected, findings: Sequence[Finding]) -> str:
    """The verdicts and the main pictures as Markdown."""
    overall, *metrics = verdicts(findings)
    lines = [f"# {overall.verdict.capitalize()}", "", f"**{advice(findings)}**", "", overall.text, ""]
    lines += ["| metric | verdict |", "|---|---|"]
    lines += [f"| {one.scope} | {one.verdict} |" for one in metrics]
    draws = [draw for draw in (between(findings), day_to_day(findings)) if draw]
    if collected.person:
        draws.append(weight(collected))
    if draws:
        picture = base64.b64encode(charts.png(draws)).decode()
        lines += ["", f"![The main pictures of the report](data:image/png;base64,{picture})"]
    lines += ["", "## Before anybody decides on it", ""]
    lines += [f"- {what} ({words(', '.join(f.scope for f in because))})" for what, because in to_mend(findings)] or [
        "- Nothing was found that has to be corrected."
    ]
    return "\n".join([*lines, "", "The whole report is `report.html` beside the version."]) + "\n"


def _subject(finding: Finding) -> str:
    """What an advice is about: a metric, a link, or the people and days of the file that were found."""
    return finding.text.rstrip(".") if finding.scope == FILE else words(finding.scope)


def _compared(c: Collected, one: Verdict) -> _Compared:
    unit = CLEAN_DAYS[one.scope].unit or ("points" if one.scope == "stress_level" else "")
    yours, (real, source) = usual_difference(c.items.get(one.scope)), thresholds.REAL_DIFFERENCES[one.scope]

    def said(value: float | None, otherwise: str) -> str:
        return otherwise if value is None else f"{value:,.{0 if value >= 20 else 1}f} {unit}"

    return _Compared(one.scope, one.verdict, said(yours, "not enough data"), said(real, "no reference"), source)


def _span(c: Collected) -> str:
    """The first and the last day of all uploads."""
    days = [day for row in c.uploads for day in (row["first"], row["last"]) if day]
    return f"{min(days)} to {max(days)}" if days else ""


def _value(finding: Finding) -> str:
    if finding.found is None:
        return "–"
    value, lower, upper = finding.found
    return digits(value) if lower == upper else f"{digits(value)} ({digits(lower)} to {digits(upper)})"
