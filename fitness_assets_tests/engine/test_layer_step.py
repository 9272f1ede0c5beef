"""What every layer step does."""

import json
import logging
import threading
import time

import pyarrow.parquet as pq
import pytest

from fitness_assets.engine import layer_step as steps
from fitness_assets.engine.changes import Changes
from fitness_assets.engine.layer_step import LayerStep, StepRun, run_step, stage, write
from fitness_assets.gold.tables import DIM_DATE, DIM_USER, FACT_DAILY
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets_tests.conftest import frame_of, path_of


@pytest.fixture
def said(caplog, monkeypatch):
    """Waits until a text was logged, with minutes that pass quickly."""
    monkeypatch.setattr(steps, "_MINUTE", 0.02)
    caplog.set_level(logging.INFO)

    def wait(text: str) -> bool:
        patience = time.monotonic() + 30
        while text not in caplog.text and time.monotonic() < patience:
            time.sleep(0.01)
        return text in caplog.text

    return wait


def is_logging() -> bool:
    return any(thread.name == "progress" for thread in threading.enumerate())


def step_of(*tables, reads=()) -> LayerStep:
    return LayerStep(tables, reads, lambda *_: pytest.fail("it is not asked to make anything"), "code")


def staged(lake, step, write_all, **more):
    step_run = StepRun(lake, "run", logging.getLogger("step"))
    return stage(step_run, step, more.pop("inputs", {}), Changes("a test"), write_all, **more)


def test_a_version_that_takes_minutes_says_how_far_it_is(lake, said):
    def write_all(staging):
        assert said("version 000001, minute 1: written so far nothing")
        assert is_logging()
        write(staging, DIM_DATE, frame_of(lake.spark, DIM_DATE, [{}]))
        assert said("written so far gold/dim_date (1 rows)")

    staged(lake, step_of(DIM_DATE), write_all)
    assert not is_logging(), "nothing is logged after the version is written"


def test_a_step_that_fails_says_no_more(lake, said):
    def write_all(staging):
        assert said("minute 2")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        staged(lake, step_of(DIM_DATE), write_all)
    assert not is_logging()


def test_a_step_reads_one_version_of_all_tables_of_a_publish_group(lake):
    """A killed process published one table of a group and not the other."""
    tables = [DIM_DATE, DIM_USER]

    def write_all(staging):
        for table in tables:
            write(staging, table, frame_of(lake.spark, table, [{}]))

    versions = [staged(lake, step_of(*tables), write_all) for _ in range(2)]
    lake.publish(versions[0])
    with lake.store.publishing(tables) as point:
        point(DIM_DATE, "000002")
    seen = []
    reading = LayerStep([FACT_DAILY], tables, lambda step_run, inputs, changes: seen.append(inputs), "code")  # type: ignore[arg-type]
    run_step(reading, StepRun(lake, "run", logging.getLogger("step")), [tables])
    assert seen == [{DIM_DATE.key: "000001", DIM_USER.key: "000001"}]


def test_the_codes_of_columns_are_in_the_parquet_files(lake):
    staged(
        lake, step_of(CLEAN_DAYS), lambda staging: write(staging, CLEAN_DAYS, frame_of(lake.spark, CLEAN_DAYS, [{}]))
    )
    (file,) = path_of(lake, CLEAN_DAYS, "000001").glob("*.parquet")
    stored = {field.name: (field.metadata or {}).get(b"SPARK::metadata::json", b"{}") for field in pq.read_schema(file)}
    assert {name: json.loads(text) for name, text in stored.items()} == {c.name: c.codes for c in CLEAN_DAYS.columns}


def test_a_version_that_builds_on_another_one_than_the_current_is_a_conflict(lake):
    def write_all(staging):
        write(staging, DIM_USER, frame_of(lake.spark, DIM_USER, [{}]))

    step = step_of(DIM_USER)
    for _ in range(2):
        lake.publish(staged(lake, step, write_all))
    changes = Changes("a test", lake.metadata(DIM_USER, "000001"))
    with pytest.raises(VersionConflictError, match="another run published gold/dim_user meanwhile"):
        stage(StepRun(lake, "run", logging.getLogger("step")), step, {}, changes, write_all)
    assert lake.versions(DIM_USER) == ["000001", "000002"]
