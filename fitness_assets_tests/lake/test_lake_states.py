"""Whatever happens to a lake, in whatever order: readers see whole versions, numbers only grow, nothing needed is lost.

The machine publishes bronze, which adds to its parent, and a table that is made from bronze. Every action may be killed
before any of its changes to files or objects. In a bucket, another run may publish in the middle of a publication.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, UPLOADS
from fitness_assets.bronze.tables import TABLES as BRONZE
from fitness_assets.bronze.withdrawal import withdraw
from fitness_assets.gold.tables import DIM_USER
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.store import Store
from fitness_assets.lake.version import CheckResult, LakeError, VersionConflictError
from fitness_assets.schema.table import Table
from fitness_assets_tests.conftest import arrow_of, new_bucket
from fitness_assets_tests.tools.kill_runs import files_of

DERIVED = (DIM_USER,)
GROUPS: Mapping[str, tuple[Table, ...]] = {"bronze": BRONZE, "derived": DERIVED}
NAMES = st.sampled_from([*GROUPS])
CELLS: Mapping[Table, Sequence[str]] = {
    **{table: ["upload_id"] for table in (LOGGED_DAYS, QUARANTINE, MEASUREMENTS)},
    UPLOADS: ["upload_id", "status"],
    DIM_USER: ["user_id"],
}
KILLED = st.none() | st.integers(0, 30)
"""Before which change an action is killed, if it is."""
PICK = st.integers(0, 100)
CHANGES = ("mkdir", "rename", "replace", "symlink", "link", "unlink", "rmdir", "fsync")

Rows = frozenset[tuple[str, ...]]
"""What a test knows of the rows of a table: the cells that `CELLS` names."""


class Killed(BaseException):
    """What `kill -9` would do."""


@dataclass
class Made:
    """A version that a run committed and did not publish yet."""

    staging: Staging
    is_failing: bool


class LakeStates(RuleBasedStateMachine):
    """Runs, people and kills on one lake."""

    def __init__(self) -> None:
        super().__init__()
        self.lake = Lake(self.store(), lambda: pytest.fail("no engine is needed"))
        self.rows: dict[tuple[Table, str], Rows] = {}
        self.current: dict[Sequence[Table], str | None] = dict.fromkeys(GROUPS.values())
        self.made: list[Made] = []
        self.highest: dict[Sequence[Table], int] = dict.fromkeys(GROUPS.values(), 0)
        self.uploads = 0

    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError

    @contextmanager
    def before_each_change(self, do: Callable[[], None]) -> Iterator[None]:
        """Call a function before each change to the files or objects of the lake."""
        raise NotImplementedError
        yield

    def attempt(self, action: Callable[[], Any], killed: int | None) -> bool:
        """Do something, or the beginning of it; returns whether it came to its end."""
        left = killed

        def count() -> None:
            nonlocal left
            if left is not None:
                if left == 0:
                    raise Killed
                left -= 1

        try:
            with self.before_each_change(count):
                action()
        except Killed:
            return False
        return True

    def seen(self, table: Table) -> Rows:
        """What a reader sees who knows no more than where the table is."""
        return frozenset(
            cells
            for file in files_of(self.lake, table).values()
            for cells in zip(*pq.read_table(file, columns=CELLS[table]).to_pydict().values(), strict=True)
        )

    def version(self, group: Sequence[Table]) -> str | None:
        return self.lake.current(group[-1])

    def open(self, group: Sequence[Table], inputs: dict[str, str], rows: dict[Table, Rows]) -> Staging:
        """Stage a version whose rows will be these."""
        staging = self.lake.stage(group, inputs, "run")
        assert int(staging.version) > self.highest[group], "a number was used again"
        self.rows |= {(table, staging.version): kept for table, kept in rows.items()}
        return staging

    def rows_of(self, group: Sequence[Table], version: str | None) -> dict[Table, Rows]:
        return {table: self.rows[table, version] if version else frozenset() for table in group}

    def commit(self, staging: Staging, is_failing: bool) -> None:
        if is_failing:
            result = CheckResult("primary_key", "blocking", "", 1)
            staging.metadata[staging.tables[0].key].check_results = [result]
        staging.commit()
        staging.clean_up()
        self.made.append(Made(staging, is_failing))

    @rule(killed=KILLED, is_failing=st.sampled_from([False, False, False, True]))
    def ingest(self, killed: int | None, is_failing: bool) -> None:
        """A run adds an upload to bronze, and is killed before it publishes, or publishes later."""
        self.uploads += 1
        upload = f"{self.uploads:03}"

        def action() -> None:
            self.lake.recover(BRONZE)
            rows = self.rows_of(BRONZE, self.version(BRONZE))
            rows[LOGGED_DAYS] |= {(upload,)}
            rows[UPLOADS] |= {(upload, "ingested")}
            staging = self.open(BRONZE, {}, rows)
            counts = {"rows_read": 1, "rows_typed": 1, "rows_quarantined": 0, "status": "ingested"}
            empty = ("refusal", "withdrawal", "records_seen", "records_used", "record_counts")
            cells = {"upload_id": upload, "row_number": 1, "uri": upload, **counts, **dict.fromkeys(empty)}
            for table in (LOGGED_DAYS, UPLOADS):
                names = set(table.arrow_schema.names)
                row = {name: cell for name, cell in cells.items() if name in names}
                staging.write_rows(table, arrow_of(table, [row]).to_pylist(), replaced=())
            for table in (QUARANTINE, MEASUREMENTS):
                staging.write(table, None, replaced=())
            self.commit(staging, is_failing)

        self.attempt(action, killed)

    @precondition(lambda self: self.current[BRONZE])
    @rule(killed=KILLED)
    def derive(self, killed: int | None) -> None:
        """A run makes a table from bronze."""

        def action() -> None:
            self.lake.recover(BRONZE)
            version = self.lake.current(LOGGED_DAYS)
            assert version
            rows = self.rows[LOGGED_DAYS, version]
            staging = self.open(DERIVED, {LOGGED_DAYS.key: version}, {DIM_USER: rows})
            staging.write_rows(DIM_USER, arrow_of(DIM_USER, [{"user_id": user} for (user,) in rows]).to_pylist())
            self.commit(staging, is_failing=False)

        self.attempt(action, killed)

    @precondition(lambda self: self.made)
    @rule(pick=PICK, killed=KILLED)
    def publish(self, pick: int, killed: int | None) -> None:
        """A run publishes what it made; of several that were made from the same version only the first does."""
        made = self.made[pick % len(self.made)]
        group, staging = made.staging.tables, made.staging
        is_kept = staging.version in self.lake.versions(group[-1])
        before = self.current[group]
        used = self.lake.metadata(DIM_USER, before).inputs if group == DERIVED and before else {}
        inputs = staging.metadata[group[-1].key].inputs
        has_old_inputs = any(
            version not in (self.lake.store.current(key), used.get(key, version)) for key, version in inputs.items()
        )
        refused = made.is_failing or not is_kept or before not in (staging.parent, staging.version) or has_old_inputs

        def action() -> None:
            if not refused:
                assert self.lake.publish(staging), f"{staging.version} on {staging.parent}"
                return
            is_conflict = is_kept and not made.is_failing
            with pytest.raises(VersionConflictError if is_conflict else LakeError):
                self.lake.publish(staging)

        is_done = self.attempt(action, killed)
        self.made.remove(made)
        self.look(group, {before} if refused else {staging.version} if is_done else {before, staging.version})

    @rule(pick=PICK, killed=KILLED, name=NAMES)
    def rollback(self, pick: int, killed: int | None, name: str) -> None:
        """A person makes a kept version current again, unless it failed a blocking rule."""
        group = GROUPS[name]
        versions = self.lake.versions(group[-1])
        if not versions:
            return
        version, before = versions[pick % len(versions)], self.current[group]
        is_failing = any(self.lake.metadata(table, version).blocking_rules for table in group)

        def action() -> None:
            try:
                self.lake.rollback(group, version)
            except LakeError:
                assert is_failing
            else:
                assert not is_failing

        is_done = self.attempt(action, killed)
        self.look(group, {before} if is_failing else {version} if is_done else {before, version})

    @precondition(lambda self: self.current[BRONZE])
    @rule(pick=PICK, killed=KILLED)
    def withdraw(self, pick: int, killed: int | None) -> None:
        """A person withdraws an upload that the ledger knows."""
        before = self.current[BRONZE]
        rows = self.rows_of(BRONZE, before)
        uploads = sorted(upload for upload, _ in rows[UPLOADS])
        upload = uploads[pick % len(uploads)]
        rows[UPLOADS] = frozenset((one, "withdrawn" if one == upload else status) for one, status in rows[UPLOADS])
        known = {*self.lake.versions(UPLOADS)}
        is_done = self.attempt(lambda: withdraw(self.lake, upload, "a test"), killed)
        new = {*self.lake.versions(UPLOADS)} - known
        for version in new:
            assert int(version) > self.highest[BRONZE]
            self.rows |= {(table, version): kept for table, kept in rows.items()}
        assert len(new) == 1 if is_done else len(new) <= 1
        self.look(BRONZE, new if is_done else {before, *new})

    @rule(hours=st.sampled_from([0, 2, 25]), killed=KILLED, name=NAMES)
    def collect(self, hours: int, killed: int | None, name: str) -> None:
        """Garbage is collected, some time later."""
        group, later = GROUPS[name], time.time() + hours * 3_600
        with patch("fitness_assets.lake.garbage.time", lambda: later):
            self.attempt(lambda: self.lake.collect_garbage(group), killed)
        self.look(group, {self.current[group]})
        self.check_kept()

    @rule(killed=KILLED, name=NAMES)
    def recover(self, killed: int | None, name: str) -> None:
        """The next run completes what a killed one began."""
        group = GROUPS[name]
        if self.attempt(lambda: self.lake.recover(group), killed):
            assert {self.lake.current(table) for table in group} == {self.current[group]}
        self.look(group, {self.current[group]})

    def look(self, group: Sequence[Table], allowed: Set[str | None]) -> None:
        """Note the current version, which has to be one of some."""
        self.current[group] = self.version(group)
        assert self.current[group] in allowed, f"{self.current[group]} is current, and not one of {allowed}"

    @invariant()
    def every_table_is_whole(self) -> None:
        for group in GROUPS.values():
            assert self.version(group) == self.current[group], "only publications and rollbacks switch"
            versions = self.lake.versions(group[-1])
            self.highest[group] = max([self.highest[group], *map(int, versions)])
            for table in group:
                if version := self.lake.current(table):
                    assert self.seen(table) == self.rows[table, version], f"{table.key} {version} is a mixture"

    def check_kept(self) -> None:
        """Every version that is kept can be read."""
        for group in GROUPS.values():
            for version in self.lake.versions(group[-1]):
                for table in group:
                    rows = self.lake.rows(table, version)
                    kept = frozenset(tuple(row[name] for name in CELLS[table]) for row in rows)
                    assert kept == self.rows[table, version], f"{table.key} {version} lost a file"

    def teardown(self) -> None:
        self.check_kept()


class OnDisk(LakeStates):
    """A lake in a folder."""

    def store(self) -> Store:
        self.folder = Path(tempfile.mkdtemp(prefix="lake-"))
        return LocalStore(self.folder)

    @contextmanager
    def before_each_change(self, do: Callable[[], None]) -> Iterator[None]:
        fsync = os.fsync

        def watched(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                do()
                return None if real is fsync else real(*args, **more)  # no power cut here; it takes long

            return call

        with patch.multiple("os", **dict[str, Any]({name: watched(getattr(os, name)) for name in CHANGES})):
            yield

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


class InBucket(LakeStates):
    """A lake in a bucket."""

    def store(self) -> Store:
        self.bucket = new_bucket()
        return S3Store(self.bucket, {})

    @contextmanager
    def before_each_change(self, do: Callable[[], None]) -> Iterator[None]:
        def watch(model: Any, **_: Any) -> None:
            if not model.name.startswith(("Get", "Head", "List")):
                do()

        events = self.bucket.client.meta.events
        events.register("before-call.s3", watch)
        try:
            yield
        finally:
            events.unregister("before-call.s3", watch)

    @precondition(lambda self: len([made for made in self.made if made.staging.tables == BRONZE]) > 1)
    @rule(pick=PICK, change=st.integers(0, 4))
    def publish_meanwhile(self, pick: int, change: int) -> None:
        """Two runs publish at once; if both were made from the same version, one of them is refused."""
        both = [made for made in self.made if made.staging.tables == BRONZE and not made.is_failing]
        both = both[pick % max(len(both) - 1, 1) :][:2]
        if len(both) < 2 or not {made.staging.version for made in both} <= {*self.lake.versions(UPLOADS)}:
            return
        left, order = change, list[Staging]()

        def publish(staging: Staging) -> None:
            try:
                self.lake.publish(staging)
            except VersionConflictError:
                return
            order.append(staging)

        def meanwhile() -> None:
            nonlocal left
            left -= 1
            if left == -1:
                publish(both[1].staging)

        with self.before_each_change(meanwhile):
            publish(both[0].staging)
        current = self.current[BRONZE]
        for staging in order:
            assert staging.parent == current, f"{staging.version}, made from {staging.parent}, replaced {current}"
            current = staging.version
        self.made = [made for made in self.made if made not in both]
        self.look(BRONZE, {current})


def run(machine: type[LakeStates], examples: int, steps: int) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    limits = settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=slow, database=None)
    run_state_machine_as_test(machine, settings=limits)


def test_a_lake_in_a_folder():
    run(OnDisk, examples=20, steps=25)


@pytest.mark.deployment
def test_a_lake_in_a_bucket(cloud):
    run(InBucket, examples=3, steps=15)
