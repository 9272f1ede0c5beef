"""A full disk and too little memory are one sentence, whoever reports them."""

import errno
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fitness_assets.gold.tables import DIM_USER
from fitness_assets.lake.garbage import KEEP_UNFINISHED_SECONDS
from fitness_assets.lake.room import lack_of_room
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, failure_of, path_of, root_of


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("An error occurred while calling o9661.parquet: java.io.IOException: No space left on device"),
        RuntimeError("IO error: External error: No space left on device (os error 28)"),
    ],
)
@pytest.mark.parametrize(
    ("free", "told"), [(0, "0 KB"), (249_600, "250 KB"), (1_449_000, "1.4 MB"), (12_340_000_000, "12.3 GB")]
)
def test_a_full_disk_is_a_sentence_with_the_folder_and_what_is_free(error, free, told, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=free))
    said = lack_of_room(error, tmp_path / "lake" / "not yet there", memory=1)
    assert said
    assert f"The disk of {tmp_path}/lake/not yet there is full: {told} are free there" in said
    assert asked == [tmp_path]
    said = lack_of_room(error, tmp_path / "lake", memory=1, written=free)
    assert said
    had = f" (it had written {told} when the disk was full)" if free else ""
    assert f"and this step needs more{had}; free disk space" in said


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (MemoryError(), "(a run may use 8.0 GB here):"),
        (RuntimeError("java.lang.OutOfMemoryError: Java heap space"), "(a run may use 8.0 GB here):"),
        (
            RuntimeError("Out of Memory Error: could not allocate block of size 256.0 KiB (1.8 GiB/1.8 GiB used)"),
            "256.0 KiB",
        ),
        (
            RuntimeError("Resources exhausted: Failed to allocate additional 12.5 MB for sort with 3.0 MB used"),
            "12.5 MB",
        ),
        (
            RuntimeError(
                "Failed to allocate additional 272.0 KB for ParquetSink(ArrowColumnWriter) with 272.3 KB already "
                "allocated for this reservation - 255.5 KB remain available for the total memory pool: "
                "fair(pool_size: 1953.1 KB)"
            ),
            "255.5 KB remain available for the total memory pool: fair(pool_size: 1953.1 KB)):",
        ),
        (
            RuntimeError(
                "The used disk space during the spilling process has exceeded the allowable limit of 976.6 KB. "
                "Please try increasing the config"
            ),
            "(a run may use 8.0 GB here), and what was moved to disk reached the limit of 976.6 KB:",
        ),
    ],
)
def test_too_little_memory_is_a_sentence_with_what_is_known(error, amount):
    said = lack_of_room(error, Path("lake"), memory=8_000_000_000)
    assert said
    assert "memory of this machine was not enough to write to lake" in said
    assert amount in said


def test_a_cause_counts_and_other_errors_do_not():
    wrapped = RuntimeError("a job failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert lack_of_room(wrapped, Path(), memory=1)
    assert lack_of_room(PermissionError(errno.EACCES, "Permission denied"), Path(), memory=1) is None
    assert lack_of_room(ValueError("no such column: space"), Path(), memory=1) is None


def test_a_run_on_a_full_disk_says_so_in_one_sentence(raw, lake, materialize, monkeypatch):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")

    def full(store, table, version, *_, **__):
        (root_of(lake) / "_versions" / table.key / version / "part.parquet").write_bytes(bytes(12_300_000))
        raise RuntimeError("An error occurred while calling o9661.parquet: No space left on device")

    monkeypatch.setattr("fitness_assets.lake.local.LocalStore.finish", full)
    said = failure_of(materialize("group:bronze"))
    assert f"The disk of {root_of(lake)} is full: " in said
    assert " (it had written 12.3 MB when the disk was full); free disk space and run again. This step " in said
    assert [*root_of(lake).rglob("part.parquet")] == []


@pytest.mark.parametrize("clean_up", ["the run itself", "a run a day later"])
def test_a_sidecar_file_that_did_not_fit_does_not_fill_the_disk_for_ever(lake, monkeypatch, clean_up):
    staging = lake.stage([DIM_USER], {}, "run")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            staging.attach(DIM_USER, "skops", b"a model")
    if clean_up == "the run itself":
        staging.clean_up()
    else:
        later = time.time() + KEEP_UNFINISHED_SECONDS + 60
        monkeypatch.setattr("fitness_assets.lake.garbage.time", lambda: later)
        lake.collect_garbage([DIM_USER])
    assert [*path_of(lake, DIM_USER, "").iterdir()] == []
