"""Computes statistics with intervals from the aggregates: correlations within people, differences between people.

``transforms.py`` queries the aggregates, and ``diagnostics.py`` interprets the statistics. All intervals are 99 %
confidence intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import atanh, inf, pi, sqrt, tanh
from typing import TYPE_CHECKING, NamedTuple

from fitness_assets.quality import transforms
from fitness_assets.quality.aggregates import RELATIVE_ROUNDING, Aggregates, Row
from fitness_assets.quality.sums import COARSE, HEIGHT, HEIGHT_RANGE_CM, LOG
from fitness_assets.quality.tables import plain
from fitness_assets.quality.transforms import BIN_WIDTH
from fitness_assets.silver.tables import CLEAN_DAYS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Z = 2.576
"""The 99 % interval of Fisher's transformation, in standard errors to each side."""

MIN_PEOPLE, MIN_DAYS, MIN_PAIRS = 10, 10, 200
"""With fewer people, days for each, or pairs of values, there is no result."""

LATEST_UPLOADS = 24
"""Earlier uploads count as one when uploads are compared."""


class Estimate(NamedTuple):
    """A number and its 99 % interval; the interval of a count is the count."""

    value: float
    lower: float
    upper: float


@dataclass
class Collected:
    """All results of the queries; their size does not depend on the number of days.

    Names are those of `transforms` and `aggregates.Aggregates`.
    """

    items: dict[str, Row]
    named: list[Row]
    completeness: list[Row]
    before: list[Row]
    after: list[Row]
    uploads: list[Row]
    copies: list[Row]
    changing: int
    months: list[Row]
    rejected: dict[str, int]
    quarantine_reasons: dict[str, int]
    person: Row = field(default_factory=dict)
    conclusions: list[str] = field(default_factory=list)
    by_kind: dict[str, dict[str, Row]] = field(default_factory=dict)

    @property
    def people(self) -> int:
        """How many people have clean days."""
        return self.items.get(LOG, {}).get("people", 0)

    @property
    def days(self) -> int:
        """How many clean days there are."""
        return self.items.get(LOG, {}).get("n", 0)

    def kinds(self, metric: str) -> dict[str, Row]:
        """The counts ``n``, ``fine`` and `COARSE` of a metric by kind of source; what no device gave is ``csv``."""
        every, found = self.items.get(metric, {}), dict(self.by_kind.get(metric, {}))
        found.pop("csv", None)
        rest = {
            name: max(every.get(name, 0) - sum(counts[name] for counts in found.values()), 0)
            for name in ("n", "fine", *COARSE)
        }
        return {kind: counts for kind, counts in (found | {"csv": rest}).items() if counts["n"]}

    def sources(self, metric: str) -> str:
        """From which sources the days of a metric come; empty if there are only CSV files."""
        if not self.by_kind:
            return ""
        counts = {kind: of_kind["n"] for kind, of_kind in self.kinds(metric).items()}
        total = sum(counts.values())
        return ", ".join(f"{plain(kind)} {days:,} ({days / total:.0%})" for kind, days in counts.items())


def collect(tables: "DuckDBPyConnection", aggregates: Callable[[], Aggregates], ledger: Sequence[Row]) -> Collected:
    """Run all queries.

    Args:
        tables: those of `tables.READS`, as `reader.reader` makes them known.
        aggregates: gives `transforms.aggregates`, which takes about as long as all the rest.
        ledger: the rows of ``bronze/uploads``.
    """
    ingested = [row for row in ledger if row["status"] == "ingested"]
    uploads = sorted(ingested, key=lambda row: row["ingested_at"], reverse=True)
    ids = ", ".join(f"'{row['upload_id']}'" for row in uploads[:LATEST_UPLOADS])
    latest = f"CASE WHEN list_contains(CAST([{ids}] AS VARCHAR[]), upload_id) THEN upload_id END"
    seen = {row["upload_id"]: row for row in transforms.uploads(tables)}
    nothing = {"people": 0, "first": None, "last": None}
    before = transforms.bars(tables, "logged_days", latest)
    after = transforms.bars(tables, "clean_days", "CAST(weekday_num AS VARCHAR)")
    copies, months = transforms.copies(tables), transforms.months(tables)
    rejected, quarantine_reasons = (transforms.reasons(tables, name) for name in ("rejected_days", "quarantine"))
    found = aggregates()
    return Collected(
        found.items,
        found.named,
        [{"share": share, "people": count} for share, count in found.completeness.items()],
        before,
        after,
        [row | seen.get(row["upload_id"], nothing) for row in uploads],
        copies,
        found.changing,
        months,
        rejected,
        quarantine_reasons,
        found.person,
        transforms.conclusions(tables),
        transforms.by_kind(tables),
    )


def correlation(item: Row | None, lagged: bool = False) -> Estimate | None:
    """Correlation within people: of the deviations from each person's own means, over all people.

    That is the correlation within subjects of Bland and Altman (BMJ 1995;310:446). Its standard error takes people, not
    days, as what was sampled (the delta method on each person's sums), and is never below that of independent days.

    Args:
        item: sums over people, of `aggregates.Aggregates`.
        lagged: whether the pairs are consecutive values of one metric. Few days bias this correlation downwards; the
            result is corrected for that.

    Returns:
        None with fewer than `MIN_PAIRS` pairs or `MIN_PEOPLE` people with several, or where nothing varies.
    """
    if not item or item["pairs"] < MIN_PAIRS or item["paired_people"] < MIN_PEOPLE or not item["b"] or not item["c"]:
        return None
    b, c, root, people = item["b"], item["c"], sqrt(item["b"] * item["c"]), item["paired_people"]
    r = item["a"] / root
    variance = (
        item["aa"] / root**2
        + r**2 / 4 * (item["bb"] / b**2 + item["cc"] / c**2 + 2 * item["bc"] / (b * c))
        - r / root * (item["ab"] / b + item["ac"] / c)
    )
    variance *= people / (people - 1)
    error = _standard_errors(people) * sqrt(max(variance, 1 / item["pairs"]))
    return _bounded(r + item["bias"] / root if lagged else r, error)


def _bounded(r: float, error: float) -> Estimate:
    """A correlation with its interval, within -1 and 1."""
    return Estimate(*(max(-1.0, min(end, 1.0)) for end in (r, r - error, r + error)))


def _standard_errors(people: float) -> float:
    """The 99 % interval in standard errors to each side: Student's quantile, which is larger for few people."""
    from scipy.special import stdtrit  # imported here, as whoever loads the graph does without

    return float(stdtrit(people - 1, 0.995))


def within_variance(item: Row) -> float | None:
    """Variance of the values of a person about the person's own mean, over all people."""
    freedom = item["n"] - item["people"]
    return _difference(item["xx"], item["x_means"]) / freedom if freedom > 0 else None


def _difference(squares: float, less: float) -> float:
    """The difference of two sums of squares; 0 if it is rounding error."""
    return squares - less if squares - less > RELATIVE_ROUNDING * squares else 0.0


def between_share(item: Row | None) -> Estimate | None:
    """The share of a metric's variance that lies between people: the intraclass correlation ICC(1).

    From the one-way analysis of variance, with the interval that F has (Shrout and Fleiss, Psychol Bull 1979;86:420);
    where people have not equally many days, by their size in that analysis.

    Returns:
        None with fewer than `MIN_PEOPLE` people or `MIN_DAYS` days for each, or where nothing varies.
    """
    if not item or item["people"] < MIN_PEOPLE or item["n"] < MIN_DAYS * item["people"]:
        return None
    from scipy.special import fdtri

    n, people = item["n"], item["people"]
    within = within_variance(item) or 0.0
    between = _difference(item["x_means"], item["x"] ** 2 / n) / (people - 1)
    if not within:
        return Estimate(1.0, 1.0, 1.0) if between else None
    size, freedom = (n - item["nn"] / n) / (people - 1), (people - 1, n - people)
    ratio = between / within
    ends = (ratio, ratio / fdtri(*freedom, 0.995), ratio / fdtri(*freedom, 0.005))
    return Estimate(*(float((f - 1) / (f + size - 1)) for f in ends))


def usual_difference(item: Row | None) -> float | None:
    """How far the usual values of two people are apart on average, in the metric's unit; 0 where people do not differ.

    2/√π standard deviations between people, those of `between_share`: the mean distance of two normal numbers.
    """
    found = between_share(item)
    within = within_variance(item) if item else None
    if not found or not within:
        return None
    ratio = min(max(found.value, 0.0), 1 - 1e-9)
    return 2 / sqrt(pi) * sqrt(within * ratio / (1 - ratio))


def weekend_shift(item: Row | None) -> Estimate | None:
    """How much higher a person's weekends are than the other days, in standard deviations within people."""
    if not item or item["shifts"] < MIN_PEOPLE or not within_variance(item):
        return None
    count, unit = item["shifts"], sqrt(within_variance(item) or 1.0)
    mean = item["shift"] / count
    variance = max(item["shift_squares"] / count - mean**2, 0.0) * count / (count - 1)
    error = _standard_errors(count) * sqrt(variance / count)
    return Estimate(mean / unit, (mean - error) / unit, (mean + error) / unit)


def between_people(item: Row | None) -> Estimate | None:
    """Correlation of people's means, with Fisher's interval."""
    if not item or item["paired_people"] < MIN_PEOPLE:
        return None
    n, x, y = item["means"], item["mx"], item["my"]
    spreads = _difference(n * item["mxx"], x * x) * _difference(n * item["myy"], y * y)
    if not spreads:
        return None
    r = max(-1.0, min((n * item["mxy"] - x * y) / sqrt(spreads), 1.0))
    middle, error = atanh(max(min(r, 0.9999), -0.9999)), Z / sqrt(item["paired_people"] - 3)
    return Estimate(r, min(r, tanh(middle - error)), max(r, tanh(middle + error)))


def share(count: float | None, of: float | None, least: int = 1) -> Estimate | None:
    """A share of a complete count, which needs no interval; None if there are fewer than ``least``."""
    return Estimate(*[count / of] * 3) if of and of >= least and count is not None else None


def histogram(bins: Sequence[Row], item: str) -> dict[int, int]:
    """Days in each bar of a histogram, whatever upload or weekday they are of."""
    found: dict[int, int] = {}
    for row in bins:
        if row["item"] == item:
            found[row["bin"]] = found.get(row["bin"], 0) + row["n"]
    return found


def odd_heights(collected: Collected) -> dict[str, tuple[float, float, int]]:
    """Of each upload: the share of days whose weight and BMI imply no adult's height, their mean height, how many days.

    Uploads before the latest ones count as one, by the name of "earlier uploads".
    """
    (low, high), width = HEIGHT_RANGE_CM, BIN_WIDTH[HEIGHT]
    uris = {row["upload_id"]: row["uri"] for row in collected.uploads}
    sums: dict[str, list[float]] = {}
    for row in (row for row in collected.before if row["item"] == HEIGHT):
        total = sums.setdefault(uris.get(row["key"], "earlier uploads"), [0, 0, 0.0])
        total[0] += row["n"]
        if row["bin"] * width >= high or (row["bin"] + 1) * width <= low:
            total[1] += row["n"]
            total[2] += row["x"]
    return {upload: (odd / n, x / odd if odd else 0.0, int(n)) for upload, (n, odd, x) in sums.items()}


def is_beyond(row: Row) -> bool:
    """Whether a bar of a histogram lies outside the range that silver keeps."""
    low, high = CLEAN_DAYS[row["item"]].range or (-inf, inf)
    width = BIN_WIDTH[row["item"]]
    return row["bin"] * width > high or (row["bin"] + 1) * width <= low


def moments(bins: Sequence[Row], item: str) -> dict[str | None, tuple[int, float, float]]:
    """Count, mean and variance of an item for each key of its histograms (an upload, a weekday).

    Only of bars within the range that silver keeps: a single typing error would hide everything else.
    """
    sums: dict[str | None, list[float]] = {}
    for row in bins:
        if row["item"] == item and not is_beyond(row):
            total = sums.setdefault(row["key"], [0, 0.0, 0.0])
            for position, name in enumerate(("n", "x", "xx")):
                total[position] += row[name]
    return {at: (int(n), x / n, max(xx / n - (x / n) ** 2, 0.0)) for at, (n, x, xx) in sums.items()}


def drift(collected: Collected, item: str) -> dict[str, float]:
    """How far each upload's mean is from that of all before it, in standard deviations (Cohen's d).

    Only of the latest uploads, and only where both have at least `MIN_PEOPLE` people and `MIN_PAIRS` values.
    """
    found, order = {}, [row for row in reversed(collected.uploads[:LATEST_UPLOADS]) if row["people"] >= MIN_PEOPLE]
    of = moments(collected.before, item)
    known = [of[None]] if None in of else []
    for row in order:
        if row["upload_id"] not in of:
            continue
        n, mean, variance = of[row["upload_id"]]
        total = sum(m for m, _, _ in known)
        if min(n, total) >= MIN_PAIRS:
            center = sum(m * x for m, x, _ in known) / total
            spread = sum(m * (v + (x - center) ** 2) for m, x, v in known) / total
            if pooled := sqrt((spread + variance) / 2):
                found[row["upload_id"]] = (mean - center) / pooled
        known.append(of[row["upload_id"]])
    return found
