"""The layouts of vendors' CSV tables: how to recognise each table, and what its columns mean.

Each table is one `Layout`; ``web_csv.py`` reads all of them. Only English names of columns are known. To read another
table, add an entry to `LAYOUTS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fitness_assets.bronze.readers.table_rows import (
    Row,
    Skipped,
    When,
    above_zero,
    bedtime,
    by_date,
    day_in,
    from_to,
    garmin_days,
    garmin_weights,
    oura_moment,
    oura_sleep,
    samsung_day,
    samsung_nights,
    samsung_part,
    samsung_point,
    samsung_time,
)

_STRESS = "0 to 100, high is stressed"
_STAGES = {"40001": "awake", "40002": "light", "40003": "deep", "40004": "rem"}
_NO_STEPS = "a day without steps has only the energy at rest"
_SAMSUNG = "com.samsung.shealth."
_ASLEEP_SECONDS = {"light": "light_sleep_duration", "deep": "deep_sleep_duration", "rem": "rem_sleep_duration"}


class Cell(NamedTuple):
    """One record of a row.

    Attributes:
        columns: the column of its value; of several columns the sum is the value.
        type: of the record.
        unit: of the value, unless the cell itself names one.
        text: of the record, beside the value.
        code: makes the text of a cell that is a code and no number; None for an unknown code.
        unless: columns that say it better; the cell counts only if none of them is above zero.
    """

    columns: tuple[str, ...]
    type: str
    unit: str | None = None
    text: str | None = None
    code: Callable[[str], str | None] | None = None
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """One table of one vendor.

    Attributes:
        kind: the kind of archive that it belongs to.
        source: the app, for its records.
        signs: names that its header has. The first line of a table of Samsung counts as a name.
        when: the time of a row, or the reason why it has none.
        cells: the records of a row; a header needs the columns of at least one of them.
        delimiter: between cells.
        entry: the name of its file in a ZIP archive, where the header alone does not tell the table.
        skip: the outcome and the reason if a row does not count; None if it counts.
        prepare: changes or checks all rows at once, which have to fit in memory. It raises `RefusedError` if they are
            not what they seem.
        once: a column of ids. A row whose id an earlier table of the archive had counts there.
        has_headings: whether rows may be shorter than the header.
    """

    kind: str
    source: str
    signs: frozenset[str]
    when: Callable[[Row], When | str]
    cells: tuple[Cell, ...]
    delimiter: str = ","
    entry: str | None = None
    skip: Callable[[Row], Skipped] = lambda _: None
    prepare: Callable[[Sequence[Row]], Sequence[Row]] | None = None
    once: str | None = None
    has_headings: bool = False


LAYOUTS = (
    Layout(
        "google_fit",
        "Google Fit",
        frozenset(("Date", "Step count", "Calories (kcal)")),
        day_in("Date"),
        (
            Cell(("Step count",), "steps", "count"),
            Cell(("Calories (kcal)",), "energy_total", "kcal"),
            Cell(("Average heart rate (bpm)",), "heart_rate", "bpm"),
            Cell(("Max heart rate (bpm)",), "heart_rate_max", "bpm"),
            Cell(("Min heart rate (bpm)",), "heart_rate_min", "bpm"),
            Cell(("Average weight (kg)",), "weight", "kg"),
            Cell(("Sleep duration (ms)",), "sleep", "ms", "asleep"),
        ),
        skip=above_zero("Step count", _NO_STEPS),
    ),
    Layout(
        "garmin_web",
        "Garmin Connect",
        frozenset(("", "Actual")),
        day_in(""),
        (Cell(("Actual",), "steps", "count"),),
        prepare=garmin_days,
    ),
    Layout(
        "garmin_web",
        "Garmin Connect",
        frozenset(("Sleep Score 4 Weeks", "Duration", "Bedtime", "Wake Time")),
        day_in("Sleep Score 4 Weeks"),
        (Cell(("Duration",), "sleep", None, "asleep"), Cell(("Resting Heart Rate",), "resting_heart_rate", "bpm")),
    ),
    Layout(
        "garmin_web",
        "Garmin Connect",
        frozenset(("Time", "Weight", "Change", "Body Fat")),
        day_in("day"),
        (Cell(("Weight",), "weight"), Cell(("BMI",), "bmi", "count")),
        prepare=garmin_weights,
        has_headings=True,
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset((f"{_SAMSUNG}step_daily_trend", "day_time", "source_type")),
        samsung_day,
        (Cell(("count",), "steps", "count"), Cell(("calorie",), "energy_active", "kcal")),
        skip=samsung_part,
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset(("com.samsung.health.sleep_stage", "start_time", "end_time", "sleep_id", "time_offset")),
        samsung_time,
        (Cell(("stage",), "sleep", code=_STAGES.get),),
        once="sleep_id",
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset((f"{_SAMSUNG}sleep", "start_time", "end_time", "datauuid", "time_offset")),
        samsung_time,
        (Cell(("end_time",), "sleep", code=lambda _: "session"),),
        prepare=samsung_nights,
        once="datauuid",
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset((f"{_SAMSUNG}tracker.heart_rate", "start_time", "time_offset")),
        samsung_point,
        (Cell(("heart_rate",), "heart_rate", "bpm"),),
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset(("com.samsung.health.weight", "start_time", "time_offset")),
        samsung_point,
        (Cell(("weight",), "weight", "kg"), Cell(("height",), "height", "cm")),
    ),
    Layout(
        "samsung_health",
        "Samsung Health",
        frozenset((f"{_SAMSUNG}stress", "start_time", "time_offset")),
        samsung_point,
        (Cell(("score",), "stress", None, _STRESS),),
    ),
    Layout(
        "withings",
        "Withings",
        frozenset(("Date", "Comments")),
        day_in("Date"),
        (Cell(("Weight (kg)",), "weight", "kg"), Cell(("Weight (lb)",), "weight", "lb")),
        prepare=by_date,
    ),
    *(
        Layout(
            "withings",
            "Withings",
            frozenset(("date", "value")),
            day_in("date"),
            (Cell(("value",), type_, unit),),
            entry=f"aggregates_{name}.csv",
        )
        for name, type_, unit in (
            ("steps", "steps", "count"),
            ("calories_earned", "energy_active", "kcal"),
            ("calories_passive", "energy_basal", "kcal"),
        )
    ),
    Layout(
        "withings",
        "Withings",
        frozenset(("from", "to", "light (s)", "deep (s)")),
        from_to,
        tuple(Cell((f"{stage} (s)",), "sleep", "s", stage) for stage in ("light", "deep", "rem", "awake")),
    ),
    Layout(
        "oura",
        "Oura",
        frozenset(("day", "steps", "total_calories")),
        day_in("day"),
        (
            Cell(("steps",), "steps", "count"),
            Cell(("total_calories",), "energy_total", "kcal"),
            Cell(("active_calories",), "energy_active", "kcal"),
            Cell(("medium_activity_time", "high_activity_time"), "exercise", "s"),
        ),
        delimiter=";",
        skip=above_zero("steps", _NO_STEPS),
    ),
    Layout(
        "oura",
        "Oura",
        frozenset(("day", "bedtime_start", "bedtime_end", "total_sleep_duration", "type")),
        bedtime,
        (
            *(Cell((column,), "sleep", "s", stage) for stage, column in _ASLEEP_SECONDS.items()),
            Cell(("awake_time",), "sleep", "s", "awake"),
            Cell(("total_sleep_duration",), "sleep", "s", "asleep", unless=(*_ASLEEP_SECONDS.values(),)),
        ),
        delimiter=";",
        skip=oura_sleep,
    ),
    Layout(
        "oura",
        "Oura",
        frozenset(("timestamp", "bpm", "source")),
        oura_moment,
        (Cell(("bpm",), "heart_rate", "bpm"),),
        delimiter=";",
    ),
)
"""Of one archive the tables are read in this order."""
