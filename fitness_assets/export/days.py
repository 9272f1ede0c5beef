"""The clean days of one person, and the measures of each day that have a code."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from fitness_assets.bronze.tables import RAW_COLUMNS, UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError, TableMissingError
from fitness_assets.schema.standards import Standard
from fitness_assets.schema.table import Column
from fitness_assets.silver.tables import CLEAN_DAYS

CREATED_AT = "created_at"
"""Key of a day: when the upload that the day is from was last changed (UTC)."""

Day = Mapping[str, Any]


class Measure(NamedTuple):
    """One value of one day.

    Attributes:
        column: its column.
        standard: the codes of the column.
        value: the value; never None.
        identifier: a UUID that depends on the person, the day, the column and the value alone.
    """

    column: Column
    standard: Standard
    value: Any
    identifier: str


def days_of(lake: Lake, user_id: str) -> list[Day]:
    """The clean days of one person by date: the raw columns, and `CREATED_AT`.

    Raises:
        LakeError: if there is no clean day of the person, or no table yet.
    """
    from pyarrow.dataset import field  # loads slowly, and only an export needs it

    version = lake.current(CLEAN_DAYS)
    if version is None:
        raise TableMissingError(f"{CLEAN_DAYS.key} does not exist yet: there is no day to export.")
    names = [*(column.name for column in RAW_COLUMNS), "upload_id"]
    rows = lake.store.dataset(CLEAN_DAYS, version).to_table(columns=names, filter=field("user_id") == user_id)
    if not rows.num_rows:
        raise LakeError(f"{CLEAN_DAYS.key} has no day of the user {user_id}: check the id.")
    created_at = {row["upload_id"]: row["modified_at"] for row in lake.rows(UPLOADS)}
    # A rollback may leave the ledger without an upload that silver still has.
    unknown = datetime(1970, 1, 1, tzinfo=UTC)
    days = [{**day, CREATED_AT: created_at.get(day.pop("upload_id"), unknown)} for day in rows.to_pylist()]
    return sorted(days, key=lambda day: day["date"])


def measures_of(day: Day) -> Iterator[Measure]:
    """The values of a day that are there and have a code."""
    for column in RAW_COLUMNS:
        value = day[column.name]
        if column.standard and value is not None:
            name = f"fitness-assets/{day['user_id']}/{day['date']}/{column.name}/{value}"
            yield Measure(column, column.standard, value, str(uuid5(NAMESPACE_URL, name)))
