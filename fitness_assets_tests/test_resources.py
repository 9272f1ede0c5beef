import os
import sys
from unittest.mock import MagicMock

import pytest
from pyspark.errors import AnalysisException
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from fitness_assets import resources
from fitness_assets.resources import connect_server, driver_properties, lost_server, require_connect, start_spark
from fitness_assets.settings import Settings, SettingsError


def test_the_users_spark_properties_win_over_ours():
    properties = driver_properties(Settings(spark_conf="spark.driver.memory=9g", spark_master="local[3]"))
    assert properties["spark.driver.memory"] == "9g"
    assert properties["spark.master"] == "local[3]"


def test_a_connect_server_is_open_to_this_machine_alone_and_told_what_the_settings_say():
    settings = Settings(spark_conf="spark.driver.memory=9g;spark.connect.grpc.arrow.maxBatchSize=1m")
    command = connect_server(settings, 15_999)
    options = dict(option.split("=", 1) for option in command[command.index("--conf") : -1] if option != "--conf")
    assert options["spark.connect.grpc.binding.address"] == "127.0.0.1"
    assert options["spark.connect.grpc.binding.port"] == "15999"
    assert (options["spark.driver.memory"], options["spark.connect.grpc.arrow.maxBatchSize"]) == ("9g", "1m")


def test_without_its_packages_a_client_of_spark_connect_is_one_sentence_that_says_what_to_install(monkeypatch):
    require_connect()
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"FITNESS_SPARK_REMOTE .* pip install 'fitness-assets\[connect\]'"):
        require_connect()


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (SparkConnectGrpcException("status = StatusCode.UNAVAILABLE, Connection refused"), True),
        (SparkConnectGrpcException("[INVALID_HANDLE.SESSION_NOT_FOUND] The handle is invalid."), True),
        (SparkConnectGrpcException("[INTERNAL_ERROR] StatusCode.INTERNAL"), False),
        (AnalysisException("[TABLE_OR_VIEW_NOT_FOUND] StatusCode.UNAVAILABLE"), False),
    ],
)
def test_only_a_server_that_is_gone_is_told_as_one(error, is_lost):
    assert bool(lost_server(error)) is is_lost


def test_only_a_lake_in_a_bucket_needs_more_of_spark():
    assert not [name for name in driver_properties(Settings()) if "s3" in name or "jars" in name]


def test_spark_asks_the_same_s3_as_python(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_REGION", "")
    settings = Settings(storage_mode="s3", s3_bucket="lake")
    config = driver_properties(settings)
    assert config["spark.hadoop.fs.s3a.endpoint.region"] == "eu-north-1"
    assert config["spark.hadoop.fs.s3a.path.style.access"] == "false"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert driver_properties(settings)["spark.hadoop.fs.s3a.endpoint.region"] == "eu-west-3"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    config = driver_properties(settings)
    assert config["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9000"
    assert config["spark.hadoop.fs.s3a.path.style.access"] == "true"


def test_no_key_is_written_into_a_property(cloud):
    config = repr(driver_properties(Settings(storage_mode="s3", s3_bucket="lake")))
    assert cloud.environment["AWS_SECRET_ACCESS_KEY"] not in config
    assert cloud.environment["AWS_ACCESS_KEY_ID"] not in config


def test_dates_mean_utc_days_in_every_session(spark):
    assert (
        spark.sql("SELECT CAST(TIMESTAMP '2024-09-06 23:30:00Z' AS DATE)").collect()[0][0].isoformat() == "2024-09-06"
    )


@pytest.mark.parametrize("chosen", [None, "/opt/python"])
def test_spark_runs_the_python_of_this_environment_unless_told_otherwise(monkeypatch, chosen):
    monkeypatch.setenv("PYSPARK_PYTHON", chosen or "")
    if chosen is None:
        monkeypatch.delenv("PYSPARK_PYTHON")
    monkeypatch.setattr("dagster_pyspark.LazyPySparkResource", MagicMock())
    start_spark(Settings())
    assert os.environ["PYSPARK_PYTHON"] == (chosen or sys.executable)


@pytest.mark.parametrize(
    ("changed", "is_short"),
    [
        ({}, True),
        ({"raw_path": "one.csv"}, True),
        ({"raw_path": "large.csv"}, False),
        ({"raw_path": "no such folder"}, False),
        ({"raw_path": "s3://lake/raw/"}, False),
        ({"spark_master": "spark://127.0.0.1:7077"}, False),
    ],
    ids=["small folder", "small file", "large file", "no uploads", "bucket", "cluster"],
)
def test_java_is_told_of_a_short_job_when_the_uploads_are_few(monkeypatch, tmp_path, changed, is_short):
    resource = MagicMock()
    monkeypatch.setattr("dagster_pyspark.LazyPySparkResource", resource)
    monkeypatch.setattr(resources, "_LITTLE_BYTES", 100)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    for path, size in {"one.csv": 99, "data/raw/one.csv": 99, "large.csv": 100}.items():
        (tmp_path / path).write_bytes(bytes(size))
    start_spark(Settings(**{"local_root": tmp_path / "data"} | changed))
    options = resource.call_args.kwargs["spark_config"]["spark.driver.extraJavaOptions"]
    assert ("CompilerDirectivesFile" in options) is is_short
