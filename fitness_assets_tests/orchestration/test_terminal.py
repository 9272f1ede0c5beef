"""What a run says on the terminal: the whole text, and single lines through Dagster with real events."""

import logging
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import dagster as dg
import pytest

from fitness_assets.lake.version import VersionMetadata
from fitness_assets.orchestration import messages
from fitness_assets.orchestration.messages import RunOutput
from fitness_assets.orchestration.terminal import Terminal, event_of
from fitness_assets.registry import PUBLISH_GROUPS
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, REFUSED, materialize_command, root_of
from fitness_assets_tests.whole_runs import environment

FITNESS_RUN = [sys.executable, "-m", "fitness_assets", "run"]
DAGSTER_WARNING = 2
"""Lines in which Dagster's command line warns of itself before it loads the graph."""


def ran(command, folder, root):
    """Run a command in a folder with the project's `dagster.yaml`; what differs from run to run is replaced."""
    (folder / "dagster.yaml").write_text((root / "dagster.yaml").read_text())
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    text = done.stdout
    for pattern, name in (
        (r"(?m)^\d\d:\d\d:\d\d ", "TIME "),
        (r"in \d+\.\d s", "in SECONDS s"),
        (r"/runs/[0-9a-f-]{36}", "/runs/ID"),
        (re.escape(str(folder)), "FOLDER"),
    ):
        text = re.sub(pattern, name, text)
    return text, done.stderr, done.returncode


def test_the_main_command_says_this_and_no_more(tmp_path, root, sample):
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    with sample.open() as lines:
        (raw / "mine.csv").write_text("".join(islice(lines, 1_200)))
    (raw / "notes.csv").write_bytes(REFUSED)
    text, errors, status = ran(materialize_command("*"), tmp_path, root)
    found, expected = tmp_path / "whole_run.txt", Path(__file__).with_name("whole_run.txt")
    found.write_text(text)
    assert text == expected.read_text(), f"if this change is meant: cp {found} {expected}"
    assert len(errors.splitlines()) <= DAGSTER_WARNING
    assert status == 0


FAILED = """\

fitness-assets: failed in silver
silver: bronze/logged_days does not exist yet: materialize bronze/logged_days first.
Readers keep the tables that were there.
Look at /runs/ID in the Dagster UI.
"""


def test_a_run_that_fails_says_why_and_shows_no_stack_trace(tmp_path, root):
    assert ran([*FITNESS_RUN, "--select", "group:silver"], tmp_path, root) == (FAILED, "", 1)


@pytest.mark.deployment
def test_the_main_command_says_the_same_of_a_run_that_fails(tmp_path, root):
    text, errors, status = ran(materialize_command("group:silver"), tmp_path, root)
    assert (text, status) == (FAILED, 1)
    assert errors.splitlines()[DAGSTER_WARNING:] == ["Error: Materialization failed."]


@pytest.mark.deployment
def test_the_debug_flag_shows_events_and_the_stack_trace(tmp_path, root):
    _, errors, status = ran([*FITNESS_RUN, "--debug", "--select", "group:silver"], tmp_path, root)
    assert status == 1
    assert "STEP_START" in errors
    assert "Stack Trace:" in errors


@pytest.mark.deployment
def test_without_the_handler_in_dagster_yaml_dagster_says_what_happened(tmp_path, root, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    command = ["env", f"DAGSTER_HOME={home}", *FITNESS_RUN, "--select", "group:silver"]
    text, errors, status = ran(command, tmp_path, root)
    assert (text, status) == ("", 1)
    assert "bronze/logged_days does not exist yet" in errors


@pytest.fixture
def summarised(graph, instance, lake, monkeypatch):
    """Run a selection with a logger that passes every record to a `Terminal`; returns its lines."""
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))

    def run(select):
        lines: list[str] = []

        @dg.logger
        def passing(_):
            logger = logging.Logger("test", logging.DEBUG)
            logger.addHandler(Terminal(lines.append))
            return logger

        job = dg.define_asset_job("job", select)
        defs = dg.Definitions.merge(graph, dg.Definitions(jobs=[job], loggers={"passing": passing}))
        defs.resolve_job_def("job").execute_in_process(
            instance=instance, run_config={"loggers": {"passing": {}}}, raise_on_error=False
        )
        return "\n".join(lines).splitlines()

    return run


def test_a_run_ends_in_a_summary_and_names_lost_uploads_last_also_when_it_read_none(raw, summarised):
    (raw / "good.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    (raw / "notes.csv").write_bytes(REFUSED)
    (raw / "half.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('8120', '8k')}\n")
    lines = summarised("group:bronze")
    lost = [line for line in lines if line.startswith("LOST: ")]
    assert lines[-2:] == lost
    assert any(f"{raw / 'notes.csv'} was refused, because " in line for line in lost)
    assert f"LOST: of 1 rows of {raw / 'half.csv'} only 0 could be typed" in lost
    assert summarised("group:silver")[-2:] == lost


def test_an_upload_that_was_put_right_is_not_lost(raw, summarised):
    (raw / "file.csv").write_bytes(REFUSED)
    assert summarised("group:bronze")[-1].startswith("LOST: ")
    (raw / "file.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert summarised("group:bronze")[-1] == "To open the UI: dagster dev"


def test_the_second_run_says_how_many_rows_are_new(raw, summarised):
    (raw / "one.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert "bronze, version 000001, rows: logged_days 1, quarantine 0, measurements 0, uploads 1" in summarised(
        "group:bronze"
    )
    (raw / "two.csv").write_text(f"{HEADER}\n{GOOD_ROW.replace('17,', '18,', 1)}\n")
    expected = "bronze, version 000002, rows: logged_days 2 (+1), quarantine 0, measurements 0, uploads 2 (+1)"
    assert expected in summarised("group:bronze")


def test_an_interruption_says_what_was_published_and_not_what_was_only_written(raw, materialize, lake):
    (raw / "good.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert materialize("group:bronze").success
    (current,) = {lake.current(table) for table in PUBLISH_GROUPS[0]}
    written = VersionMetadata("bronze/uploads", current, None, {}, "run", "now")
    said = messages.interrupted(lake, RunOutput("run", [written], []))
    assert (
        said == f"Interrupted. Published before: bronze/uploads version {current}. All other tables are as they were."
    )
    written.version = "000099"
    assert messages.interrupted(lake, RunOutput("run", [written], [])) == "Interrupted; the tables are as they were."


def test_a_record_of_plain_code_has_no_event():
    assert event_of(logging.makeLogRecord({})) is None
