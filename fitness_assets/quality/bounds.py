"""Defines diagnostics: questions to the data, with bounds of believable values.

A bound is a range in which values are believable. An estimate breaks it when its whole 99 % interval lies outside and
keeps it when the whole interval lies inside; in between there is not enough data to tell.
"""

from dataclasses import dataclass

from fitness_assets.quality.measures import Estimate
from fitness_assets.quality.tables import LOOKS_GENERATED, NOT_ENOUGH_DATA, PLAUSIBLE, SUSPICIOUS

COHORTS = 120
FALSE_ALARMS = {"identical_stretch": 2}
"""How many of these cohorts a diagnostic was in doubt about (`fitness_assets_tests.tools.false_alarms`); else none."""
NOT_SIMULATED = {"quarantined", "rejected", "longest_gap", "changing_identity"}
"""Diagnostics of faults that these cohorts cannot have: no row is malformed, and people stay and log all the time."""

INFINITY = float("inf")
SHARE = "share "
"""The units of shares begin with it."""


@dataclass(frozen=True)
class Bound:
    """The range of believable values of a measure, ends included."""

    low: float = -INFINITY
    high: float = INFINITY

    def judge(self, found: Estimate) -> bool | None:
        """Whether an estimate is inside; None if its interval crosses a bound."""
        if self.low <= found.lower and found.upper <= self.high:
            return True
        return False if found.upper < self.low or found.lower > self.high else None

    def text(self, unit: str) -> str:
        """Where values are not believable."""
        sides = (("below", self.low), ("above", self.high))
        return " or ".join(
            f"{side} {said(bound, unit) if unit.startswith(SHARE) else f'{bound:g}'}"
            for side, bound in sides
            if abs(bound) < INFINITY
        )


def said(value: float, unit: str) -> str:
    """A number as a person writes it; a share in per cent, and none below 0 (an estimate of a small one may be)."""
    if unit.startswith(SHARE):
        percent = max(value, 0) * 100
        return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.1f} %"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}".replace("-0.000", "0.000")


def unit_of(unit: str) -> str:
    """The unit that follows such a number."""
    return unit.removeprefix(SHARE)


@dataclass(frozen=True)
class Diagnostic:
    """One question to the data.

    Attributes:
        name: snake_case.
        title: for the report.
        fault: what is wrong with data that is outside of the bounds; no sentence of its own.
        unit: of what is measured.
        suspicious: outside of it the verdict is ``suspicious``.
        generated: outside of it the verdict is ``looks generated``.
        either_sign: whether only the size of the measure counts, not its sign.
        why: why it matters, for an analyst.
        source: where the bounds come from.
        remedy: what to do before anybody decides on the data; ``{what}`` stands for what it concerns.
    """

    name: str
    title: str
    fault: str
    unit: str
    why: str
    source: str
    remedy: str
    suspicious: Bound | None = None
    generated: Bound | None = None
    either_sign: bool = False

    @property
    def false_alarms(self) -> str:
        """How often it raises a false alarm about realistic data."""
        if self.name in NOT_SIMULATED:
            return "not measured: the simulated cohorts cannot have this fault"
        return f"{FALSE_ALARMS.get(self.name, 0)} of {COHORTS} simulated cohorts with realistic devices"

    @property
    def threshold(self) -> str:
        """The bounds as text."""
        of = "size " if self.either_sign else ""
        bounds = ((self.suspicious, SUSPICIOUS), (self.generated, LOOKS_GENERATED))
        return "; ".join(f"{of}{bound.text(self.unit)}: {verdict}" for bound, verdict in bounds if bound)

    def judge(self, found: Estimate | None) -> str:
        """The verdict on what was measured."""
        if found is None:
            return NOT_ENOUGH_DATA
        if self.either_sign:
            low, high = sorted((abs(found.lower), abs(found.upper)))
            found = Estimate(abs(found.value), 0.0 if found.lower < 0 < found.upper else low, high)
        answers = [(bound.judge(found), verdict) for bound, verdict in self._bounds() if bound]
        broken = [verdict for inside, verdict in answers if inside is False]
        if broken:
            return broken[0]
        return NOT_ENOUGH_DATA if any(inside is None for inside, _ in answers) else PLAUSIBLE

    def _bounds(self) -> tuple[tuple[Bound | None, str], ...]:
        return ((self.generated, LOOKS_GENERATED), (self.suspicious, SUSPICIOUS))
