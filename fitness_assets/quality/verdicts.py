"""Derives verdicts from findings: on each metric and on the file, with the rows of the audit and what to do.

``diagnostics.py`` makes the findings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fitness_assets.quality.bounds import said, unit_of
from fitness_assets.quality.diagnostics import Finding
from fitness_assets.quality.tables import (
    FILE,
    LOOKS_GENERATED,
    METRICS,
    NOT_ENOUGH_DATA,
    PLAUSIBLE,
    SUSPICIOUS,
    VERDICT,
    plain,
)

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
"""Diagnostics whose findings name people, uploads or days."""


@dataclass(frozen=True)
class Verdict:
    """The verdict of all diagnostics on a metric or on the file, in words and with the measures."""

    scope: str
    verdict: str
    text: str
    faults: str = ""


def verdicts(findings: Sequence[Finding]) -> list[Verdict]:
    """The verdict on the file, then on each metric.

    A metric *looks generated* if one of its diagnostics says so, is *suspicious* if one says that, and *plausible* if
    one that could have told it from a generated metric found nothing. The file looks generated if at least half of the
    metrics that could be judged do; one bad column may have a fault of its own.
    """
    metrics = [_verdict_on(name, [f for f in findings if f.metric == name]) for name in METRICS]
    judged = [v for v in metrics if v.verdict != NOT_ENOUGH_DATA]
    generated = [v for v in judged if v.verdict == LOOKS_GENERATED]
    doubtful = [v for v in judged if v.verdict != PLAUSIBLE]
    of_file = [f for f in findings if f.metric is None and f.verdict == SUSPICIOUS]
    if not judged:
        return [Verdict(FILE, NOT_ENOUGH_DATA, "No metric has enough people and days to be judged."), *metrics]
    if 2 * len(generated) >= len(judged) and generated:
        overall = LOOKS_GENERATED
    else:
        overall = SUSPICIOUS if doubtful or of_file else PLAUSIBLE
    text = f"{len(generated)} of {len(judged)} metrics that can be judged look generated, {len(doubtful)} are in doubt."
    if of_file:
        text += f" Of the file as a whole: {', '.join(sorted({f.diagnostic.title.lower() for f in of_file}))}."
    return [Verdict(FILE, overall, text), *metrics]


def advice(findings: Sequence[Finding]) -> str:
    """One sentence for people: whether to use the data."""
    overall, *metrics = verdicts(findings)
    judged = [v for v in metrics if v.verdict != NOT_ENOUGH_DATA]
    generated = sum(v.verdict == LOOKS_GENERATED for v in judged)
    doubtful = [plain(v.scope) for v in judged if v.verdict == SUSPICIOUS]
    match overall.verdict:
        case "looks generated":
            return (
                f"Do not use this data for decisions about people: {generated} of the {len(judged)} metrics that can "
                "be judged behave like random numbers."
            )
        case "suspicious":
            what = f"look first into {', '.join(doubtful)}" if doubtful else "look first into the faults named below"
            random = f"{generated} of {len(judged)} metrics behave like random numbers, and " if generated else ""
            return f"Use this data with care: {random}{what}."
        case "plausible":
            return "Nothing that was measured speaks against using this data."
    return "Conclude nothing from this data yet: no metric has enough people and days to be judged."


def _rounded(value: float) -> float:
    """Round to 6 digits, so that results do not depend on the order in which threads add."""
    return float(f"{value:.6g}")


def rows(findings: Sequence[Finding], sources: Callable[[str], str] = lambda _: "") -> list[dict[str, Any]]:
    """The rows of ``quality/audit``, verdicts first.

    Args:
        findings: what was found.
        sources: from which sources the days of a metric come; empty where that says nothing.
    """

    def said_of(verdict: Verdict) -> str:
        days = sources(verdict.scope)
        return f"{verdict.text} Days by source: {days}." if days else verdict.text

    summed = [
        {
            "name": VERDICT,
            "scope": verdict.scope,
            "unit": "verdict",
            "threshold": "by the diagnostics of the same scope",
            "verdict": verdict.verdict,
            "finding": advice(findings) if verdict.scope == FILE else said_of(verdict),
            "why_it_matters": "Whether to believe it at all.",
            "source": "The rules in the README and in the report.",
        }
        for verdict in verdicts(findings)
    ]
    return summed + [
        {
            "name": finding.diagnostic.name,
            "scope": finding.scope,
            "value": finding.found and _rounded(finding.found.value),
            "lower": finding.found and _rounded(finding.found.lower) if _is_estimate(finding) else None,
            "upper": finding.found and _rounded(finding.found.upper) if _is_estimate(finding) else None,
            "unit": finding.diagnostic.unit,
            "threshold": finding.diagnostic.threshold,
            "verdict": finding.verdict,
            "finding": finding.text or None,
            "why_it_matters": finding.diagnostic.why,
            "source": finding.diagnostic.source,
        }
        for finding in findings
    ]


def actions(findings: Sequence[Finding], named: bool = True) -> list[str]:
    """What to do before anybody decides on the data, with what it concerns; the most severe first.

    Args:
        findings: what was found.
        named: whether people, uploads and days may be named; they are text from outside.
    """
    found: dict[str, dict[str, None]] = {}
    order = (LOOKS_GENERATED, SUSPICIOUS)
    for finding in sorted((f for f in findings if f.verdict in order), key=lambda f: order.index(f.verdict)):
        is_named = finding.diagnostic.name in _NAMING or finding.scope == FILE
        text = finding.text.rstrip(".") if named else "see the report"
        found.setdefault(finding.diagnostic.remedy, {})[text if is_named else plain(finding.scope)] = None
    return [remedy.format(what=_listed([*what])) for remedy, what in found.items()]


def _listed(items: Sequence[str]) -> str:
    if any(mark in item for item in items for mark in (" and ", ",", ";")):
        return "; ".join(items)
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _is_estimate(finding: Finding) -> bool:
    return finding.found is not None and finding.found.lower != finding.found.upper


def _verdict_on(metric: str, findings: Sequence[Finding]) -> Verdict:
    for verdict in (LOOKS_GENERATED, SUSPICIOUS):
        if reasons := [f for f in findings if f.verdict == verdict]:
            faults = "; ".join(dict.fromkeys(f.diagnostic.fault for f in reasons))
            return Verdict(metric, verdict, "; ".join(map(_reason, reasons)) + ".", faults)
    decisive = [f for f in findings if f.diagnostic.generated]
    if any(f.verdict == PLAUSIBLE for f in decisive):
        passed = [f for f in decisive if f.verdict == PLAUSIBLE]
        return Verdict(metric, PLAUSIBLE, "; ".join(map(_reason, passed)) + ".")
    return Verdict(metric, NOT_ENOUGH_DATA, "Nothing that could tell it from a generated metric can be measured.")


def _reason(finding: Finding) -> str:
    found = finding.found
    assert found is not None  # noqa: S101, only judged findings come here
    scope = "" if finding.scope == finding.metric else f" ({plain(finding.scope)})"
    unit, threshold = finding.diagnostic.unit, finding.diagnostic.threshold
    return f"{finding.diagnostic.title}{scope} {said(found.value, unit)} {unit_of(unit)} ({threshold})"
