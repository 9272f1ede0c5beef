"""The graph as Dagster sees it, and the command line as a user sees it."""

import os
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.orchestration.io_manager import plain_failures
from fitness_assets.registry import TABLES
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import failure_of


def dagster(*arguments, cwd, **variables):
    """Run the command line as a user does, in an empty folder and with nothing set but ``variables``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FITNESS_", "DAGSTER_"))}
    command = [sys.executable, "-m", "dagster", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment | variables, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_table_is_an_asset_that_says_what_it_is(graph):
    specs = {spec.key.to_user_string(): spec for spec in graph.resolve_all_asset_specs()}
    assert set(specs) == {table.key for table in TABLES} | {"raw/uploads"}
    parents = graph.resolve_asset_graph().get(dg.AssetKey(["bronze", "logged_days"])).parent_keys
    assert parents == {dg.AssetKey(["raw", "uploads"])}
    for table in TABLES:
        spec = specs[table.key]
        assert spec.group_name == table.layer
        assert {table.layer, *table.kinds} == set(spec.kinds)
        assert "parquet" in spec.kinds
        assert ("scikitlearn" in spec.kinds) == ("predict" in table.key)
        assert spec.owners
        assert table.description in (spec.description or "")
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in table.columns]


def test_the_fact_goes_stale_after_the_days_of_the_setting():
    graph = build_defs(Settings(stale_after_days=3))
    specs = {spec.key.to_user_string(): spec for spec in graph.resolve_all_asset_specs()}
    policy = specs["gold/fact_daily"].freshness_policy
    assert isinstance(policy, dg.FreshnessPolicy)
    assert policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(days=3))


def test_the_daily_schedule_is_off_until_a_person_switches_it_on(graph):
    (schedule,) = graph.get_repository_def().schedule_defs
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "all_tables"


def test_a_check_of_the_ui_describes_each_of_its_rules_and_blocks_if_one_of_them_does(graph):
    checks = {
        (spec.asset_key.to_user_string(), spec.name): spec
        for asset in graph.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    for table in TABLES:
        blocking = {rule.check for rule in table.all_rules if rule.severity == "blocking"}
        assert "rules" in blocking
        for rule in table.all_rules:
            spec = checks[table.key, rule.check]
            assert spec.blocking == (rule.check in blocking)
            assert rule.description in (spec.description or "") or rule.check == "rules"
            # Dagster stops later steps for every failure of a blocking check that is no warning.
            assert rule.severity != "error" or not spec.blocking


def test_both_ways_into_the_ui_open_the_same_module(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    workspace = yaml.safe_load((root / "workspace.yaml").read_text())
    assert workspace["load_from"] == [{"python_module": project["code_location_target_module"]}]
    assert project["code_location_name"] == project["code_location_target_module"], "Dagster's name for such a module"


def test_runs_of_the_command_line_are_kept_in_the_project_and_nothing_is_reported_home(root):
    config = yaml.safe_load((root / "dagster.yaml").read_text())
    assert not Path(config["storage"]["sqlite"]["base_dir"]).is_absolute()
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 1
    assert config["telemetry"]["enabled"] is False


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"FITNESS_STORAGE_MODE": "floppy"}, "Error: FITNESS_STORAGE_MODE has to be 'local' or 's3'."),
        (
            {"FITNESS_SPARK": "local[*]", "JAVA_HOME": "/nowhere"},
            "Error: Spark needs Java 17 or later, but none was found in JAVA_HOME",
        ),
    ],
    ids=["wrong setting", "no Java"],
)
def test_what_stops_the_command_line_is_one_sentence_and_no_stack_trace(tmp_path, variables, sentence):
    result = dagster("asset", "list", "-m", "fitness_assets.definitions", cwd=tmp_path, **variables)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith(sentence)
    assert "Traceback" not in result.stderr


def test_a_run_that_fails_with_a_sentence_shows_one_stack_trace(materialize):
    failure = failure_of(materialize("gold/fact_daily"))
    assert "silver/clean_days does not exist yet: materialize silver/clean_days first." in failure
    assert failure.count("Stack Trace:") == 1


def test_a_server_that_is_gone_is_no_stack_trace_of_its_own(lake):
    with pytest.raises(dg.Failure, match="FITNESS_SPARK cannot be reached") as caught, plain_failures(lake):
        raise SparkConnectGrpcException("StatusCode.UNAVAILABLE")
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_a_lake_that_cannot_be_written_to_names_its_variable(tmp_path):
    (tmp_path / "lake").write_text("a file, not a folder")
    lake = Lake(LocalStore(tmp_path / "lake"), lambda: pytest.fail("Spark was started"))
    needs = "FITNESS_LOCAL_ROOT has to be a folder that this user may write to"
    with pytest.raises(dg.Failure, match=f"Not a directory: .*lake.*: {needs}"), plain_failures(lake):
        lake.stage([TABLES[-1]], {}, "run")
    with pytest.raises(dg.Failure, match=f"Permission denied: '/lake': {needs}"), plain_failures(lake):
        raise PermissionError(13, "Permission denied", "/lake")


def test_loading_the_code_location_starts_no_engine(tmp_path):
    script = (
        "import sys, fitness_assets.definitions as d, pyspark.core.context as c; "
        "print(len(d.defs.resolve_all_asset_specs()), 'pysail' in sys.modules, c.SparkContext._gateway)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout.split() == [str(len(TABLES) + 1), "False", "None"]
