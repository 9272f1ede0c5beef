"""Archives for tests: read one without an engine, and merge records without a lake."""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from fitness_assets.bronze.archives import ReadArchive
from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.readers import records as rec
from fitness_assets.bronze.readers.records import SCHEMA, Record, RecordCounter, days_of
from fitness_assets.bronze.sources import Folder
from fitness_assets.silver.devices.days import PersonRecords, repeated_uploads
from fitness_assets.silver.devices.merge import Day, merged_days
from fitness_assets.silver.devices.person import Upload


@dataclass
class Read:
    """What a reader makes of an archive.

    Attributes:
        rows: the records.
        counter: what became of all of them.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    counter: RecordCounter = field(default_factory=RecordCounter)

    def of(self, type_: str) -> list[dict[str, Any]]:
        """The records of one type."""
        return [row for row in self.rows if row["type"] == type_]

    @property
    def records(self) -> list[Record]:
        """All records as readers yield them, to merge; repeats were taken out of them before."""
        return [
            Record(
                row["type"], row["value"], row["unit"], row["start_at"] and at(row["start_at"].isoformat()),
                row["end_at"] and at(row["end_at"].isoformat()), row["utc_offset_seconds"],
                row["day"] and days_of(row["day"]), row["source"], row["device"], row["text"],
                clock=number,
            )
            for number, row in enumerate(self.rows)
        ]  # fmt: skip

    @property
    def counts(self) -> dict[str, dict[str, Any]]:
        """The counts by type, as the ledger has them; each of them adds up."""
        counts = json.loads(self.counter.ledger_columns()["record_counts"])
        outcomes = ("used", "duplicate", "overlapped", "not_mapped", "invalid")
        for type_, of_type in counts.items():
            assert of_type["seen"] == sum(of_type[name] for name in outcomes), (type_, of_type)
        assert sum(of_type["used"] for of_type in counts.values()) == len(self.rows)
        return counts


def read(path: Path, person: str = "anna") -> Read:
    """Read a file that is put into the folder of a person.

    Raises:
        RefusedError: if it is refused.
    """
    folder = path.parent / "read" / "people" / person
    folder.mkdir(parents=True, exist_ok=True)
    put = folder / path.name
    put.write_bytes(path.read_bytes())
    (found,) = (found for found in Folder(folder.parents[1]).find() if found.uri == str(put))
    archive = ReadArchive(found, found.person)
    rows = [row for table in archive.tables(put, path.parent / "scratch") for row in table.to_pylist()]
    return Read(rows, archive.counter)


def zipped(path: Path, entries: Mapping[str, str | bytes]) -> Path:
    """Write a ZIP archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def walk(day: str, source: str) -> str:
    """An export of Apple Health with one walk of a day, and the name of a device."""
    at = " ".join(f'{name}="{day} 07:{minute}:00 +0200"' for name, minute in (("startDate", "10"), ("endDate", "20")))
    record = f'<Record type="HKQuantityTypeIdentifierStepCount" sourceName="{source}" unit="count" {at} value="900"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<HealthData locale="en_US">\n{record}\n</HealthData>\n'


def at(text: str) -> int:
    """Milliseconds since 1970 of an ISO time; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def merged(*uploads: tuple[str, Sequence[Record]], places: Sequence[int] | None = None) -> dict[date, Day]:
    """Merge the records of one person.

    Args:
        uploads: the kind and the records of each, oldest first.
        places: of the uploads, where parts of one export share a place; as they come otherwise.
    """
    with _measurements(uploads) as (connection, known):
        if places is not None:
            known = {
                name: upload._replace(place=place) for (name, upload), place in zip(known.items(), places, strict=True)
            }
        return {day.date: day for day in merged_days(PersonRecords(connection, "anna", [*known]), known)}


def repeated(*uploads: tuple[str, Sequence[Record]]) -> set[int]:
    """The positions of the uploads that a newer one repeats."""
    with _measurements(uploads) as (connection, known):
        return {known[upload_id].place for upload_id in repeated_uploads(connection, "anna", known)}


@contextmanager
def _measurements(
    uploads: Sequence[tuple[str, Sequence[Record]]],
) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, Upload]]]:
    """Records in a table that SQL can read, and the uploads by id."""
    tables, known = [pa.Table.from_pylist([], MEASUREMENTS.arrow_schema)], {}
    for place, (kind, records) in enumerate(uploads):
        known[f"upload {place}"] = Upload(kind, place)
        for table in rec.tables(records, "anna", RecordCounter()):
            more = {
                "upload_id": [f"upload {place}"] * len(table),
                "row_number": range(len(table)),
                "ingested_at": [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=place)] * len(table),
            }
            columns = {name: table[name] for name in SCHEMA.names} | more
            arrays = [pa.array(columns[f.name], f.type) if f.name in more else columns[f.name] for f in
                      MEASUREMENTS.arrow_schema]  # fmt: skip
            tables.append(pa.Table.from_arrays(arrays, schema=MEASUREMENTS.arrow_schema))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("measurements", pa.concat_tables(tables))
        yield connection, known
