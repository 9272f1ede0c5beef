"""The whole graph on a Spark that runs elsewhere: the same tables, also where a part of it dies in the middle."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake import Lake
from fitness_assets.s3_store import S3Store
from fitness_assets.sample import rows as sample_rows
from fitness_assets.stores import LocalStore
from fitness_assets_tests.conftest import HEADER, REFUSED, SPARK_CONF, content, new_bucket
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


class TestSparkConnect:
    """A server of its own, which other processes are thin clients of."""

    @pytest.fixture(scope="class")
    def port(self) -> int:
        return free_port()

    @pytest.fixture(scope="class")
    def server(self, port, tmp_path_factory) -> Iterator[Server]:
        command = [sys.executable, "-m", "fitness_assets", "spark-server", "--port", str(port)]
        server = Server(command, tmp_path_factory.mktemp("server"), environment())
        server.start(lambda: listens(port))
        yield server
        server.kill()

    @pytest.fixture(scope="class")
    def folder(self, sample, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("client")
        raw = folder / "data" / "raw"
        raw.mkdir(parents=True)
        (raw / "notes.csv").write_bytes(REFUSED)
        (raw / "sample.csv").write_bytes(sample.read_bytes())
        return folder

    @pytest.fixture(scope="class")
    def client(self, port) -> dict[str, str]:
        # No Java for the client: it needs none.
        return {"FITNESS_SPARK_REMOTE": f"sc://127.0.0.1:{port}", "FITNESS_SPARK_CONF": "", "JAVA_HOME": "/nowhere"}

    @pytest.mark.usefixtures("server")
    def test_every_table_is_that_of_an_embedded_run_also_with_a_process_for_each_step(self, folder, client, reference):
        run, log = materialize(folder, **client, FITNESS_EXECUTOR="multiprocess")
        assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
        assert_same(Lake(LocalStore(folder / "data"), pytest.fail), reference)

    def test_a_server_that_dies_is_one_sentence_and_leaves_tables_whole(self, server, port, folder, client, reference):
        lake = Lake(LocalStore(folder / "data"), pytest.fail)
        lines = [",".join(cells) for user in sample_rows(3, 20, 7) for cells in user]
        (folder / "data" / "raw" / "more.csv").write_text("\n".join([HEADER, *lines]) + "\n")
        run, log = materialize(folder, **client)
        wait_for(lambda: "silver/rejected_days: writing" in log.read_text(), run, log)
        server.kill()
        assert run.wait(SECONDS) != 0
        assert "The Spark Connect server of FITNESS_SPARK_REMOTE cannot be reached" in log.read_text()
        assert_same(lake, {key: rows for key, rows in reference.items() if not key.startswith("bronze/")})
        assert len(lake.rows(UPLOADS)) == 3, "bronze was through"

        server.start(lambda: listens(port))
        run, log = materialize(folder, **client)
        assert run.wait(SECONDS) == 0, log.read_text()[-3000:]
        assert content(lake, "gold/fact_daily") != reference["gold/fact_daily"], "the new upload corrects days"


class TestCluster:
    """A master and two workers of Spark standalone, with the lake on S3."""

    @pytest.fixture(scope="class")
    def cluster(self, cloud, tmp_path_factory) -> Iterator[tuple[str, list[Server]]]:
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

    def test_every_table_is_that_of_an_embedded_run_though_a_worker_is_killed(
        self, cluster, sample, reference, tmp_path
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
        assert_same(Lake(S3Store(bucket, {}), pytest.fail), reference)
