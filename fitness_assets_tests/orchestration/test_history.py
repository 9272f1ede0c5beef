"""Dagster's history: what it keeps is what Dagster's own storage keeps, and files do not stay open for ever."""

from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from fitness_assets.orchestration.history import EventLog


@pytest.fixture
def instance(root, tmp_path):
    """An instance as the project's `dagster.yaml` describes it."""
    config = yaml.safe_load((root / "dagster.yaml").read_text())
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"storage": config["storage"]}) as instance:
        yield instance


@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="table")])
def table():
    yield dg.AssetCheckResult(passed=True)
    yield dg.MaterializeResult()


def open_files(log: EventLog) -> int:
    pools: list[Any] = [engine.pool for engine in log._engines.values()]
    return sum(pool.checkedin() for pool in pools)


def test_dagster_reads_what_was_kept_as_its_own(instance, tmp_path):
    run = dg.materialize([table], instance=instance)
    assert isinstance(instance.event_log_storage, EventLog)
    own = SqliteEventLogStorage(str(tmp_path / ".dagster" / "history" / "runs"))
    kept = [event.dagster_event_type for event in own.get_logs_for_run(run.run_id)]
    assert kept == [event.dagster_event_type for event in instance.all_logs(run.run_id)]
    assert {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.RUN_SUCCESS} <= {*kept}
    assert instance.get_latest_materialization_event(dg.AssetKey("table")) is not None


def test_only_the_files_of_last_use_stay_open(instance):
    runs = [dg.materialize([table], instance=instance).run_id for _ in range(6)]
    log = instance.event_log_storage
    assert len(log._engines) == open_files(log) == 4
    assert all(instance.all_logs(run) for run in runs), "files that were closed are opened again"


def test_events_do_not_wait_for_the_disk_where_that_breaks_no_file(instance):
    with instance.event_log_storage.index_connection() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    assert found == [1, "wal"]  # 1 is NORMAL, which is safe with a write-ahead log alone


def test_a_table_that_is_not_there_is_looked_for_again(instance):
    log = instance.event_log_storage
    assert log.has_table("event_logs")
    assert not log.has_table("later")
    with log.index_connection() as connection:
        connection.exec_driver_sql("CREATE TABLE later (id INTEGER)")
    assert log.has_table("later")


def test_a_write_that_fails_leaves_nothing_behind(instance):
    run = dg.materialize([table], instance=instance)
    log, before = instance.event_log_storage, len(instance.all_logs(run.run_id))

    def delete_and_fail() -> None:
        with log.run_connection(run.run_id) as connection:
            connection.exec_driver_sql("DELETE FROM event_logs")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        delete_and_fail()
    assert len(instance.all_logs(run.run_id)) == before
