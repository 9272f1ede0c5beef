"""The bronze step: it ingests every upload that the ledger does not know yet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from fitness_assets.bronze import transforms
from fitness_assets.bronze.archives import REPEATED, ReadArchive
from fitness_assets.bronze.erasures import REFUSAL, LeftOut
from fitness_assets.bronze.identity import Hashes, Upload, identify
from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.pseudonyms import AS_UPLOADED, Pseudonyms
from fitness_assets.bronze.readers.cells import listed
from fitness_assets.bronze.readers.csv import VERSION as CSV_VERSION
from fitness_assets.bronze.readers.csv import Dialect, read_rows, require_name, tell_dialect
from fitness_assets.bronze.readers.header import RAW_NAMES, RefusedError
from fitness_assets.bronze.readers.kinds import all_readers, has_records
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.row_files import Draft, RowFiles
from fitness_assets.bronze.run_inputs import keep_users, known_users, run_inputs
from fitness_assets.bronze.sources import source_of
from fitness_assets.bronze.tables import FOUND, LOGGED_DAYS, QUARANTINE, TABLES, UNREAD, UPLOADS
from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage, write
from fitness_assets.engine.rule_checks import check_run_inputs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.schema.months import WHOLE, month_in
from fitness_assets.schema.table import Table

_START = datetime(1970, 1, 1, tzinfo=UTC)
_HASHES = "hashes.json"  # sidecar of the ledger: content hashes that it does not hold
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
_HEADER_CHARACTERS = 2_000
_MOST_FILES = 8
"""If a month of logged days has more files, the next upload merges them. So do other tables with all of their files."""


@dataclass
class _Ingested:
    """The outcome of one new upload."""

    upload: Upload
    ingested_at: datetime
    pseudonyms: Pseudonyms
    left_out: LeftOut
    rows_read: int = 0
    rows_quarantined: int = 0
    refusal: str | None = None
    dialect: Dialect | None = None
    decimal_mark: str | None = None
    archive: ReadArchive | None = None
    warnings: list[str] = field(default_factory=list)

    def read(self, files: RowFiles, records: RowFiles) -> None:
        """Cut the upload into rows of cells, or into records, for the engine.

        Raises:
            OSError: if it cannot be read, or changes meanwhile; nothing of it is in ``files`` and ``records`` then.
        """
        found = self.upload.found
        with self.upload.source.local_copy(found, files.folder) as path:
            if found.is_profile or has_records(path, records.folder):
                self._read_records(path, records)
                return
            try:
                require_name(self.upload.found.uri)
                dialect = tell_dialect(path, self.upload.found.text)
            except RefusedError as refused:
                # An unpacked export in the folder of a person has files that nobody means to be read.
                hides_cells = self.pseudonyms.check or self.upload.found.person
                self.refusal = refused.without_cells if hides_cells else str(refused)
                return
            styles = NumberStyles(dialect.header.delimiter)
            try:
                draft = self._draft(files, path, dialect, styles)
                if styles.decide():
                    draft.discard()
                    draft = self._draft(files, path, dialect, styles)
            except (RefusedError, UnicodeError, pa.ArrowInvalid) as error:
                if self.upload.is_unchanged():
                    raise
                raise OSError(f"it changed while it was read: {error}") from error
            if not self.upload.is_unchanged():
                draft.discard()
                raise OSError("it changed while it was read")
            self.rows_read = draft.rows
            files.keep(draft)
        self.dialect, self.decimal_mark = dialect, styles.decimal_mark
        empty = [] if self.rows_read else ["the file has a header and no rows"]
        others = listed(name for name in dialect.header.names if name not in RAW_NAMES)
        left_out = (
            [f"left out, because FITNESS_PSEUDONYM_KEY is set: {others}"] if others and self.pseudonyms.check else []
        )
        erased = [f"rows of erased people that were left out: {self.left_out.rows:,}"] if self.left_out.rows else []
        self.warnings = [*dialect.encoding.warnings, *dialect.header.warnings, *empty, *left_out, *erased]

    def _draft(self, files: RowFiles, path: Path, dialect: Dialect, styles: NumberStyles) -> Draft:
        self.left_out.rows = 0
        rows = map(self.pseudonyms.hide, map(self.left_out, read_rows(path, dialect, styles)))
        return files.draft(self.upload.upload_id, self.ingested_at, rows)

    @property
    def person(self) -> str | None:
        """Whose folder it lies in, as tables name them."""
        person = self.upload.found.person
        return person and self.pseudonyms.of(person)

    @property
    def summary(self) -> str:
        """What became of its rows or records."""
        if self.archive:
            return f"{self.archive.counter.seen:,} records seen, {self.archive.counter.used:,} used"
        return f"{self.rows_read:,} rows read, {self.rows_quarantined:,} quarantined"

    def _read_records(self, path: Path, records: RowFiles) -> None:
        person = self.upload.found.person
        if self.left_out.people.have(person):
            self.refusal = REFUSAL
            return
        archive = ReadArchive(self.upload.found, self.person)
        try:
            tables = map(self.pseudonyms.hide_names, archive.tables(path, records.folder))
            draft = records.draft(self.upload.upload_id, self.ingested_at, tables)
        except RefusedError as refused:
            if not self.upload.is_unchanged():
                raise OSError(f"it changed while it was read: {refused}") from refused
            self.refusal = str(refused)
            return
        if not self.upload.is_unchanged():
            draft.discard()
            raise OSError("it changed while it was read")
        records.keep(draft)
        self.archive, self.warnings = archive, archive.counter.warnings

    def ledger_row(self) -> dict[str, Any]:
        """The upload's row of the ledger."""
        dialect = self.dialect
        return {
            "upload_id": self.upload.upload_id,
            "content_sha256": self.upload.content_sha256,
            **asdict(self.upload.found),
            "uri": self.upload.found.text,
            "person": self.person,
            "status": "refused" if self.refusal else "ingested",
            "refusal": self.refusal,
            "rows_read": self.rows_read,
            "rows_typed": self.rows_read - self.rows_quarantined,
            "rows_quarantined": self.rows_quarantined,
            "encoding": dialect.encoding.label if dialect else None,
            "delimiter": _DELIMITER_NAMES[dialect.header.delimiter] if dialect else None,
            "decimal_mark": self.decimal_mark,
            "header": dialect.header_text[:_HEADER_CHARACTERS] if dialect else None,
            "warnings": self.warnings,
            "pseudonym_key": self.pseudonyms.check,
            "ingested_at": self.ingested_at,
            "reader_version": all_readers() if self.refusal else None,
            **({"kind": "csv", "reader_version": CSV_VERSION} if dialect else {}),
            **(self.archive.ledger_columns() if self.archive else {}),
        }


def bronze_step(raw: str, pseudonyms: Pseudonyms = AS_UPLOADED) -> LayerStep:
    """The step that makes this layer.

    Args:
        raw: a file, a folder or an S3 prefix; where uploads are looked for unless a run names other sources.
        pseudonyms: what stands for the ids of uploads.
    """

    def make(step_run: StepRun, inputs: Inputs, changes: Changes) -> Staging:
        lake, sources = step_run.lake, step_run.uploads or [raw]
        version = lake.current(UPLOADS)
        ledger = sorted(lake.rows(UPLOADS, version), key=lambda row: row["ingested_at"]) if version else []
        pseudonyms.require_same_key(ledger)
        hashes = _known_hashes(lake, ledger, version)
        unread: dict[str, str] = {}
        places = [source_of(source, bool(step_run.uploads), raw) for source in sources]
        found = identify(places, ledger, hashes, unread, pseudonyms)
        if version is None and not found:
            missing = f"There is no upload in {', '.join(sources)}: put a CSV file there."
            raise LakeError(next(iter(unread.values()), missing))
        for uri, reason in unread.items():
            step_run.log.warning(f"{uri} cannot be read and is left out: {reason}")
        known = {row["upload_id"] for row in ledger}
        new = [upload for upload in found if upload.upload_id not in known]
        step_run.log.info(f"uploads found: {len(found)}, new: {len(new)}")
        if version and not new and _has_all_tables(lake, version):
            if hashes.have_changed:
                lake.store.write_sidecar(UPLOADS, f"{version}.{_HASHES}", hashes.to_json().encode())
            return _check_again(lake, found, unread)
        lake.start_spark()
        users = known_users(lake, version)

        def write_all(staging: Staging) -> None:
            if staging.parent != version:
                raise VersionConflictError(f"another run published {UPLOADS.key} meanwhile.")
            _ingest(step_run, staging, new, unread, ledger, pseudonyms)
            staging.run_inputs = run_inputs(_ids(found), unread, known, users)
            keep_users(staging, users)
            staging.attach(UPLOADS, _HASHES, hashes.to_json().encode())

        return stage(step_run, step, inputs, Changes("new uploads"), write_all)

    step = LayerStep(TABLES, [], make, code_version("bronze", "schema"), has_uploads=True)
    return step


def _known_hashes(lake: Lake, ledger: Sequence[dict[str, Any]], version: str | None) -> Hashes:
    """The content hashes of the ledger, and those that earlier runs kept beside it."""
    name = f"{version}.{_HASHES}"
    has_sidecar = version is not None and name in lake.attachments(UPLOADS, version)
    return Hashes.of(ledger, lake.store.read_sidecar(UPLOADS, name) if has_sidecar else "{}")


def _has_all_tables(lake: Lake, version: str) -> bool:
    """Whether no table was added to the layer since the version was written."""
    return all(lake.store.files(table, version) for table in TABLES)


def _check_again(lake: Lake, found: Sequence[Upload], unread: Mapping[str, str]) -> Staging:
    """Check what this run found; the version stays current, because no upload is new."""
    staging = lake.reopen(TABLES)
    about_this_run = run_inputs(_ids(found), unread=unread)
    staging.run_inputs = {key: about_this_run[key] for key in (FOUND, UNREAD)}
    check_run_inputs(staging)
    return staging


def _ingest(
    step_run: StepRun,
    staging: Staging,
    new: Sequence[Upload],
    unread: dict[str, str],
    older: Sequence[dict[str, Any]],
    pseudonyms: Pseudonyms,
) -> None:
    """Read the new uploads and write the tables; what the parent version holds is taken over."""
    # No two uploads share a moment, so that of two rows for one day it is always known which was ingested last.
    last_ingested = max((row["ingested_at"] for row in older), default=_START)
    first = max(datetime.now(UTC), last_ingested + timedelta(microseconds=1))
    files, records = RowFiles(staging.scratch / "rows"), RowFiles(staging.scratch / "records", REPEATED)
    ingested, left_out = list[_Ingested](), LeftOut.of(step_run.lake, pseudonyms)
    for position, upload in enumerate(new):
        step_run.log.info(
            f"upload {position + 1} of {len(new)}: {upload.found.text} ({upload.found.size_bytes:,} bytes)"
        )
        entry = _Ingested(upload, first + timedelta(microseconds=position), pseudonyms, left_out)
        try:
            entry.read(files, records)
        except OSError as error:
            unread[upload.found.text] = str(error)
            step_run.log.warning(f"{upload.found.text} is left out, a later run tries again: {error}")
            continue
        if entry.refusal:
            step_run.log.warning(f"{upload.found.text} was refused: {entry.refusal}.")
        ingested.append(entry)

    paths = [staging.share(path) for path in files.close()]
    rows = step_run.lake.spark.read.schema(transforms.STORED).parquet(*paths) if paths else None
    typed = transforms.typed(rows) if rows else None
    _add(step_run.lake, staging, LOGGED_DAYS, transforms.logged_days(typed) if typed else None)
    paths = [staging.share(path) for path in records.close()]
    measured = step_run.lake.spark.read.schema(MEASUREMENTS.spark_schema).parquet(*paths) if paths else None
    _add(step_run.lake, staging, MEASUREMENTS, measured)
    rows_read, before = sum(entry.rows_read for entry in ingested), _rows_of_parent(staging)
    has_malformed_rows = rows_read != staging.metadata[LOGGED_DAYS.key].rows - before
    shows_cells = not pseudonyms.check
    malformed_rows = transforms.quarantine(typed, shows_cells) if typed and has_malformed_rows else None
    _add(step_run.lake, staging, QUARANTINE, malformed_rows)
    quarantined = _rows_by_upload(staging) if has_malformed_rows else {}
    for entry in ingested:
        entry.rows_quarantined = quarantined.get(entry.upload.upload_id, 0)
        step_run.log.info(f"{entry.upload.found.text}: {entry.summary}")
    ledger = [entry.ledger_row() for entry in ingested]
    for entry, row in zip(ingested, ledger, strict=True):  # the profile may be the last file of the run
        row["warnings"] = [*row["warnings"], *(entry.archive.unsaid([*older, *ledger]) if entry.archive else [])]
    if _crowded_months(staging, UPLOADS):
        staging.write_rows(UPLOADS, [*step_run.lake.rows(UPLOADS, staging.parent), *ledger])
    else:
        staging.write_rows(UPLOADS, ledger, ())


def _add(lake: Lake, staging: Staging, table: Table, rows: DataFrame | None) -> None:
    """Write rows beside those of the parent version; many small files of the parent are merged with them."""
    crowded = _crowded_months(staging, table) if rows is not None else []
    if rows is not None and crowded:
        rows = rows.union(lake.read(table, staging.parent, crowded))
        rows = rows if table.by_month else rows.coalesce(1)  # into one file; of months, `Staging.write` sees to it
    write(staging, table, rows, crowded)


def _crowded_months(staging: Staging, table: Table) -> list[str]:
    """Months of the parent version that have so many files that they are better merged."""
    files = Counter(map(month_in, staging.store.files(table, staging.parent))) if staging.parent else Counter[str]()
    # Versions before 2026-12 have files that are not by month.
    return [month for month, count in files.items() if count > _MOST_FILES or (table.by_month and month == WHOLE)]


def _rows_by_upload(staging: Staging) -> dict[str, int]:
    """How many rows of each upload are in quarantine."""
    column = staging.store.dataset(QUARANTINE, staging.version).to_table(columns=["upload_id"])["upload_id"]
    return {count["values"]: count["counts"] for count in column.value_counts().to_pylist()}


def _ids(uploads: Iterable[Upload]) -> list[str]:
    return [upload.upload_id for upload in uploads]


def _rows_of_parent(staging: Staging) -> int:
    return staging.store.metadata(LOGGED_DAYS, staging.parent).rows if staging.parent else 0
