"""Makes a new version of bronze without the rows of a person, written by the engine as every version is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fitness_assets.bronze.erasures import People
from fitness_assets.bronze.identity import upload_id_of
from fitness_assets.bronze.pseudonyms import WITHHELD
from fitness_assets.bronze.run_inputs import keep_users, known_users, run_inputs
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, TABLES, UPLOADS
from fitness_assets.engine.layer_step import write
from fitness_assets.engine.rule_checks import check_version
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.privacy.uploads import Rewritten
from fitness_assets.schema.table import Table

_TEXTS = ("header", "refusal")  # of the ledger; they may quote a cell


def rows_of(lake: Lake, table: Table, version: str, people: People) -> int:
    """How many rows of a version of a table are of some people; only of tables that say whose a row is."""
    names = [name for name in ("user_id", "text") if name in {column.name for column in table.columns}]
    if not names:
        return 0
    batches = lake.store.dataset(table, version).to_batches(columns=names)
    return sum(int(_theirs(pa.table(batch), people).sum()) for batch in batches)


def rewrite(lake: Lake, people: People, uploads: Sequence[Rewritten], run_id: str) -> dict[str, int]:
    """Publish bronze without the rows of some people, if it has any.

    Rows of a rewritten upload get the upload id and the numbers that they would have if the upload had been so from
    the beginning.

    Args:
        lake: the lake.
        people: whose rows go.
        uploads: the uploads that are rewritten, too.
        run_id: kept in the version metadata.

    Returns:
        How many rows were removed, by table key; empty if bronze had nothing of theirs.

    Raises:
        VersionConflictError: if another run published meanwhile.
    """
    lake.recover(TABLES)
    version = lake.current(UPLOADS)
    if version is None:
        return {}
    ledger = lake.rows(UPLOADS, version)
    rewritten = _rewritten(ledger, uploads, people)
    ids = new_ids(ledger, rewritten)
    of_folders = {row["upload_id"] for row in ledger if people.have(row.get("person"))}
    staging = lake.stage(TABLES, {}, run_id, made_because="a person was erased")
    try:
        if staging.parent != version:
            raise VersionConflictError(f"another run published {UPLOADS.key} meanwhile: try again.")
        removed: dict[str, Counter[str]] = {}
        paths: dict[str, Path] = {}
        for table in TABLES[:-1]:
            paths[table.key], removed[table.key] = staging.scratch / f"{table.name}.parquet", Counter()
            kept = _kept(lake, table, version, people, rewritten, of_folders, removed[table.key])
            _write(paths[table.key], table, (_renumbered(rows, rewritten, ids) for rows in kept))
        new_ledger = [*_ledger(ledger, rewritten, ids, removed, people)]
        if new_ledger == ledger and not any(removed.values()):
            return {}
        for table in TABLES[:-1]:
            path = staging.share(paths[table.key])
            write(staging, table, lake.spark.read.schema(table.spark_schema).parquet(path))
        staging.write_rows(UPLOADS, new_ledger)
        keep_users(staging, ())
        staging.run_inputs = run_inputs(
            known_uploads=[row["upload_id"] for row in new_ledger], known_users=known_users(lake, version)
        )
        check_version(staging, [])
        staging.commit()
    finally:
        staging.clean_up()
    lake.publish(staging)
    return {key: counts.total() for key, counts in removed.items()}


def _rewritten(
    ledger: Sequence[Mapping[str, Any]], uploads: Sequence[Rewritten], people: People
) -> dict[str, Rewritten]:
    """The uploads of the ledger that are rewritten or deleted, by id. The same bytes of two people are two uploads."""
    theirs = {one.old_sha256: one for one in uploads if people.have(one.found.person)}
    others = [one for one in uploads if not people.have(one.found.person)]
    by_content = {one.old_sha256: one for one in others}  # the upload may have been moved since
    by_name = {(one.found.text, one.old_sha256): one for one in others}
    found: dict[str, Rewritten] = {}
    for row in ledger:
        name, content = row["uri"], row["content_sha256"]
        of_folder = theirs.get(content) if people.have(row.get("person")) else None
        if one := of_folder or by_name.get((name, content)) or by_content.get(content):
            found[row["upload_id"]] = one
    return found


def _theirs(rows: pa.Table, people: People) -> np.ndarray:
    """Which rows of a table are of some people, by its ids, or by the text of malformed rows."""
    if "user_id" in rows.schema.names:
        return people.of_ids(rows["user_id"])
    return people.of_texts(rows["text"]) if "text" in rows.schema.names else np.zeros(len(rows), bool)


def _kept(
    lake: Lake,
    table: Table,
    version: str,
    people: People,
    rewritten: Mapping[str, Rewritten],
    of_folders: Set[str],
    removed: Counter[str],
) -> Iterator[pa.Table]:
    """The rows of a table that stay, of uploads in their folders without malformed ones; counts others by upload."""
    for batch in lake.store.dataset(table, version).to_batches():
        rows = pa.table(batch)
        theirs = _theirs(rows, people)
        for upload_id, at in _by_upload(rows):
            one = rewritten.get(upload_id)
            if one and "row_number" in rows.schema.names:
                # The text of a malformed row may be withheld; the upload tells whose it is.
                theirs[at] |= np.isin(rows["row_number"].to_numpy()[at], one.removed)
            if upload_id in of_folders and table == QUARANTINE:
                theirs[at] = True
            removed[upload_id] += int(theirs[at].sum())
        yield rows.filter(pa.array(~theirs)) if theirs.any() else rows


def _renumbered(rows: pa.Table, rewritten: Mapping[str, Rewritten], ids: Mapping[str, str]) -> pa.Table:
    """Rows with the ids, row numbers and line numbers that rewritten uploads give them."""
    columns = {
        name: rows[name].to_numpy().copy() for name in ("row_number", "line_number") if name in rows.schema.names
    }
    for upload_id, at in _by_upload(rows):
        if (one := rewritten.get(upload_id)) and one.draft:
            if "row_number" in columns:
                columns["row_number"][at] -= np.searchsorted(one.removed, columns["row_number"][at])
            if "line_number" in columns:
                columns["line_number"][at] = one.new_lines[np.searchsorted(one.lines, columns["line_number"][at])]
    arrays: dict[str, Any] = {name: pa.array(values) for name, values in columns.items()}
    old = rows["upload_id"].combine_chunks().dictionary_encode()
    known = [ids.get(upload_id, upload_id) for upload_id in old.dictionary.to_pylist()]
    arrays["upload_id"] = pa.array(known, pa.string()).take(old.indices)
    return pa.table({name: arrays.get(name, rows[name]) for name in rows.schema.names})


def _by_upload(rows: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Each upload of some rows, and the positions of its rows."""
    ids = rows["upload_id"].combine_chunks().dictionary_encode()
    indices = ids.indices.to_numpy()
    for position, upload_id in enumerate(ids.dictionary.to_pylist()):
        yield upload_id, np.flatnonzero(indices == position)


def _write(path: Path, table: Table, parts: Iterator[pa.Table]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, table.arrow_schema) as writer:
        for rows in parts:
            writer.write_table(rows.cast(table.arrow_schema))


def new_ids(ledger: Sequence[Mapping[str, Any]], rewritten: Mapping[str, Rewritten]) -> dict[str, str]:
    """The new id of each rewritten upload whose id comes from its content, unless another upload has that id."""
    taken = {row["upload_id"] for row in ledger}
    wanted = {
        upload_id: upload_id_of(one.found, one.new_sha256, None, ())
        for upload_id, one in rewritten.items()
        if one.draft and upload_id == upload_id_of(one.found, one.old_sha256, None, ())
    }
    return {upload_id: new for upload_id, new in wanted.items() if new not in taken}


def _ledger(
    ledger: Sequence[Mapping[str, Any]],
    rewritten: Mapping[str, Rewritten],
    ids: Mapping[str, str],
    removed: Mapping[str, Counter[str]],
    people: People,
) -> Iterator[dict[str, Any]]:
    """The ledger without uploads of which nothing is left, and with the counts and hashes of the others."""
    for row in ledger:
        upload_id = row["upload_id"]
        one = rewritten.get(upload_id)
        typed, quarantined = (removed[table.key][upload_id] for table in (LOGGED_DAYS, QUARANTINE))
        has_rows, is_theirs = row["rows_read"] > typed + quarantined, people.have(row.get("person"))
        if not has_rows and (typed + quarantined or is_theirs or (one and one.draft is None)):
            continue
        texts: dict[str, str | None] = {name: WITHHELD for name in _TEXTS if people.are_in(row[name])}
        if is_theirs:  # their folder goes, but rows of others that were in it stay
            texts |= {"uri": WITHHELD, "person": None}
        counts = {
            "rows_read": row["rows_read"] - typed - quarantined,
            "rows_typed": row["rows_typed"] - typed,
            "rows_quarantined": row["rows_quarantined"] - quarantined,
        }
        content = {}
        if one and one.draft:  # without a fingerprint the next run hashes the file, whose content is known
            content = {"content_sha256": one.new_sha256, "size_bytes": one.size_bytes, "fingerprint": None}
        yield {**row, **texts, **counts, **content, "upload_id": ids.get(upload_id, upload_id)}
