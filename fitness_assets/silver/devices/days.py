"""Makes ``silver/device_days``: merges the records of each person, and has CSV files fill and overrule them.

A person's records are merged again only if an upload of that person was added, withdrawn or restored since the previous
version. Otherwise the days of the previous version are used.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from fitness_assets.bronze.measurements import MEASUREMENTS, STATEMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
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

Ledger = Sequence[Mapping[str, Any]]


def device_days(lake: Lake, staging: Staging, version: str, ledger: Ledger) -> DataFrame | None:
    """Make the rows of ``silver/device_days``.

    Args:
        lake: the lake.
        staging: the version of silver that is written.
        version: of bronze.
        ledger: the rows of ``bronze/uploads`` in that version.

    Returns:
        The rows; None if no upload has records.
    """
    counted = _counted(ledger)
    if not counted:
        return None
    made_from = {user_id: _hash(rows) for user_id, rows in counted.items()}
    staging.attach(DEVICE_DAYS, _MERGED, json.dumps(made_from).encode())
    before, is_kept = _before(lake, staging), set[str]()
    if before:
        kept = json.loads(lake.store.read_sidecar(DEVICE_DAYS, f"{before}.{_MERGED}"))
        is_kept = {user_id for user_id, digest in made_from.items() if kept.get(user_id) == digest}
    path = staging.scratch / "device_days.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = [Opened(MEASUREMENTS, version), Opened(LOGGED_DAYS, version)]
    tables += [Opened(DEVICE_DAYS, before)] if before else []
    withdrawn = [row["upload_id"] for row in ledger if row["status"] == "withdrawn"]
    with reader(lake.store, tables) as connection, pq.ParquetWriter(path, DEVICE_DAYS.arrow_schema) as writer:
        for user_id, rows in sorted(counted.items()):
            if user_id in is_kept:
                days = _kept_days(connection, user_id)
            else:
                every = uploads_of(rows)
                repeated = repeated_uploads(connection, user_id, every)
                uploads = {upload_id: upload for upload_id, upload in every.items() if upload_id not in repeated}
                days = merged_days(PersonRecords(connection, user_id, [*uploads]), uploads)
            logged = _logged_days(connection, user_id, withdrawn)
            made = (_row(user_id, day, rows[-1], logged.get(day.date)) for day in days)
            for batch in _batches(made):
                writer.write_table(pa.Table.from_pylist(batch, DEVICE_DAYS.arrow_schema))
    return lake.spark.read.schema(DEVICE_DAYS.spark_schema).parquet(staging.share(path))


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


def _before(lake: Lake, staging: Staging) -> str | None:
    """The version before, if it says what it was made from."""
    before = staging.parent
    has_sidecar = before and f"{before}.{_MERGED}" in lake.attachments(DEVICE_DAYS, before)
    return before if has_sidecar else None


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


def _kept_days(connection: "DuckDBPyConnection", user_id: str) -> Iterator[Day]:
    """What the version before says that devices measured."""
    rows = connection.execute(
        "SELECT date, measured, extra FROM device_days WHERE user_id = $1 ORDER BY date", [user_id]
    )
    for day, measured, extra in rows.fetchall():
        said = json.loads(measured)
        yield Day(day, said["cells"], said["sources"], set(said["before_csv"]), json.loads(extra))


def _logged_days(
    connection: "DuckDBPyConnection", user_id: str, withdrawn: Sequence[str]
) -> dict[date, tuple[dict[str, Any], datetime]]:
    """Of each day of a person in CSV files, the cells of the row that counts, and when the last row was ingested."""
    cleaned = ", ".join(f"CASE WHEN {name} < 0 THEN 0 ELSE {name} END AS {name}" for name in NEGATIVE_TO_ZERO)
    broken = " OR ".join(f"coalesce({rule.violated}, false)" for rule in REJECTIONS)
    cells = ", ".join(f"last({name} ORDER BY ingested_at, row_number) AS {name}" for name in _CELLS)
    rows = connection.execute(
        f"""
        WITH cleaned AS (
            SELECT * REPLACE ({cleaned}) FROM logged_days
            WHERE user_id = $user_id AND NOT list_contains(CAST($withdrawn AS VARCHAR[]), upload_id)
        )
        SELECT date, max(ingested_at) AS last, {cells} FROM cleaned WHERE NOT ({broken}) GROUP BY date
        """,
        {"user_id": user_id, "withdrawn": [*withdrawn]},
    ).fetchall()
    return {day: (dict(zip(_CELLS, values, strict=True)), last) for day, last, *values in rows}


def _row(
    user_id: str, day: Day, newest: Mapping[str, Any], logged: tuple[dict[str, Any], datetime] | None
) -> dict[str, Any]:
    """One row: of each column the value of the CSV files, unless the person's own order puts devices first."""
    written, last = logged or ({}, newest["ingested_at"])
    cells, sources = dict(day.cells), dict(day.sources)
    for name, value in written.items():
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
        "ingested_at": max(newest["ingested_at"], last) + timedelta(microseconds=1),
    }


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    from itertools import islice

    while batch := list(islice(rows, _BATCH)):
        yield batch
