"""Changes the ledger at the word of a person, without reading an upload.

It withdraws uploads: the ledger says so, with a reason, and silver leaves their rows out. Bronze keeps the rows, so a
withdrawal can be undone. And it forgets refused archives of people who may have data again. Each change is a new
version of the ledger; it needs no engine.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fitness_assets.bronze.erasures import REFUSAL
from fitness_assets.bronze.run_inputs import known_users, run_inputs
from fitness_assets.bronze.tables import TABLES, UPLOADS
from fitness_assets.engine.rule_checks import check_version
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import LakeError, TableMissingError, VersionConflictError
from fitness_assets.schema.table import Table

Row = Mapping[str, Any]
_NO_ROWS = {"rows_read": 0, "rows_typed": 0, "rows_quarantined": 0}
_NO_RECORDS = {"records_seen": None, "records_used": None, "record_counts": None}


def withdraw(lake: Lake, upload: str, reason: str) -> Row:
    """Keep an upload out of silver and all later tables.

    Args:
        lake: the lake.
        upload: its id or URI; the ledger knows it, or knew it before a rollback.
        reason: stored in the ledger.

    Returns:
        The row of the ledger.

    Raises:
        LakeError: if no version of the ledger knows the upload.
    """

    def change(ledger: Sequence[Row]) -> tuple[Row, list[Row]]:
        marks = {"status": "withdrawn", "withdrawal": reason}
        if row := _find(ledger, upload):
            withdrawn = {**row, **marks}
            return withdrawn, [withdrawn if each is row else each for each in ledger]
        for version in reversed(lake.versions(UPLOADS)):  # after a rollback, so that the upload does not come back
            if row := _find(lake.rows(UPLOADS, version), upload):
                withdrawn = {**row, **_NO_ROWS, **_NO_RECORDS, **marks}
                return withdrawn, [*ledger, withdrawn]
        raise _unknown(ledger, upload)

    return _publish(lake, change)


def restore(lake: Lake, upload: str) -> Row:
    """Undo a withdrawal.

    Raises:
        LakeError: if the upload is not withdrawn.
    """

    def change(ledger: Sequence[Row]) -> tuple[Row, list[Row]]:
        row = _find([row for row in ledger if row["status"] == "withdrawn"], upload)
        if row is None:
            raise LakeError(f"{upload} is not withdrawn.")
        if (
            not row["rows_read"] and not row["records_used"] and not row["refusal"]
        ):  # bronze has none of its rows: the next run ingests it
            return row, [each for each in ledger if each is not row]
        restored = {**row, "status": "refused" if row["refusal"] else "ingested", "withdrawal": None}
        return restored, [restored if each is row else each for each in ledger]

    return _publish(lake, change)


def forget_refused(lake: Lake, is_theirs: Callable[[str], bool]) -> int:
    """Forget the archives of some people that were refused because the people were erased; the next run reads them.

    Args:
        lake: the lake.
        is_theirs: whether an id, as tables have it, is that of one of them.

    Returns:
        How many archives that are.
    """

    def is_refused(row: Row) -> bool:
        return row.get("refusal") == REFUSAL and is_theirs(row["person"] or "")

    if refused := sum(map(is_refused, lake.rows(UPLOADS))):
        _publish(lake, lambda ledger: ({}, [row for row in ledger if not is_refused(row)]))
    return refused


def lost_by_rollback(lake: Lake, ledger: Table, version: str) -> list[Row]:
    """What the current version of a ledger knows and an earlier one does not: a run would read these files again.

    Args:
        lake: the lake.
        ledger: of uploads or of goals.
        version: the earlier one.

    Returns:
        A row of each file.

    Raises:
        LakeError: if there is no such version.
    """
    lake.metadata(ledger, version)
    kept = {row["upload_id"] for row in lake.rows(ledger, version)}
    lost = [row for row in lake.rows(ledger) if row["upload_id"] not in kept and row["status"] != "withdrawn"]
    return [*{row["upload_id"]: row for row in lost}.values()]  # a file of goals has several


def _publish(lake: Lake, change: Callable[[Sequence[Row]], tuple[Row, list[Row]]]) -> Row:
    lake.recover(TABLES)
    version = lake.current(UPLOADS)
    if version is None:
        raise TableMissingError(f"{UPLOADS.key} does not exist yet: there is no upload to withdraw.")
    before = lake.rows(UPLOADS, version)
    changed, ledger = change(before)
    staging = lake.stage(TABLES, {}, "command line", made_because="a person changed what counts")
    try:
        if staging.parent != version:
            raise VersionConflictError(f"another run published {UPLOADS.key} meanwhile: try again.")
        for table in TABLES[:-1]:
            staging.write(table, None, replaced=())
        staging.write_rows(UPLOADS, ledger)
        staging.run_inputs = run_inputs(
            known_uploads=[row["upload_id"] for row in before], known_users=known_users(lake, version)
        )
        check_version(staging, [])
        staging.commit()
    finally:
        staging.clean_up()
    lake.publish(staging)
    return changed


def _find(ledger: Sequence[Row], upload: str) -> Row | None:
    """The row of an upload by its id or, of several with one URI, the last one."""
    return next((row for row in reversed(ledger) if upload in (row["upload_id"], row["uri"])), None)


def _unknown(ledger: Sequence[Row], upload: str) -> LakeError:
    known = ", ".join(f"{row['upload_id']} ({row['uri']})" for row in ledger[-5:])
    return LakeError(f"The ledger knows no upload {upload}. The last ones are: {known}.")
