"""The kinds of archives: how each is recognised by its content, and which module reads it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitness_assets.bronze.readers import apple_health, csv, garmin, google_health, health_connect, profile, web_csv
from fitness_assets.bronze.readers.archives import SQLITE, Archive, is_archive
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import Record, RecordCounter


@dataclass(frozen=True)
class Kind:
    """A kind of archive.

    Attributes:
        name: as the ledger has it.
        label: for a person.
        version: of its reader; archives are read again by a newer one.
        matches: whether an archive is of this kind.
        records: yields the records of an archive.
    """

    name: str
    label: str
    version: int
    matches: Callable[[Archive], bool]
    records: Callable[[Archive, RecordCounter], Iterator[Record]]


def _has_tables_of(kind: str) -> Callable[[Archive], bool]:
    return lambda archive: web_csv.kind_of_tables(archive) == kind


KINDS = (
    Kind("garmin", "Garmin (export of all data)", garmin.VERSION, garmin.matches, garmin.records),
    Kind(
        "health_connect",
        "Android Health Connect (scheduled export)",
        health_connect.VERSION,
        health_connect.matches,
        health_connect.records,
    ),
    Kind("apple_health", "Apple Health (export.zip)", apple_health.VERSION, apple_health.matches, apple_health.records),
    Kind(
        "google_health",
        "Google Health and Fitbit (Takeout)",
        google_health.VERSION,
        google_health.matches,
        google_health.records,
    ),
    *(
        Kind(name, label, web_csv.VERSION, _has_tables_of(name), web_csv.records)
        for name, label in (
            ("samsung_health", "Samsung Health (download of personal data)"),
            ("oura", "Oura (export of data)"),
            ("withings", "Withings (download of data)"),
            ("garmin_web", "Garmin Connect (CSV reports of steps, sleep and weight)"),
            ("google_fit", "Google Fit (daily metrics of Takeout)"),
        )
    ),
)

VERSIONS = {"profile": profile.VERSION, **{kind.name: kind.version for kind in KINDS}}
"""Versions of the readers by kind."""


def all_readers() -> int:
    """A number that grows with each new version of a reader, and with each new kind."""
    return sum(VERSIONS.values()) + csv.VERSION


def newer_version(ledger_row: Mapping[str, Any]) -> int | None:
    """The version that has to read an upload again; None if the one that read or refused it is still the newest.

    Args:
        ledger_row: the upload's row of ``bronze/uploads``.
    """
    status = ledger_row.get("status")  # ledgers of earlier releases lack columns
    now = all_readers() if status == "refused" else VERSIONS.get(ledger_row.get("kind") or "")
    return None if status == "withdrawn" or now == ledger_row.get("reader_version") else now


_NOT_READ = (
    ("an export of WHOOP", "physiological_cycles"),
    ("an export of Strava", "activities.csv"),
    ("an export of Huawei Health", "health detail data"),
    ("an export of Zepp", "heartrate_auto"),
    ("an export of Mi Fitness", "hlth_center"),
    ("an export of Polar", "247ohr"),
    ("an export of MyFitnessPal", "measurement-summary"),
    ("an Excel workbook", "[content_types].xml"),
)


def has_records(path: Path, scratch: Path) -> bool:
    """Whether a file is read as records of a device, and not as a CSV file of daily rows.

    Args:
        path: the file.
        scratch: a folder for copies of entries.
    """
    if is_archive(path):
        return True
    with Archive(path, scratch) as archive:
        return web_csv.kind_of_tables(archive) is not None


def kind_of(archive: Archive) -> Kind:
    """The kind of an archive.

    Raises:
        RefusedError: if no reader knows it; the sentence lists those that are read.
    """
    for kind in KINDS:
        if kind.matches(archive):
            return kind
    what = "it is a file" if not archive.is_zip else "it is a ZIP archive"
    names = [entry.name.lower() for entry in archive.entries]
    known = next((label for label, sign in _NOT_READ if any(sign in name for name in names)), None)
    is_database = not archive.is_zip and archive.head(archive.entries[0]).startswith(SQLITE)
    if known == "an Excel workbook":
        raise RefusedError("it is an Excel workbook: save it as CSV")
    what = f"it is {known}" if known else "it is a database" if is_database else what
    raise RefusedError(f"{what}, which is not read; read are CSV files and {', '.join(k.label for k in KINDS)}")
