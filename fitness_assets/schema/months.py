"""Calendar months as labels (``2024-09``): the unit in which tables by month are stored, made anew and checked.

A file of such a table holds rows of one month; its path says which one. So a run knows from paths alone which months
differ between two versions. A month that is made anew has up to three files, for its days until the 10th, until the
20th, and after it. If the rows of a file stay the same, no new file is stored.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

MONTH = "calendar_month"
"""The column by which an engine splits rows into files (``2024-09``, ``2024-09.2``); the files do not hold it."""

OTHER = "other"
"""The label of days before 1990 and after 2099: nobody logged them, and they must not make thousands of files."""

WHOLE = ""
"""The label of files of tables that are not stored by month."""

FIRST_YEAR, END_YEAR = 1990, 2100

_LABEL = rf"([0-9]{{4}}-[0-9]{{2}}|{OTHER})"
_IN_PATH = re.compile(rf"(?:^|/)(?:{MONTH}={_LABEL}(?:\.[1-3])?/|{_LABEL}\.)[^/]*$")


def month_in(path: str) -> str:
    """The month of a file, from its path; `WHOLE` if the path names none."""
    found = _IN_PATH.search(path)
    return found[1] or found[2] if found else WHOLE


def in_months(paths: Iterable[str], months: Collection[str] | None) -> list[str]:
    """The files that may hold rows of some months; None: all of them."""
    return [path for path in paths if months is None or month_in(path) in {*months, WHOLE}]


def month_sql(columns: Collection[str]) -> str:
    """The month of a row as an SQL expression that Spark and DuckDB understand.

    Args:
        columns: names of the table's columns; ``date`` (a day) or ``date_key`` (yyyymmdd) is among them.
    """
    if "date" in columns:
        is_known = f"date >= DATE '{FIRST_YEAR}-01-01' AND date < DATE '{END_YEAR}-01-01'"
        label = "concat(CAST(year(date) AS STRING), '-', lpad(CAST(month(date) AS STRING), 2, '0'))"
    else:
        is_known = f"date_key >= {FIRST_YEAR}0101 AND date_key < {END_YEAR}0101"
        digits = "CAST(date_key AS STRING)"
        label = f"concat(substr({digits}, 1, 4), '-', substr({digits}, 5, 2))"
    return f"CASE WHEN {is_known} THEN {label} ELSE '{OTHER}' END"


def third_sql(columns: Collection[str]) -> str:
    """The month of a row and the third of the month, as `month_sql` gives the month: ``2024-09.2``."""
    day = "day(date)" if "date" in columns else "date_key % 100"
    return f"concat({month_sql(columns)}, CASE WHEN {day} <= 10 THEN '.1' WHEN {day} <= 20 THEN '.2' ELSE '.3' END)"


def month_of_row(row: Mapping[str, Any]) -> str:
    """The month of a row as JSON has it: ``date`` is a text, ``date_key`` a number."""
    digits = str(row.get("date") or row.get("date_key") or "").replace("-", "")
    is_known = len(digits) == len("20240906") and FIRST_YEAR <= int(digits[:4]) < END_YEAR
    return f"{digits[:4]}-{digits[4:6]}" if is_known else OTHER


def month_of(day: date) -> str:
    """The month of a day between 1990 and 2099."""
    return f"{day:%Y-%m}"


def first_day(month: str) -> date:
    """The first day of a month."""
    return date.fromisoformat(f"{month}-01")


def last_day(month: str) -> date:
    """The last day of a month."""
    return first_day(month_of(first_day(month) + timedelta(31))) - timedelta(1)


def widened(months: Iterable[str], before: int, after: int) -> set[str]:
    """The months that have days from so many days before to so many days after a day of one of these months."""
    found: set[str] = set()
    for month in months:
        found.add(month)
        if month != OTHER:
            day, end = first_day(month) - timedelta(before), last_day(month) + timedelta(after)
            while day <= end:
                found.add(month_of(day))
                day = last_day(month_of(day)) + timedelta(1)
    return found
