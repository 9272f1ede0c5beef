"""The whole graph on a cluster, with the lake on S3: the same tables, also where a worker dies in the middle."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest

from fitness_assets.lake import Lake
from fitness_assets.s3_store import S3Store
from fitness_assets_tests.conftest import JAVA_OPTIONS, REFUSED, SPARK_CONF, new_bucket
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
def cluster(cloud, tmp_path_factory) -> Iterator[tuple[str, list[Server]]]:
    """A master and two workers of Spark standalone: the URL of the master, and the workers."""
    spark_class = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
    port, folder = free_port(), tmp_path_factory.mktemp("cluster")
    url = f"spark://127.0.0.1:{port}"
    variables = environment(PYSPARK_PYTHON=sys.executable, SPARK_DAEMON_JAVA_OPTS=JAVA_OPTIONS)
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
