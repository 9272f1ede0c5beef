"""Makes ``silver/device_days``: merges the records of each person, and has CSV files fill and overrule them.

A person's records are merged again only if an upload of that person was added, withdrawn or restored since the previous
version. Otherwise the previous version says what devices measured, and only the months are made anew in which CSV files
changed.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.measurements import MEASUREMENTS, STATEMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.engine.expressions import of_months
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.schema.months import month_sql
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.devices.merge import Day, merged_days
from fitness_assets.silver.devices.person import Upload
from fitness_assets.silver.devices.streams import CSV
from fitness_assets.silver.tables import NEGATIVE_TO_ZERO, REJECTIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_VERSION = 4
"""Of the merge; a new one merges all records again."""
_MERGED = "device_uploads.json"  # sidecar: by person, a hash of the uploads that the version was made from
_CELLS = [column.name for column in RAW_COLUMNS if column.name not in ("user_id", "date")]
_PART = re.compile(r"(takeout-\d{8}T\d{6}Z)-[^/]*\.zip$")
_COLUMNS = ("upload_id", "type", "source", "device", "start_at", "end_at", "utc_offset_seconds", "day", "value", "unit",
            "text")  # fmt: skip
_BATCH = 10_000  # days that are written at once

_MONTH = month_sql(["date"])

Ledger = Sequence[Mapping[str, Any]]
Row = dict[str, Any]


@dataclass(frozen=True)
class DeviceDays:
    """Rows of ``silver/device_days``.

    Attributes:
        made: all rows of people whose records were merged again, and those of others in the months in which CSV files
            changed. None if nobody has records, or had any in the version before.
        differ: the months in which rows of people whose records were merged again differ from the version before.
        others: gives the rows of some months that are taken over from the version before; None: all rows were made.
    """

    made: DataFrame | None
    differ: Collection[str] = ()
    others: Callable[[Collection[str]], DataFrame] | None = None

    def rows(self, months: Collection[str] | None) -> DataFrame | None:
        """All rows of some months; None: of all of them, which have to be made then."""
        if self.made is None:
            return None
        rows = self.made.union(self.others(months)) if self.others and months is not None else self.made
        return of_months(rows, months)


def device_days(
    lake: Lake, staging: Staging, version: str, ledger: Ledger, changed: Collection[str] | None, is_rebuild: bool
) -> DeviceDays:
    """Make the rows of ``silver/device_days`` that may differ from those of the version before.

    Args:
        lake: the lake.
        staging: the version of silver that is written.
        version: of bronze.
        ledger: the rows of ``bronze/uploads`` in that version.
        changed: the months in which CSV files say something else than for the version before; None: all of them.
        is_rebuild: whether the records of everybody are merged again.
    """
    counted = _counted(ledger)
    made_from = {user_id: _hash(rows) for user_id, rows in counted.items()}
    if counted:
        staging.attach(DEVICE_DAYS, _MERGED, json.dumps(made_from).encode())
    before = None if is_rebuild else staging.parent
    merged = _merged_from(lake, before)
    everybody = made_from.keys() | merged.keys()
    if not everybody:
        return DeviceDays(None)
    people = sorted(user_id for user_id in everybody if made_from.get(user_id) != merged.get(user_id))
    path = staging.scratch / "device_days.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    read = None if people else changed
    tables = [Opened(LOGGED_DAYS, version, read)]
    tables += [Opened(MEASUREMENTS, version)] if people else []
    tables += [Opened(DEVICE_DAYS, before, read)] if before else []
    withdrawn = [row["upload_id"] for row in ledger if row["status"] == "withdrawn"]
    with reader(lake.store, tables) as connection:
        with pq.ParquetWriter(path, DEVICE_DAYS.arrow_schema) as writer:
            merged_rows = (
                _merged_rows(connection, user_id, counted[user_id], withdrawn)
                for user_id in people
                if user_id in counted
            )
            kept_rows = _kept_rows(connection, counted, people, withdrawn, changed) if merged else ()
            for batch in _batches(chain(chain.from_iterable(merged_rows), kept_rows)):
                writer.write_table(pa.Table.from_pylist(batch, DEVICE_DAYS.arrow_schema))
        differ = set[str]()
        if people and changed is not None:
            differ = _months_that_differ(connection, path, people)
    made = lake.spark.read.schema(DEVICE_DAYS.spark_schema).parquet(staging.share(path))

    def others(months: Collection[str]) -> DataFrame:
        rows = lake.read(DEVICE_DAYS, before, set(months) - set(changed or ()))
        return rows.where(~F.col("user_id").isin(people) & ~F.expr(_MONTH).isin([*(changed or ())]))

    return DeviceDays(made, differ, others if changed is not None else None)


def _counted(ledger: Ledger) -> dict[str, list[Mapping[str, Any]]]:
    """The uploads with records that count, by person, oldest first; of one content only what the last reader read."""
    counted: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in sorted(ledger, key=lambda row: row["ingested_at"]):
        if row["records_used"] and row["status"] == "ingested":
            of_person = counted.setdefault(row["person"], {})
            of_person.pop(row["content_sha256"], None)
            of_person[row["content_sha256"]] = row
    return {user_id: [*rows.values()] for user_id, rows in counted.items()}


def uploads_of(rows: Ledger) -> dict[str, Upload]:
    """The uploads of one person by id. Parts of one export have one place, so that none of them replaces another.

    Args:
        rows: of the ledger, oldest first.
    """
    places = {_export(row): place for place, row in enumerate(rows)}
    return {row["upload_id"]: Upload(row["kind"], places[_export(row)]) for row in rows}


def _export(row: Mapping[str, Any]) -> str:
    """What the parts of one export have in common; Google gives large ones in several archives."""
    part = _PART.search(row["uri"])
    return part[1] if part and row["kind"] == "google_health" else row["upload_id"]


def _hash(rows: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps([_VERSION, [row["upload_id"] for row in rows]])
    return hashlib.sha256(text.encode()).hexdigest()


def _merged_from(lake: Lake, version: str | None) -> dict[str, str]:
    """By person, a hash of the uploads that a version was made from; nobody, if it has no days of devices."""
    name = f"{version}.{_MERGED}"
    has_sidecar = version and name in lake.attachments(DEVICE_DAYS, version)
    return json.loads(lake.store.read_sidecar(DEVICE_DAYS, name)) if has_sidecar else {}


class PersonRecords:
    """The records of one person that count."""

    def __init__(self, connection: "DuckDBPyConnection", user_id: str, upload_ids: Sequence[str]) -> None:
        self._connection = connection
        self._known = {"user_id": user_id, "upload_ids": [*upload_ids], "statements": [*STATEMENTS, "age"]}

    def records(self, types: Sequence[str]) -> pa.Table:
        """Those of some types, in an order that is the same on every engine."""
        order = "ORDER BY upload_id, row_number"
        return self._ask(f"SELECT {', '.join(_COLUMNS)}", f"list_contains($types, type) {order}", types=[*types])

    def means(self, type_: str, minutes: int) -> pa.Table:
        """Those of one type as means, in an order that is the same on every engine."""
        made = {
            "start_at": f"time_bucket(INTERVAL {minutes} MINUTES, start_at)",
            "end_at": "CAST(NULL AS TIMESTAMPTZ)",
            "value": "avg(value)",
        }
        columns = ", ".join(f"{made.get(name, name)} AS {name}" for name in _COLUMNS)
        return self._ask(f"SELECT {columns}", "type = $type GROUP BY ALL ORDER BY ALL", type=type_)

    def streams(self) -> list[dict[str, Any]]:
        """Their different streams."""
        return self._ask(
            "SELECT DISTINCT upload_id, source, device", "NOT list_contains($statements, type)"
        ).to_pylist()

    def period(self) -> tuple[date, date] | None:
        """Their first and last day."""
        first, last = "coalesce(day, CAST(start_at AS DATE))", "coalesce(day, CAST(coalesce(end_at, start_at) AS DATE))"
        (found,) = self._ask(
            f"SELECT min({first}) AS first, max({last}) AS last", "NOT list_contains($statements, type)"
        ).to_pylist()
        return (found["first"], found["last"]) if found["first"] else None

    def _ask(self, select: str, where: str, **more: Any) -> pa.Table:
        sql = (
            f"{select} FROM measurements WHERE user_id = $user_id AND list_contains($upload_ids, upload_id) AND {where}"
        )
        parameters = {name: value for name, value in (self._known | more).items() if f"${name}" in sql}
        return self._connection.sql(sql, params=parameters).to_arrow_table()


def repeated_uploads(connection: "DuckDBPyConnection", user_id: str, uploads: Mapping[str, Upload]) -> set[str]:
    """The uploads that a newer one of their kind repeats: it has as many records of each type and day, or more.

    Exports are of all years, so this is the rule; then only the newest one is merged.
    """
    kinds = [upload.kind for upload in uploads.values()]
    several = [upload_id for upload_id, upload in uploads.items() if kinds.count(upload.kind) > 1]
    if not several:
        return set()
    counts: dict[str, dict[tuple[str, date | None], int]] = {upload_id: {} for upload_id in several}
    found = connection.execute(
        """
        SELECT upload_id, type, coalesce(day, CAST(start_at AS DATE)) AS day, count(*)
        FROM measurements WHERE user_id = $user_id AND list_contains($several, upload_id) GROUP BY ALL
        """,
        {"user_id": user_id, "several": several},
    ).fetchall()
    for upload_id, type_, day, count in found:
        counts[upload_id][type_, day] = count

    def is_repeated(older: str) -> bool:
        return any(
            uploads[newer].kind == uploads[older].kind
            and uploads[newer].place > uploads[older].place
            and all(counts[newer].get(key, 0) >= count for key, count in counts[older].items())
            for newer in several
        )

    return {upload_id for upload_id in several if is_repeated(upload_id)}


def _merged_rows(
    connection: "DuckDBPyConnection", user_id: str, ledger: Ledger, withdrawn: Sequence[str]
) -> Iterator[Row]:
    """The rows of one person, whose records are merged."""
    every = uploads_of(ledger)
    repeated = repeated_uploads(connection, user_id, every)
    uploads = {upload_id: upload for upload_id, upload in every.items() if upload_id not in repeated}
    days = merged_days(PersonRecords(connection, user_id, [*uploads]), uploads)
    known = {"user_id": user_id, "withdrawn": [*withdrawn]}
    found = connection.execute(_logged("user_id = $user_id"), known).fetchall()
    logged = {day: (last, cells) for _, day, last, *cells in found}
    return (_row(user_id, day, ledger[-1], *logged.get(day.date, (None, ()))) for day in days)


def _kept_rows(
    connection: "DuckDBPyConnection",
    counted: Mapping[str, Ledger],
    people: Sequence[str],
    withdrawn: Sequence[str],
    months: Collection[str] | None,
) -> Iterator[Row]:
    """Of some months, the rows of all but some people: the version before says what devices measured."""
    known: dict[str, Any] = {"people": [*people], "withdrawn": [*withdrawn]}
    chosen = "NOT list_contains(CAST($people AS VARCHAR[]), user_id)"
    if months is not None:
        known["months"] = sorted(months)
        chosen += f" AND list_contains(CAST($months AS VARCHAR[]), {_MONTH})"
    of_people = "user_id IN (SELECT user_id FROM device_days)"
    rows = connection.execute(
        f"""
        SELECT user_id, date, measured, devices.extra, logged.* EXCLUDE (user_id, date)
        FROM (FROM device_days WHERE {chosen}) AS devices
        LEFT JOIN ({_logged(f"{chosen} AND {of_people}")}) AS logged USING (user_id, date)
        ORDER BY user_id, date
        """,
        known,
    )
    while found := rows.fetchmany(_BATCH):
        for user_id, day, measured, extra, last, *cells in found:
            said = json.loads(measured)
            kept = Day(day, said["cells"], said["sources"], set(said["before_csv"]), json.loads(extra))
            yield _row(user_id, kept, counted[user_id][-1], last, cells)


def _logged(where: str) -> str:
    """A query: of each person and day in CSV files, when the last row was ingested, and the cells that count."""
    cleaned = ", ".join(f"CASE WHEN {name} < 0 THEN 0 ELSE {name} END AS {name}" for name in NEGATIVE_TO_ZERO)
    broken = " OR ".join(f"coalesce({rule.violated}, false)" for rule in REJECTIONS)
    cells = ", ".join(f"last({name} ORDER BY ingested_at, row_number) AS {name}" for name in _CELLS)
    return f"""
        SELECT user_id, date, max(ingested_at) AS last_ingested, {cells}
        FROM (
            SELECT * REPLACE ({cleaned}) FROM logged_days
            WHERE {where} AND NOT list_contains(CAST($withdrawn AS VARCHAR[]), upload_id)
        )
        WHERE NOT ({broken}) GROUP BY user_id, date
        """


def _months_that_differ(connection: "DuckDBPyConnection", path: Path, people: Sequence[str]) -> set[str]:
    """The months in which rows of some people are other than in the version before."""
    connection.read_parquet(str(path)).create_view("made")
    made, before = (
        f"(FROM {table} WHERE list_contains(CAST($people AS VARCHAR[]), user_id))" for table in ("made", "device_days")
    )
    different = f"({made} EXCEPT {before}) UNION ALL ({before} EXCEPT {made})"
    found = connection.execute(f"SELECT DISTINCT {_MONTH} FROM ({different})", {"people": [*people]}).fetchall()
    return {month for (month,) in found}


def _row(user_id: str, day: Day, newest: Mapping[str, Any], last: datetime | None, logged: Sequence[Any]) -> Row:
    """One row: of each column the value of the CSV files, unless the person's own order puts devices first.

    Args:
        user_id: the person.
        day: what devices measured.
        newest: the row of the ledger of the person's newest upload.
        last: when the last row of the CSV files for this day was ingested; None without one.
        logged: what CSV files say, in the order of `_CELLS`; nothing without a row.
    """
    cells, sources = dict(day.cells), dict(day.sources)
    for name, value in zip(_CELLS, logged, strict=False):
        if value is not None and not (name in cells and name in day.before_csv):
            cells[name], sources[name] = value, CSV
    measured = {"cells": day.cells, "sources": day.sources, "before_csv": sorted(day.before_csv)}
    return {
        "upload_id": newest["upload_id"],
        "row_number": (day.date - date(1970, 1, 1)).days,
        "user_id": user_id,
        "date": day.date,
        **cells,
        "extra": json.dumps(day.extra, ensure_ascii=False),
        "sources": json.dumps(sources, ensure_ascii=False),
        "measured": json.dumps(measured, ensure_ascii=False),
        "ingested_at": max(newest["ingested_at"], last or newest["ingested_at"]) + timedelta(microseconds=1),
    }


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
