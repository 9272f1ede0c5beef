"""Whole runs on Sail that meet a full disk, too little memory, an S3 that fails, SIGINT and SIGKILL.

Each time the run ends soon with one sentence, and every published table is whole.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.tables import TABLES as BRONZE
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets_tests.conftest import new_bucket, put_uploads
from fitness_assets_tests.tools.kill_runs import check_whole
from fitness_assets_tests.whole_runs import free_port, materialize, wait_for

pytestmark = pytest.mark.deployment

_EXIT_SECONDS = 60
"""How long a process may take from the end of its run to its exit on a busy machine; alone it takes one or two."""
_TWO_LAYERS = "group:bronze or group:silver"


def told(run: subprocess.Popen, log: Path) -> str:
    """Wait for a run that fails, whose process has to end soon; returns the sentence of the step that failed.

    The run's own event says it too. Dagster copies what is printed during steps by a process that it kills after the
    last step, so on a busy machine the event of the step may be missing in the log.
    """
    wait_for(lambda: "RUN_FAILURE" in log.read_text() or run.poll() is not None, run, log)
    run.wait(_EXIT_SECONDS)
    text = log.read_text()
    assert run.returncode == 1, text[-3000:]
    failure = text.split("RUN_FAILURE", 1)[1].split("\n\n")[1].strip()
    assert failure.startswith("dagster._core.definitions.events.Failure: "), text[-3000:]
    assert "Traceback" not in text, "no stack trace of another error"
    return failure.removeprefix("dagster._core.definitions.events.Failure: ")


def lake_in(store: LocalStore | S3Store) -> Lake:
    return Lake(store, lambda: pytest.fail("the lake is looked at without Spark"))


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A project folder whose lake is on a file system of its own of some kilobytes."""
    data = tmp_path / "data"
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "none", str(data)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield tmp_path
    subprocess.run(["umount", str(data)], check=True)


@pytest.mark.parametrize("small_disk", [1_000, 3_000], indirect=True)
def test_a_full_disk(small_disk, sample):
    """The smallest disk is full in bronze, the others in predictions."""
    put_uploads(small_disk / "data", sample)
    said = told(*materialize(small_disk))
    assert said.startswith(f"The disk of {small_disk / 'data'} is full: "), said
    free = r" is full: [1-9][\d.]* [KM]B are free there, and this step needs more"
    written = r"( \(it had written [1-9][\d.]* [KM]B when the disk was full\))?;"  # what Sail began it also removes
    assert re.search(free + written, said), said
    check_whole(lake_in(LocalStore(small_disk / "data")))


@pytest.mark.parametrize("small_disk", [5_000], indirect=True)
def test_a_disk_that_is_full_when_sail_writes_silver(small_disk, sample):
    put_uploads(small_disk / "data", sample)
    run, log = materialize(small_disk, select="group:bronze")
    assert run.wait(300) == 0, log.read_text()[-3000:]
    left = 250_000
    (small_disk / "data" / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk / "data").free - left))
    said = told(*materialize(small_disk, select="group:silver"))
    free = re.match(rf"The disk of {re.escape(str(small_disk))}/data is full: (\d+) KB are free there,", said)
    assert free, said
    assert int(free[1]) == pytest.approx(left / 1000, abs=50), "what the step wrote is removed"
    assert check_whole(lake_in(LocalStore(small_disk / "data"))).keys() == {table.key for table in BRONZE}


def test_too_little_memory(tmp_path, sample):
    put_uploads(tmp_path / "data", sample)
    run, _ = materialize(tmp_path, _TWO_LAYERS)
    assert run.wait(300) == 0
    before = check_whole(lake_in(LocalStore(tmp_path / "data")))
    header, *lines = sample.read_text().splitlines()  # other people, in every month: one row needs little memory
    (tmp_path / "data" / "raw" / "more.csv").write_text("\n".join([header, *(f"x{line}" for line in lines)]))
    limits = {"SAIL_RUNTIME__MEMORY_POOL__FAIR__MAX_SIZE": "200000", "SAIL_RUNTIME__TEMPORARY_FILES__MAX_SIZE": "1000"}
    said = told(*materialize(tmp_path, _TWO_LAYERS, **limits))
    assert said.startswith("The memory of this machine was not enough to write to "), said
    assert check_whole(lake_in(LocalStore(tmp_path / "data"))) == before


class TestS3:
    @pytest.fixture
    def there(self, cloud, sample) -> Bucket:
        bucket = new_bucket()
        bucket.upload(sample, "raw/sample.csv")
        return bucket

    def start(self, bucket: Bucket, folder: Path, **more: str) -> tuple[subprocess.Popen, Path]:
        return materialize(folder, FITNESS_STORAGE_MODE="s3", FITNESS_S3_BUCKET=bucket.name, **more)

    @pytest.mark.parametrize("fault", [503, "cut"])
    @pytest.mark.parametrize("method", ["PUT", "GET"])
    def test_files_that_sail_cannot_read_or_write(self, there, cloud, tmp_path, fault, method):
        is_published = False

        def fail(request: str):
            nonlocal is_published
            is_published |= request.startswith("PUT") and "/bronze/uploads/_symlink_format_manifest/" in request
            is_file = "/bronze/logged_days/" in request and ".parquet" in request
            return fault if is_file and request.startswith(method) and (method == "PUT" or is_published) else None

        with cloud.faults(fail):
            began = time.monotonic()
            said = told(*self.start(there, tmp_path))
            assert time.monotonic() - began < 180
        assert said.startswith(f"S3 did not answer Sail for a file below {there.uri('')}: "), said
        assert "\n" not in said
        assert bool(check_whole(lake_in(S3Store(there, {})))) == (method == "GET")

    def test_an_endpoint_that_refuses_connections(self, there, tmp_path):
        began = time.monotonic()
        said = told(*self.start(there, tmp_path, AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}"))
        assert time.monotonic() - began < 120
        assert "Could not connect to the endpoint URL" in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_in_the_middle(tmp_path, sample, how):
    put_uploads(tmp_path / "data", sample)
    run, log = materialize(tmp_path, _TWO_LAYERS)
    wait_for(lambda: "silver: writing version" in log.read_text(), run, log)
    run.send_signal(how)
    assert run.wait(_EXIT_SECONDS) == (1 if how == signal.SIGINT else -how)
    counts = check_whole(lake_in(LocalStore(tmp_path / "data")))
    assert counts["bronze/uploads"] == 2
    run, log = materialize(tmp_path, _TWO_LAYERS)
    wait_for(lambda: "RUN_SUCCESS" in log.read_text(), run, log)
    assert run.wait(_EXIT_SECONDS) == 0
    assert check_whole(lake_in(LocalStore(tmp_path / "data")))["bronze/uploads"] == 2
