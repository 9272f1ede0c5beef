"""From an object that lands in a bucket to tables, message and metrics, by the real daemon; and the same as on disk.

The daemon's Spark is a cluster, one of whose workers is killed in the middle.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pyspark
import pytest
from botocore.exceptions import ClientError

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.registry import TABLES
from fitness_assets.silver.tables import REJECTED_DAYS
from fitness_assets_tests.cloud import Inbox
from fitness_assets_tests.conftest import REFUSED, measured, new_bucket, published
from fitness_assets_tests.whole_runs import (
    JAVA_OPTIONS,
    NEITHER_DEVICES_NOR_GOALS,
    SPARK_CONF,
    Server,
    assert_same,
    environment,
    free_port,
    listens,
)

pytestmark = pytest.mark.deployment
COMPUTE_LOGS = """
compute_logs:
  module: dagster_aws.s3.compute_log_manager
  class: S3ComputeLogManager
  config: {bucket: %s, prefix: compute-logs}
"""


@dataclass
class Deployed:
    """What a daemon left behind that found one upload in a bucket."""

    bucket: Bucket
    lake: Lake
    message: dict[str, str]
    home: Path
    user: dict[str, str]


@contextmanager
def cluster(folder: Path, **variables: str) -> Iterator[tuple[str, list[Server]]]:
    """A master and two workers of Spark standalone: the URL of the master, and the workers."""
    spark_class = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    port = free_port()
    url = f"spark://127.0.0.1:{port}"
    variables = environment(SPARK_DAEMON_JAVA_OPTS=JAVA_OPTIONS, **variables)
    where = ["--host", "127.0.0.1", "--webui-port", "0"]
    command = [spark_class, "org.apache.spark.deploy.master.Master", *where, "--port", str(port)]
    master = Server(command, folder / "master", variables)
    worker = [spark_class, "org.apache.spark.deploy.worker.Worker", *where, "--cores", "1", "--memory", "2g", url]
    workers = [Server(worker, folder / f"worker{number}", variables) for number in range(2)]
    try:
        master.start(lambda: listens(port))
        for one in workers:
            one.start(lambda one=one: "Successfully registered with master" in one.log.read_text())
        yield url, workers
    finally:
        for server in (*workers, master):
            server.kill()


@pytest.fixture(scope="module")
def deployed(cloud, sample, root, tmp_path_factory) -> Deployed:
    home = tmp_path_factory.mktemp("home")
    bucket, inbox = new_bucket(), Inbox("daemon")
    (home / "dagster.yaml").write_text((root / "dagster.yaml").read_text() + COMPUTE_LOGS % bucket.name)
    bucket.upload(sample, "inbound data/2024/sample.csv")  # as any client would
    bucket.put("inbound data/notes.csv", REFUSED)
    boto3.client("glue").create_database(DatabaseInput={"Name": "fitness"})
    policy = (root / "docs" / "iam-policy.json").read_text()
    names = {"BUCKET/raw": f"{bucket.name}/inbound data", "BUCKET/gold": f"{bucket.name}/gold tables"}
    for name, value in {**names, "BUCKET": bucket.name, "TOPIC_ARN": inbox.arn, "GLUE_DATABASE": "fitness"}.items():
        policy = policy.replace(name, value)
    # Only S3 is told which resource is meant here, and even it asks of the bucket whether several objects may go.
    peculiar = (
        {"Action": ["glue:*Table", "sns:Publish", "monitoring:PutMetricData"], "Resource": "*"},
        {"Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket.name}"},
    )
    user = cloud.user("lake", *json.loads(policy)["Statement"], *peculiar)
    variables = {
        **user,
        "DAGSTER_HOME": str(home),
        "FITNESS_STORAGE_MODE": "s3",
        "FITNESS_S3_BUCKET": bucket.name,
        "FITNESS_RAW_PREFIX": "inbound data",
        "FITNESS_GOLD_PREFIX": "gold tables",
        "FITNESS_GLUE_DATABASE": "fitness",
        "FITNESS_SNS_TOPIC_ARN": inbox.arn,
    }
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "fitness_assets.definitions"]
    found = []
    with cluster(home / "cluster", **user) as (master, workers):
        spark_conf = f"{SPARK_CONF};spark.executor.memory=1g;spark.executor.cores=1"
        more = {"FITNESS_SPARK": master, "FITNESS_SPARK_CONF": spark_conf}
        daemon = Server(command, home, environment(**variables, **more))
        try:
            daemon.start(lambda: "silver: writing version" in daemon.log.read_text())
            time.sleep(2)  # in the middle of the job that writes
            workers[0].kill()
            daemon.wait_for(lambda: found.extend(inbox.read()) or (found and measured(bucket.name, "RunSeconds")))
        finally:
            daemon.kill()
        assert "Asked to launch executor" in workers[0].log.read_text(), "it had a share of the work"
    (message,) = found
    lake = Lake(S3Store(bucket, {"gold": "gold tables"}), pytest.fail)
    return Deployed(bucket, lake, message, home, user)


def test_every_table_is_what_it_is_on_disk(deployed, reference):
    assert_same(deployed.lake, reference())


def test_people_are_told(deployed):
    assert deployed.message["Subject"].startswith("fitness-assets: uploads ingested: 1, refused: 1, ")
    assert "inbound data/2024/sample.csv: " in deployed.message["Message"]
    assert "inbound data/notes.csv: refused, because no header was found" in deployed.message["Message"]
    assert "predictions, version 000001, rows: " in deployed.message["Message"]


def test_cloudwatch_has_the_run_and_the_heartbeat(deployed):
    ledger = {row["status"]: row for row in deployed.lake.rows(UPLOADS)}
    assert measured(deployed.bucket.name, "RowsIn") == [ledger["ingested"]["rows_read"]]
    assert measured(deployed.bucket.name, "RowsQuarantined") == [ledger["ingested"]["rows_quarantined"]]
    assert measured(deployed.bucket.name, "RowsRejected") == [len(deployed.lake.rows(REJECTED_DAYS))]
    assert measured(deployed.bucket.name, "CheckFailures", Severity="error") == [1.0], "the refused upload"
    assert measured(deployed.bucket.name, "CheckFailures", Severity="blocking") == [0.0]
    assert measured(deployed.bucket.name, "RunFailures") == [0.0]
    assert measured(deployed.bucket.name, "RunSeconds")[0] > 1
    assert measured(deployed.bucket.name, "Heartbeat")[0] >= 1


def test_readers_find_the_files_by_the_manifest_alone(deployed):
    with_rows = set()
    for table in TABLES:
        files = published(deployed.bucket, deployed.lake.store.location(table))
        rows = sum(pq.read_metadata(file).num_rows for file in files.values())
        assert rows == len(deployed.lake.rows(table))
        with_rows |= {table.key} if rows else set()
    assert with_rows == {table.key for table in TABLES} - {*NEITHER_DEVICES_NOR_GOALS}
    assert deployed.bucket.get("quality/report.html").startswith(b"<!DOCTYPE html>")
    assert not list(deployed.bucket.list("bronze/_scratch/")), "nothing is left of what went through"


def test_no_secret_is_in_logs_events_objects_or_messages(deployed):
    written = [path.read_bytes() for path in deployed.home.rglob("*") if path.is_file() and path.suffix != ".jar"]
    written += [deployed.bucket.get(found.key) for found in deployed.bucket.list("")]
    written.append(repr(deployed.message).encode())
    secret = deployed.user["AWS_SECRET_ACCESS_KEY"].encode()
    assert len(written) > 50
    assert any(deployed.bucket.name.encode() in content for content in written), "a search that finds what is there"
    assert not any(secret in content for content in written)


def test_glue_leads_to_the_manifests_of_the_gold_tables(deployed):
    entries = {entry["Name"]: entry for entry in boto3.client("glue").get_tables(DatabaseName="fitness")["TableList"]}
    assert set(entries) == {table.name for table in TABLES if table.layer == "gold"}
    for table in (table for table in TABLES if table.layer == "gold"):
        storage = entries[table.name]["StorageDescriptor"]
        (file, *_) = published(deployed.bucket, f"{storage['Location']}/manifest").values()
        schema = pq.read_schema(file)
        assert [column["Name"] for column in storage["Columns"]] == schema.names
        assert all(column["Type"] and column["Comment"] for column in storage["Columns"])


def test_what_runs_print_is_kept_in_the_bucket(deployed):
    printed = [deployed.bucket.get(found.key) for found in deployed.bucket.list("compute-logs/")]
    assert any(b"fact_predictions" in text for text in printed)


def test_the_policy_allows_no_more_than_is_needed(deployed):
    s3 = boto3.client(
        "s3",
        aws_access_key_id=deployed.user["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=deployed.user["AWS_SECRET_ACCESS_KEY"],
    )
    upload = {"Bucket": deployed.bucket.name, "Key": "inbound data/2024/sample.csv"}
    elsewhere = {"Bucket": deployed.bucket.name, "Key": "elsewhere/file"}
    assert s3.get_object(**upload)["Body"].read(1)
    for forbidden in (
        lambda: s3.put_object(**upload, Body=b"changed"),
        lambda: s3.delete_object(**upload),
        lambda: s3.put_object(**elsewhere, Body=b""),
        lambda: s3.get_object(**elsewhere),
        lambda: s3.delete_bucket(Bucket=deployed.bucket.name),
        lambda: s3.list_buckets(),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()
