"""Removes the goals of a person from the files in ``raw/goals/`` and from the tables of the coach."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from fitness_assets.bronze.erasures import People
from fitness_assets.coach.goals import pieces, read_goals
from fitness_assets.coach.tables import FOUND, GOALS, PLANS, PROGRESS, READS, TABLES
from fitness_assets.engine.rule_checks import check_version
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.privacy.bronze import new_ids
from fitness_assets.privacy.uploads import Rewritten, copy_lines

Row = Mapping[str, Any]


def copy_goals(one: Rewritten, path: Path, people: People) -> tuple[bool, bool]:
    """Write the goals that stay of a file into its draft; returns whether there are any, and whether one was removed.

    A goal that does not say whose it is goes if any of its cells is an id of the people. Of a file that cannot be read,
    the lines with such a cell go; where that is JSON, the whole file goes, because a goal may take several lines.
    """
    name = one.found.text
    entries = read_goals(path, name)
    if not entries[0].position:
        is_kept, is_changed = copy_lines(one, path, people)
        return is_kept and not name.lower().endswith(".json"), is_changed
    before, *parts = pieces(path.read_bytes(), name)
    goals, after = parts[::2], parts[1::2]
    theirs = np.array(
        [
            people.have(entry.user_id) if entry.user_id else people.are_in(goal)
            for entry, goal in zip(entries, goals, strict=True)
        ]
    )
    one.removed = np.flatnonzero(theirs) + 1
    kept = [*np.flatnonzero(~theirs)]
    # A goal that stays keeps what separates it from the one before, except the first.
    between = ["", *(after[at - 1] for at in kept[1:])]
    text = "".join(f"{separator}{goals[at]}" for separator, at in zip(between, kept, strict=False))
    cast(Path, one.draft).write_bytes(f"{before}{text}{after[-1]}".encode())
    return bool(kept), bool(theirs.any())


def rewrite_goals(lake: Lake, people: People, files: Sequence[Rewritten], run_id: str) -> None:
    """Publish the tables of the coach without some people, if they have any of theirs.

    Goals of a rewritten file get the ids and positions that they would have if the file had been so from the
    beginning. The version does not name the code of the coach, so the coach makes its tables anew in the next step.

    Args:
        lake: the lake.
        people: whose goals and plans go.
        files: the goal files that are rewritten, too.
        run_id: kept in the version metadata.

    Raises:
        VersionConflictError: if another run published meanwhile.
    """
    lake.recover(TABLES)
    version = lake.current(GOALS)
    if version is None:
        return
    ledger = lake.rows(GOALS, version)
    goal_ids = dict[str, str]()
    new_ledger = [*_ledger(ledger, files, people, goal_ids)]
    if new_ledger == ledger:
        return
    staging = lake.stage(TABLES, lake.metadata(GOALS, version).inputs, run_id, made_because="a person was erased")
    try:
        if staging.parent != version:
            raise VersionConflictError(f"another run published {GOALS.key} meanwhile: try again.")
        staging.write_rows(GOALS, new_ledger)
        for table in (PLANS, PROGRESS):
            rows = lake.store.dataset(table, version).to_table()
            rows = rows.filter(pa.array(~people.of_ids(rows["user_id"])))
            renamed = pa.array([goal_ids[goal_id] for goal_id in rows["goal_id"].to_pylist()], pa.string())
            rows = rows.set_column(rows.schema.get_field_index("goal_id"), "goal_id", renamed)
            staging.write_rows(table, rows.cast(table.arrow_schema))
        staging.run_inputs = {FOUND: pa.table({"upload_id": pa.array([], pa.string())})}
        check_version(staging, READS)
        staging.commit()
    finally:
        staging.clean_up()
    lake.publish(staging)


def _ledger(
    ledger: Sequence[Row], files: Sequence[Rewritten], people: People, goal_ids: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """The ledger without some people; ``goal_ids`` gets the new id of every goal that stays, by its old one."""
    by_content = {one.old_sha256: one for one in files}
    rewritten = {row["upload_id"]: by_content.get(row["content_sha256"]) for row in ledger}
    ids = new_ids(ledger, {upload_id: one for upload_id, one in rewritten.items() if one})
    for row in ledger:
        one, position, upload_id = rewritten[row["upload_id"]], row["position"], row["upload_id"]
        # A file that could not be read is a new one without the lines that went: it may be readable now.
        if people.have(row["user_id"]) or (one and (position in one.removed or not position)):
            continue
        new: dict[str, Any] = {}
        if one:
            position -= int(np.searchsorted(one.removed, position))
            upload_id = ids.get(upload_id, upload_id)
            new = {"upload_id": upload_id, "content_sha256": one.new_sha256, "position": position}
            new["goal_id"] = f"{upload_id}-{position}"
        goal_ids[row["goal_id"]] = new.get("goal_id", row["goal_id"])
        yield {**row, **new}
