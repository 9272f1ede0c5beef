import threading
from unittest.mock import MagicMock

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkRuntimeError
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from fitness_assets.engine.session import connect_server, driver_properties, lost_server, start_spark
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.version import LakeError
from fitness_assets.settings import Settings


def test_the_users_spark_properties_win_over_ours():
    properties = driver_properties(Settings(spark_conf="spark.driver.memory=9g", spark="local[3]"))
    assert properties["spark.driver.memory"] == "9g"
    assert properties["spark.master"] == "local[3]"


def test_a_connect_server_is_open_to_this_machine_alone_and_told_what_the_settings_say():
    settings = Settings(spark_conf="spark.driver.memory=9g;spark.connect.grpc.arrow.maxBatchSize=1m")
    command = connect_server(settings, 15_999)
    options = dict(option.split("=", 1) for option in command[command.index("--conf") : -1] if option != "--conf")
    assert options["spark.connect.grpc.binding.address"] == "127.0.0.1"
    assert options["spark.connect.grpc.binding.port"] == "15999"
    assert (options["spark.driver.memory"], options["spark.connect.grpc.arrow.maxBatchSize"]) == ("9g", "1m")


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


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        (
            {"spark": "local[*]", "spark_conf": "spark.driver.memory=lots"},
            PySparkRuntimeError("Java gateway process exited."),
            "Spark does not start: Java gateway process exited. Look at FITNESS_SPARK, at FITNESS_SPARK_CONF, ",
        ),
        (
            {"spark": "local[9999999999]"},
            Py4JError("An error occurred\n: Could not parse Master URL.\n\tat SparkContext.scala"),
            "Spark does not start: An error occurred: Could not parse Master URL. Look at FITNESS_SPARK, ",
        ),
        (
            {"spark": "sc://127.0.0.1"},
            SparkConnectGrpcException("StatusCode.INTERNAL"),
            "Spark does not start: StatusCode.INTERNAL Look at FITNESS_SPARK, at FITNESS_SPARK_CONF, ",
        ),
        (
            {"spark": "sc://127.0.0.1"},
            SparkConnectGrpcException("StatusCode.UNAVAILABLE"),
            "The Spark Connect server of FITNESS_SPARK cannot be reached",
        ),
    ],
    ids=["conf", "master", "remote", "no server"],
)
def test_a_spark_that_does_not_start_is_one_sentence_that_names_the_variables(monkeypatch, settings, error, sentence):
    monkeypatch.setattr("dagster_pyspark.LazyPySparkResource", MagicMock(side_effect=error))
    with pytest.raises(LakeError) as caught:
        start_spark(Settings(**settings))
    assert str(caught.value).startswith(sentence)
    assert caught.value.__suppress_context__


def test_a_property_that_spark_checks_only_in_a_query_is_checked_at_the_start(monkeypatch):
    session = MagicMock()
    session.conf.isModifiable = lambda name: name.startswith("spark.sql.")
    session.conf.set.side_effect = AnalysisException("shuffle.partitions should be int")
    monkeypatch.setattr("dagster_pyspark.LazyPySparkResource", lambda **_: MagicMock(spark_session=session))
    start_spark(Settings(spark="local[*]", spark_conf="spark.driver.memory=2g"))
    with pytest.raises(LakeError, match=r"shuffle\.partitions.* Look at .*FITNESS_SPARK_CONF"):
        start_spark(Settings(spark="local[*]", spark_conf="spark.sql.shuffle.partitions=abc"))


def test_a_spark_that_does_not_start_in_the_background_is_told_to_whoever_needs_it(monkeypatch, tmp_path):
    printed, failing = [], MagicMock(side_effect=LakeError("Spark does not start"))
    monkeypatch.setattr(threading, "excepthook", printed.append)
    others, lake = threading.enumerate(), Lake(LocalStore(tmp_path), failing)
    lake.start_spark()
    for thread in set(threading.enumerate()) - set(others):
        thread.join()
    assert (failing.call_count, printed) == (1, [])
    with pytest.raises(LakeError, match="Spark does not start"):
        _ = lake.spark


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
