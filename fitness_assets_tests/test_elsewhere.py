"""The whole graph on a Spark that runs elsewhere: the same tables, also where a part of it dies in the middle."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyspark
import pytest

from fitness_assets.lake import Lake
from fitness_assets.s3_store import S3Store
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets.stores import LocalStore
from fitness_assets_tests.conftest import REFUSED, SPARK_CONF, new_bucket
from fitness_assets_tests.whole_runs import (
    SECONDS,
    Server,
    assert_same,
    environment,
    free_port,
    listens,
    materialize,
    wait_for,
)

pytestmark = pytest.mark.deployment


@pytest.fixture
def server(tmp_path_factory) -> Iterator[tuple[Server, Callable[[], bool], str]]:
    """A Spark Connect server of its own, whether it listens, and its URL."""
    port = free_port()
    command = [sys.executable, "-m", "fitness_assets", "spark-server", "--port", str(port)]
    server = Server(command, tmp_path_factory.mktemp("server"), environment())
    server.start(lambda: listens(port))
    yield server, lambda: listens(port), f"sc://127.0.0.1:{port}"
    server.kill()


def test_a_connect_server_that_dies_is_one_sentence_and_after_it_every_table_is_that_of_an_embedded_run(
    server, sample, reference, tmp_path
):
    """The first run loses its server in the middle; the second one has a process for each step."""
    raw, lake = tmp_path / "data" / "raw", Lake(LocalStore(tmp_path / "data"), pytest.fail)
    raw.mkdir(parents=True)
    (raw / "notes.csv").write_bytes(REFUSED)
    (raw / "sample.csv").write_bytes(sample.read_bytes())
    spark, is_ready, url = server
    # No Java for the client: it needs none.
    client = {"FITNESS_SPARK_REMOTE": url, "FITNESS_SPARK_CONF": "", "JAVA_HOME": "/nowhere"}
    run, log = materialize(tmp_path, **client)
    wait_for(lambda: "silver/rejected_days: writing" in log.read_text(), run, log)
    spark.kill()
    assert run.wait(SECONDS) != 0
    assert "The Spark Connect server of FITNESS_SPARK_REMOTE cannot be reached" in log.read_text()
    assert_same(lake, {key: rows for key, rows in reference().items() if key.startswith("bronze/")})
    assert lake.current(CLEAN_DAYS) is None

    spark.start(is_ready)
    run, log = materialize(tmp_path, **client, FITNESS_EXECUTOR="multiprocess")
    assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
    assert_same(lake, reference())


@pytest.fixture
def cluster(cloud, tmp_path_factory) -> Iterator[tuple[str, list[Server]]]:
    """A master and two workers of Spark standalone: the URL of the master, and the workers."""
    spark_class = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    port, folder = free_port(), tmp_path_factory.mktemp("cluster")
    url, variables = f"spark://127.0.0.1:{port}", environment(PYSPARK_PYTHON=sys.executable)
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


def test_every_table_is_that_of_an_embedded_run_though_a_worker_of_the_cluster_is_killed(
    cluster, sample, reference, tmp_path
):
    """With the lake on S3."""
    master, workers = cluster
    bucket = new_bucket()
    bucket.put("raw/notes.csv", REFUSED)
    bucket.upload(sample, "raw/sample.csv")
    run, log = materialize(
        tmp_path,
        FITNESS_STORAGE_MODE="s3",
        FITNESS_S3_BUCKET=bucket.name,
        FITNESS_SPARK_MASTER=master,
        FITNESS_SPARK_CONF=f"{SPARK_CONF};spark.executor.memory=1g;spark.executor.cores=1",
    )
    wait_for(lambda: "silver/rejected_days: writing" in log.read_text(), run, log)
    time.sleep(2)  # in the middle of the job that writes
    workers[0].kill()
    assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
    assert_same(Lake(S3Store(bucket, {}), pytest.fail), reference())
