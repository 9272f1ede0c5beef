"""What a run says on the terminal: through Dagster, with real events."""

import logging

import dagster as dg
import pytest

from fitness_assets.lake.version import VersionMetadata
from fitness_assets.orchestration import messages
from fitness_assets.orchestration.messages import Report
from fitness_assets.orchestration.terminal import LOGGER, Summary, event_of
from fitness_assets.registry import PUBLISH_GROUPS
from fitness_assets_tests.conftest import GOOD_ROW, HEADER, REFUSED, root_of

TERMINAL = {"loggers": {LOGGER: {}}}


@pytest.fixture
def summarised(graph, instance, lake, monkeypatch):
    """Run a selection with a logger that passes every record to a `Summary`; returns its lines."""
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(root_of(lake)))

    def run(select):
        lines: list[str] = []

        @dg.logger
        def passing(_):
            logger = logging.Logger("test", logging.DEBUG)
            logger.addHandler(Summary(lines.append))
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
    blank, subject, *lines = summarised("group:bronze")
    assert not blank
    assert subject.startswith("fitness-assets: uploads ingested: 2, refused: 1, checks to look at: ")
    assert f"{raw / 'good.csv'}: 1 rows read, 0 quarantined" in lines
    assert "bronze/logged_days: 1 rows, version 000001" in lines
    assert f"Tables: {raw.parent}/LAYER/TABLE" in lines
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


def test_a_failure_ends_in_its_sentence(summarised):
    lines = summarised("group:silver")
    assert lines[1] == "fitness-assets: failed in silver"
    assert lines[2] == "silver: bronze/logged_days does not exist yet: materialize bronze/logged_days first."
    assert "Traceback" not in "".join(lines)


def test_the_terminal_logger_prints_what_steps_log_and_no_event(raw, graph, instance, capsys):
    (raw / "notes.csv").write_bytes(REFUSED)
    job = dg.Definitions.merge(graph, dg.Definitions(jobs=[dg.define_asset_job("job", "group:bronze")]))
    assert job.resolve_job_def("job").execute_in_process(instance=instance, run_config=TERMINAL).success
    lines = capsys.readouterr().out.splitlines()
    assert any("  bronze      uploads found: 1, new: 1" in line for line in lines)
    assert any(f"Warning: {raw / 'notes.csv'} was refused: " in line for line in lines)
    assert len(lines) < 15
    assert not [line for line in lines if "STEP_" in line or "DEBUG" in line]


def test_an_interruption_says_what_was_published_and_not_what_was_only_written(raw, materialize, lake):
    (raw / "good.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert materialize("group:bronze").success
    (current,) = {lake.current(table) for table in PUBLISH_GROUPS[0]}
    written = VersionMetadata("bronze/uploads", current, None, {}, "run", "now")
    said = messages.interrupted(lake, Report("run", [written], []))
    assert (
        said == f"Interrupted. Published before: bronze/uploads version {current}. All other tables are as they were."
    )
    written.version = "000099"
    assert messages.interrupted(lake, Report("run", [written], [])) == "Interrupted; the tables are as they were."


def test_a_record_of_plain_code_has_no_event():
    assert event_of(logging.makeLogRecord({})) is None
