"""A full disk and too little memory are one sentence, whoever reports them."""

import errno
from pathlib import Path

import pytest

from fitness_assets.lake.room import lack_of_room
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, failure_of, root_of


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("An error occurred while calling o9661.parquet: java.io.IOException: No space left on device"),
        RuntimeError("IO error: External error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_a_sentence_with_the_folder_and_what_is_free(error, tmp_path):
    said = lack_of_room(error, tmp_path / "lake" / "not yet there")
    assert said
    assert f"The disk of {tmp_path}/lake/not yet there is full: " in said
    assert " MB are free there" in said


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (MemoryError(), ""),
        (RuntimeError("java.lang.OutOfMemoryError: Java heap space"), ""),
        (
            RuntimeError("Out of Memory Error: could not allocate block of size 256.0 KiB (1.8 GiB/1.8 GiB used)"),
            "256.0 KiB",
        ),
        (
            RuntimeError("Resources exhausted: Failed to allocate additional 12.5 MB for sort with 3.0 MB used"),
            "12.5 MB",
        ),
    ],
)
def test_too_little_memory_is_a_sentence_with_what_is_known(error, amount):
    said = lack_of_room(error, Path("lake"))
    assert said
    assert "memory of this machine was not enough to write to lake" in said
    assert amount in said


def test_a_cause_counts_and_other_errors_do_not():
    wrapped = RuntimeError("a job failed")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert lack_of_room(wrapped, Path())
    assert lack_of_room(PermissionError(errno.EACCES, "Permission denied"), Path()) is None
    assert lack_of_room(ValueError("no such column: space"), Path()) is None


def test_a_run_on_a_full_disk_says_so_in_one_sentence(raw, lake, materialize, monkeypatch):
    (raw / "a.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")

    def full(*_, **__):
        raise RuntimeError("An error occurred while calling o9661.parquet: No space left on device")

    monkeypatch.setattr("fitness_assets.lake.local.LocalStore.finish", full)
    said = failure_of(materialize("group:bronze"))
    assert f"The disk of {root_of(lake)} is full: " in said
