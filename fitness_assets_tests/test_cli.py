"""The project's own commands: the sample generator, versions and rollback."""

import csv
import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import urlparse

import pytest
from click.testing import CliRunner

from fitness_assets import sample
from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.cli import main
from fitness_assets.lake.local import LocalStore
from fitness_assets.quality.tables import AUDIT
from fitness_assets.registry import table_of
from fitness_assets_tests.conftest import EVERYWHERE, REFUSED, frame_of
from fitness_assets_tests.lake.test_lake import DIM_DATE, DIM_USER, publish, users


def cells(users=40, days=200, seed=5):
    names = [column.name for column in RAW_COLUMNS]
    return [dict(zip(names, row, strict=True)) for user in sample.rows(users, days, seed) for row in user]


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return text != "NaN"


def test_the_same_seed_makes_the_same_rows_and_another_seed_makes_others():
    assert cells(3, 5, seed=1) == cells(3, 5, seed=1)
    assert cells(3, 5, seed=1) != cells(3, 5, seed=2)


def test_the_sample_has_every_flaw_that_the_public_file_is_known_for():
    rows = cells()
    keys = Counter((row["user_id"], row["date"]) for row in rows)
    assert len(keys) < 40 * 200, "gaps"
    assert max(keys.values()) == 2, "repeats"
    assert any(row["steps"].startswith("-") for row in rows), "negatives"
    assert any(row["steps"] == "0" for row in rows), "days without a step"
    assert any(row["heart_rate_avg"] == "260.0" for row in rows), "impossible values"
    measures = [row[name] for row in rows for name in ("steps", "heart_rate_avg", "sleep_hours", "weight_kg")]
    assert "" in measures, "empty cells"
    assert any(text and not is_number(text) for text in measures), "cells that do not parse"


def test_nothing_in_the_sample_follows_from_the_day_before():
    rows = [row for row in cells(days=365) if row["stress_level"].isdigit()]
    pairs = [
        (int(one["stress_level"]), int(next_one["stress_level"]))
        for one, next_one in itertools.pairwise(rows)
        if one["user_id"] == next_one["user_id"] and one["date"] != next_one["date"]
    ]
    mean = sum(one for one, _ in pairs) / len(pairs)
    covariance = sum((one - mean) * (two - mean) for one, two in pairs) / len(pairs)
    variance = sum((one - mean) ** 2 for one, _ in pairs) / len(pairs)
    assert abs(covariance / variance) < 0.03  # three standard errors of independent draws, at 14,000 pairs


def test_the_generator_writes_a_whole_file_or_none(tmp_path):
    out = tmp_path / "raw" / "sample.csv"
    result = CliRunner().invoke(sample.main, ["--users", "2", "--days", "3", "--seed", "1", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert [path.name for path in out.parent.iterdir()] == ["sample.csv"]
    with out.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [column.name for column in RAW_COLUMNS]
    assert f"{len(rows)} rows of 2 users" in result.output


def test_the_shipped_sample_is_what_the_generator_makes(root):
    lines = (root / "data" / "raw" / "sample.csv").read_text().splitlines()
    expected = [",".join(row) for user in sample.rows(48, 365, 1) for row in user]
    assert lines[1:] == expected


def configure(lake, monkeypatch):
    """Set the variables that lead to a lake."""
    if isinstance(lake.store, LocalStore):
        monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(lake.store.root))
    else:
        monkeypatch.setenv("FITNESS_STORAGE_MODE", "s3")
        monkeypatch.setenv("FITNESS_S3_BUCKET", lake.store.bucket.name)
        monkeypatch.setenv("FITNESS_GOLD_PREFIX", "gold tables")


def test_a_bucket_that_is_not_there_is_one_sentence(cloud, monkeypatch):
    monkeypatch.setenv("FITNESS_STORAGE_MODE", "s3")
    monkeypatch.setenv("FITNESS_S3_BUCKET", "no-such-bucket")
    result = CliRunner().invoke(main, ["versions", "gold/dim_user"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: s3://no-such-bucket/gold/")
    assert "NoSuchBucket" in result.output


@EVERYWHERE
def test_a_table_is_rolled_back_by_one_command(lake, monkeypatch):
    configure(lake, monkeypatch)
    monkeypatch.setattr("fitness_assets.registry.PUBLISH_GROUPS", ((DIM_USER,),))
    first = publish(lake, "first")
    publish(lake, "second")
    listed = CliRunner().invoke(main, ["versions", "gold/dim_user"]).output.splitlines()
    assert [line.split()[0] for line in listed] == ["000001", "000002"]
    assert listed[1].endswith("current")
    result = CliRunner().invoke(main, ["rollback", "gold/dim_user", first])
    assert result.exit_code == 0, result.output
    assert users(lake) == ["first"]


def test_a_port_that_cannot_be_is_one_sentence(monkeypatch):
    monkeypatch.setattr("os.execv", lambda *command: pytest.fail("Java was started"))
    result = CliRunner().invoke(main, ["spark-server", "--port", "99999999"])
    assert result.exit_code == 2
    assert "99999999 is not in the range 1024<=x<=65535" in result.output


def test_each_table_of_a_version_shows_its_own_rows(lake, monkeypatch):
    configure(lake, monkeypatch)
    monkeypatch.setattr("fitness_assets.registry.PUBLISH_GROUPS", ((DIM_USER, DIM_DATE),))
    staging = lake.stage([DIM_USER, DIM_DATE], {}, "run")
    staging.write(DIM_USER, frame_of(lake.spark, DIM_USER, [{"user_id": user_id} for user_id in "abc"]))
    staging.write(DIM_DATE, frame_of(lake.spark, DIM_DATE, [{}]))
    staging.commit()
    lake.publish(staging)
    for key, rows in {"gold/dim_user": "3 rows", "gold/dim_date": "1 rows"}.items():
        assert f" {rows}  run run  current" in CliRunner().invoke(main, ["versions", key]).output


def test_a_version_or_table_that_is_not_there_is_one_sentence(lake, monkeypatch):
    configure(lake, monkeypatch)
    result = CliRunner().invoke(main, ["rollback", "gold/fact_daily", "000007"])
    assert result.exit_code == 1
    assert "has no version 000007; it has none." in result.output
    result = CliRunner().invoke(main, ["versions", "gold/fact_daily"])
    assert result.exit_code == 1
    place = lake.store.location(table_of("gold/fact_daily"))
    assert f"gold/fact_daily has no version at {place}: materialize it" in result.output
    result = CliRunner().invoke(main, ["versions", "gold/facts"])
    assert result.exit_code == 2
    assert "there is no table gold/facts; there are bronze/logged_days" in result.output


def test_the_generator_overwrites_no_file(tmp_path):
    out = tmp_path / "mine.csv"
    out.write_text("mine")
    result = CliRunner().invoke(main, ["sample", "--users", "1", "--days", "1", "--out", str(out)])
    assert result.exit_code == 1
    assert f"{out} exists already" in result.output
    assert out.read_text() == "mine"


def test_every_command_has_a_help_page_with_an_example():
    for name in main.commands:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0
        assert "Example: fitness " in result.output, name


@EVERYWHERE
def test_each_table_is_a_view_for_sql(lake, monkeypatch):
    configure(lake, monkeypatch)
    publish(lake, "first")
    result = CliRunner().invoke(main, ["query", "--csv", "SELECT user_id FROM gold.dim_user"])
    assert result.output == "user_id\nfirst\n"
    result = CliRunner().invoke(main, ["query", "SELECT nothing FROM gold.dim_user"])
    assert result.exit_code == 1
    assert "nothing" in result.output


def test_without_a_report_one_sentence_says_what_to_run(lake, monkeypatch):
    configure(lake, monkeypatch)
    result = CliRunner().invoke(main, ["report", "--no-open"])
    assert result.exit_code == 1
    assert "There is no report yet: run `fitness run` first." in result.output


@EVERYWHERE
def test_the_report_of_the_current_version_is_opened_also_from_a_bucket(lake, monkeypatch, tmp_path):
    configure(lake, monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for words in (b"first", b"second"):
        staging = lake.stage([AUDIT], {}, "run")
        staging.attach(AUDIT, "report.html", words)
        staging.write_rows(AUDIT, [])
        staging.commit()
        lake.publish(staging)
    assert CliRunner().invoke(main, ["report", "--no-open"]).exit_code == 0
    assert opened == []
    result = CliRunner().invoke(main, ["report"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(lake.store.artifact_location(AUDIT, "report.html"))
    assert Path(urlparse(opened[0]).path).read_bytes() == b"second"


_WITH_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from fitness_assets.cli import main
main()
"""


def run_fitness(folder, root):
    """`fitness run` of bronze in a folder with the project's `dagster.yaml`, in a process group of its own."""
    (folder / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    # A shell starts what runs in the background with Ctrl-C ignored, and tests may run there.
    command = [sys.executable, "-c", _WITH_CTRL_C, "run", "--select", "group:bronze"]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_run_in_which_every_upload_is_refused_exits_with_1_and_says_so_last(tmp_path, root):
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / "notes.csv").write_bytes(REFUSED)
    run = run_fitness(tmp_path, root)
    out, errors = run.communicate(timeout=300)
    assert run.returncode == 1
    assert out.splitlines()[-1].startswith("LOST: data/raw/notes.csv was refused, because ")
    assert errors == "Nothing could be ingested: no row of the new uploads could be typed.\n"


def test_an_interrupted_run_ends_in_one_sentence(tmp_path, root):
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    sample.main(["--users", "600", "--out", str(raw / "mine.csv")], standalone_mode=False)
    run = run_fitness(tmp_path, root)
    assert run.stdout
    assert "uploads found" in run.stdout.readline()
    os.killpg(run.pid, signal.SIGINT)
    out, errors = run.communicate(timeout=300)
    assert run.returncode == 130
    assert out.splitlines()[-1] == "Interrupted; the tables are as they were."
    assert errors == ""
