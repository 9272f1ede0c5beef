"""One Spark session for all tests, and the pieces that most of them start from."""

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from hypothesis import settings
from pyspark.sql import DataFrame, SparkSession

from fitness_assets import sample as make_sample
from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.run_inputs import run_inputs
from fitness_assets.definitions import build_defs
from fitness_assets.engine.session import start_spark
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.orchestration.metrics import NAMESPACE
from fitness_assets.registry import TABLES, table_of
from fitness_assets.schema.rules import SetRule, table_name
from fitness_assets.schema.table import Table
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Cloud

# A busy machine makes any example slow. In CI, Hypothesis takes the same examples each time.
settings.register_profile("busy", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("busy")

EVERYWHERE = pytest.mark.parametrize("lake", ["disk", "bucket"], indirect=True)
"""For tests of what holds of every lake."""
NEEDS_JAVA = [
    pytest.mark.deployment,  # a JVM takes long to start and to become fast
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and none is installed"),
]
"""For tests that compare Sail with Spark."""

HEADER = "user_id,age,gender,date,steps,heart_rate_avg,sleep_hours,calories_burned,exercise_minutes"
HEADER += ",stress_level,weight_kg,bmi"
UPLOADED = {"uri", "modified_at", "fingerprint", "ingested_at"}
"""Columns of the ledger that depend on where and when a file was put."""

REFUSED = b"not,an,upload\n1,2,3\n"
GOOD_ROW = "17,42,F,2024-09-06,8120,71.5,7.2,2240.0,35.0,4,68.4,23.9"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env of whoever runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith(("FITNESS_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def root(pytestconfig: pytest.Config) -> Path:
    """The folder of the project."""
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """An AWS on loopback, which every AWS client of the tests finds."""
    server = Cloud()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server
    server.stop()


@pytest.fixture
def bucket(cloud: Cloud) -> Bucket:
    """An empty bucket."""
    return new_bucket()


@pytest.fixture(scope="session")
def spark(cloud: Cloud) -> Iterator[SparkSession]:
    """A session on Sail, the default engine; ``cloud`` comes first, because Sail finds S3 by environment variables."""
    session = start_spark(Settings(storage_mode="s3", s3_bucket="any"))
    yield session
    session.stop()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40 people, with one row that does not fit."""
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    make_sample.main(["--users", "40", "--days", "150", "--seed", "3", "--out", str(path)], standalone_mode=False)
    with path.open("a") as file:
        file.write(GOOD_ROW.replace("8120", "8k") + "\n")
    return path


@pytest.fixture(scope="session")
def reference(
    request: pytest.FixtureRequest, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], dict[str, list[tuple]]]:
    """What an embedded run on disk makes of the sample, and of a file that is refused: the content of every table.

    The first test that asks has it made; processes that test side by side share it.
    """
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    @cache
    def tables() -> dict[str, list[tuple]]:
        kept = shared / "reference.json"
        with (shared / "reference.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                spark = request.getfixturevalue("spark")
                lake = Lake(LocalStore(tmp_path_factory.mktemp("reference")), lambda: spark)
                put_uploads(root_of(lake), sample)
                graph = build_defs(Settings(local_root=root_of(lake)), lake=lake)
                assert graph.resolve_job_def("all_tables").execute_in_process().success
                kept.write_text(json.dumps({table.key: content(lake, table.key) for table in TABLES}))
        return {key: [tuple(row) for row in rows] for key, rows in json.loads(kept.read_text()).items()}

    return tables


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """An empty folder for uploads."""
    folder = tmp_path / "lake" / "raw"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path, spark: SparkSession) -> Lake:
    """A lake on disk; where the test asks for it (`EVERYWHERE`), once more in a bucket, with blanks in its prefixes."""
    if getattr(request, "param", "disk") == "bucket":
        prefixes = {"bronze": "a b/bronze", "silver": "silver", "gold": "gold tables"}
        return Lake(S3Store(request.getfixturevalue("bucket"), prefixes), lambda: spark)
    return Lake(LocalStore(tmp_path / "lake"), lambda: spark)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def graph(lake: Lake, tmp_path: Path) -> dg.Definitions:
    """The real graph on the lake of this test."""
    return build_defs(Settings(local_root=tmp_path / "lake"), lake=lake)


@pytest.fixture
def materialize(graph: dg.Definitions, instance: dg.DagsterInstance) -> Callable[..., dg.ExecuteInProcessResult]:
    """Run the real graph, or a selection of it; a failed run is returned, not raised."""

    def run(select: str = "*", uploads: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        config = {"ops": {"bronze": {"config": {"uploads": list(uploads)}}}} if uploads else None
        return job_of(graph, select).execute_in_process(run_config=config, instance=instance, raise_on_error=False)

    return run


@pytest.fixture
def rows(lake: Lake) -> Callable[[str], list[dict[str, Any]]]:
    """The rows of a published table by its key."""
    return lambda key: [row.asDict() for row in lake.read(table_of(key)).collect()]


def job_of(graph: dg.Definitions, select: str | dg.AssetSelection) -> dg.JobDefinition:
    """A job of a part of a graph."""
    job = dg.define_asset_job("job", select)
    return dg.Definitions.merge(graph, dg.Definitions(jobs=[job])).resolve_job_def("job")


def put_uploads(root: Path, sample: Path) -> None:
    """Put the sample, and a file that is refused, where a local lake looks for uploads."""
    raw = root / "raw"
    raw.mkdir(parents=True)
    (raw / "notes.csv").write_bytes(REFUSED)
    (raw / "sample.csv").write_bytes(sample.read_bytes())


def new_bucket() -> Bucket:
    """An empty bucket of the cloud that is there."""
    bucket = Bucket(f"lake-{uuid4().hex}")
    bucket.client.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return bucket


def versioned_bucket() -> Bucket:
    """An empty bucket that keeps older versions of objects."""
    bucket = new_bucket()
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def published(bucket: Bucket, manifest: str) -> dict[str, BytesIO]:
    """The files of a table by their URIs, found as any reader does: by the URI of its manifest alone."""
    uris = bucket.get(bucket.key(manifest)).decode().splitlines()
    return {uri: BytesIO(bucket.get(bucket.key(uri))) for uri in uris}


def looks(graph: dg.Definitions, instance: dg.DagsterInstance, lake: Lake) -> Callable[[], dg.SensorResult]:
    """Looks of the sensor for uploads; its cursor is kept from one to the next."""
    sensor, cursor = graph.get_repository_def().get_sensor_def("new_uploads"), None

    def look() -> dg.SensorResult:
        nonlocal cursor
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": lake})
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor or cursor
        return result

    return look


def content(lake: Lake, key: str) -> list[tuple]:
    """The rows of a table in an order of their own, without what depends on where and when."""
    rows = [{name: cell for name, cell in row.items() if name not in UPLOADED} for row in lake.rows(table_of(key))]
    return sorted(tuple(map(repr, row.values())) for row in rows)


def root_of(lake: Lake) -> Path:
    """The root folder of a local lake."""
    assert isinstance(lake.store, LocalStore)
    return lake.store.root


def path_of(lake: Lake, table: Table, name: str | None = None) -> Path:
    """Where a table of a local lake, or a version or note of it, lies."""
    return Path(lake.store.location(table, name))


def materialize_command(select: str) -> list[str]:
    """The command line that materializes a part of the graph, as the README has it."""
    arguments = ["asset", "materialize", "-m", "fitness_assets.definitions", "--select", select]
    return [sys.executable, "-m", "dagster", *arguments]


def frame_of(spark: SparkSession, table: Table, rows: Sequence[dict[str, Any]]) -> DataFrame:
    """Rows of a table from a few cells each; the others are the dictionary's examples."""
    example = {column.name: column.example for column in table.columns}
    return spark.createDataFrame(
        [tuple((example | row)[column.name] for column in table.columns) for row in rows], table.spark_schema
    )


def arrow_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The same as `frame_of`, without Spark."""
    example = {column.name: column.example for column in table.columns}
    return pa.Table.from_pylist([{**example, **row} for row in rows], table.arrow_schema)


def violations(
    rule: SetRule, rows: Mapping[str, Sequence[dict[str, Any]]], known_uploads: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What a rule about rows together finds in the tables' rows, by key; a few cells of each, as for `frame_of`."""
    with duckdb.connect() as reader:
        about_runs = run_inputs(known_uploads=known_uploads)
        for key in rule.tables:
            given = about_runs[key] if key in about_runs else arrow_of(table_of(key), rows[key])
            reader.register(table_name(key), given)
        found = reader.sql(rule.violations)
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def evaluations(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """Check evaluations of a run by table and rule."""
    return {
        (evaluation.asset_key.to_user_string(), evaluation.check_name): evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed steps of a run say, for a person."""
    events = [event for event in result.all_events if event.is_step_failure]
    return " ".join(str(event.step_failure_data.error_display_string) for event in events)


def sample_of(evaluation: dg.AssetCheckEvaluation | dg.AssetCheckResult) -> list[dict[str, Any]]:
    """The failing rows that a check shows."""
    shown = evaluation.metadata["sample"]
    assert isinstance(shown, dg.TableMetadataValue)
    return [dict(record.data) for record in shown.records]


def measured(bucket: str, name: str, **dimensions: str) -> list[float]:
    """The sums of a metric in the last hour."""
    now = datetime.now(UTC)
    names = [{"Name": key, "Value": value} for key, value in {"Bucket": bucket, **dimensions}.items()]
    points = boto3.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=names,  # pyright: ignore[reportArgumentType]
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3_600,
        Statistics=["Sum"],
    )
    return [point["Sum"] for point in points["Datapoints"]]
