"""What every layer step does."""

import json
import logging
import threading
import time

import pyarrow.parquet as pq
import pytest

from fitness_assets.engine import layer_step as steps
from fitness_assets.engine.layer_step import StepRun, stage, write
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


def work(lake) -> StepRun:
    return StepRun(lake, "run", logging.getLogger("step"))


def test_a_version_that_takes_minutes_says_how_far_it_is(lake, said):
    def write_all(staging):
        assert said("version 000001, minute 1: written so far nothing")
        assert is_logging()
        write(staging, DIM_DATE, frame_of(lake.spark, DIM_DATE, [{}]))
        assert said("written so far gold/dim_date (1 rows)")

    stage(work(lake), [DIM_DATE], {}, write_all)
    assert not is_logging(), "nothing is logged after the version is written"


def test_a_step_that_fails_says_no_more(lake, said):
    def write_all(staging):
        assert said("minute 2")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        stage(work(lake), [DIM_DATE], {}, write_all)
    assert not is_logging()


def test_a_step_whose_inputs_mix_versions_of_one_publish_group_is_tried_again(lake):
    """Another run publishes between the reading of two tables of one group."""
    tables = [DIM_DATE, DIM_USER]

    def publish():
        def write_all(staging):
            for table in tables:
                write(staging, table, frame_of(lake.spark, table, [{}]))

        lake.publish(stage(work(lake), tables, {}, write_all))

    publish()
    first = lake.read(DIM_DATE)
    publish()
    mixed = {DIM_DATE.key: first, DIM_USER.key: lake.read(DIM_USER)}
    with pytest.raises(VersionConflictError, match=r"versions: gold \(000001, 000002\)\.$"):
        stage(work(lake), [FACT_DAILY], mixed, lambda staging: None)
    assert lake.versions(FACT_DAILY) == []


def test_the_codes_of_columns_are_in_the_parquet_files(lake):
    stage(
        work(lake), [CLEAN_DAYS], {}, lambda staging: write(staging, CLEAN_DAYS, frame_of(lake.spark, CLEAN_DAYS, [{}]))
    )
    (file,) = path_of(lake, CLEAN_DAYS, "000001").glob("*.parquet")
    stored = {field.name: (field.metadata or {}).get(b"SPARK::metadata::json", b"{}") for field in pq.read_schema(file)}
    assert {name: json.loads(text) for name, text in stored.items()} == {c.name: c.codes for c in CLEAN_DAYS.columns}
