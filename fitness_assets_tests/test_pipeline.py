"""The whole graph, with Dagster, on small data: what a user gets, and what happens when something is wrong."""

import json
import subprocess
from typing import Any

import dagster as dg
import pandas as pd
from click.testing import CliRunner
from pyspark.sql import functions as F

from fitness_assets.cli import main
from fitness_assets.gold import transforms as gold_transforms
from fitness_assets.orchestration.asset_checks import check_specs
from fitness_assets.predictions.tables import MODELS
from fitness_assets.registry import TABLES
from fitness_assets.sample import rows as sample_rows
from fitness_assets.silver import transforms as silver_transforms
from fitness_assets_tests.conftest import (
    EVERYWHERE,
    GOOD_ROW,
    HEADER,
    evaluations,
    failure_of,
    job_of,
    path_of,
    sample_of,
    table_of,
)

AUDIT = table_of("quality/audit")
FACT, CLEAN, LOGGED = table_of("gold/fact_daily"), table_of("silver/clean_days"), table_of("bronze/logged_days")


EVENTS = 240
"""The most that a run of the whole graph may record: each takes Dagster some milliseconds and a line of the UI."""


def write_sample(path, users=6, days=60, seed=3):
    """A small file of the sample generator, flaws included; returns how many rows it has."""
    lines = [",".join(cells) for user in sample_rows(users, days, seed) for cells in user]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return len(lines)


def metadata_of(result, key):
    event = next(
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(key.split("/"))
    )
    return event.materialization.metadata


def test_the_main_job_publishes_every_table_and_reports_every_rule(raw, materialize, lake, instance):
    read = write_sample(raw / "sample.csv")
    result = materialize()
    assert result.success
    assert len(instance.all_logs(result.run_id)) <= EVENTS
    found = evaluations(result)
    assert set(found) == {(table.key, spec.name) for table in TABLES for spec in check_specs(table)}
    failed = {key: evaluation.severity for key, evaluation in found.items() if not evaluation.passed}
    assert failed, "the sample has impossible values, and bronze says so"
    no_skill = {(table.key, "has_skill") for table in MODELS.values()}
    assert no_skill < set(failed), "six people are too few to learn from, and the models say so"
    assert {key for key, _ in set(failed) - no_skill} <= {"bronze/logged_days", "quality/audit"}
    assert set(failed.values()) == {dg.AssetCheckSeverity.WARN}
    name = next(name for name in failed if name not in no_skill)
    assert found[name].metadata["failed"].value
    assert sample_of(found[name])

    counts = {table.key: len(pd.read_parquet(path_of(lake, table))) for table in TABLES}
    assert counts["bronze/logged_days"] + counts["bronze/quarantine"] == read
    assert counts["silver/clean_days"] + counts["silver/rejected_days"] == counts["bronze/logged_days"]
    assert counts["silver/rejected_days"] > 0
    assert counts["gold/fact_daily"] == counts["gold/dim_activity"] == counts["silver/clean_days"]
    assert counts["gold/dim_user"] == 6
    assert counts["gold/dim_date"] == 60
    assert counts["gold/fact_predictions"] == counts["gold/fact_daily"]
    assert path_of(lake, AUDIT).with_name("report.html").read_text().startswith("<!DOCTYPE html>")
    audit = metadata_of(result, AUDIT.key)
    assert [*audit][:2] == ["verdict", "advice"]
    assert audit["verdict"].value == "suspicious"
    assert audit["advice"].value.startswith("Use this data with care: ")
    assert audit["report_file"].value == str(path_of(lake, AUDIT).with_name("report.html"))
    assert "looks generated" in audit["summary"].value
    for table in TABLES:
        metadata = metadata_of(result, table.key)
        assert metadata["dagster/row_count"].value == counts[table.key]
        assert ("preview" in metadata) == (counts[table.key] > 0)
        assert lake.preview(table, lake.current(table)) == lake.rows(table)[:5]
        assert "dagster/column_lineage" in metadata
        assert {path.suffix for path in path_of(lake, table).iterdir()} == {".parquet"}


def test_a_rebuild_makes_every_table_after_bronze_anew(raw, graph, materialize, lake, monkeypatch):
    commands = []

    def started(command: list[str], **_: Any) -> subprocess.CompletedProcess:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("fitness_assets.cli.subprocess.Popen", started)
    monkeypatch.setattr("fitness_assets.cli._wait", lambda process: process.returncode)
    monkeypatch.setenv("FITNESS_LOCAL_ROOT", str(raw.parent))
    assert CliRunner().invoke(main, ["rebuild"]).exit_code == 0
    ((*_, select, option, config),) = commands
    assert (select, option) == ("*", "--config-json")

    (raw / "one.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    assert materialize().success
    assert job_of(graph, "*").execute_in_process(run_config=json.loads(config)).success
    for table in TABLES:
        version = lake.current(table)
        assert version == ("000001" if table.layer == "bronze" else "000002")
        assert (table.layer == "bronze") != ("a person asked" in lake.metadata(table, version).made_because)


def test_a_model_is_shown_with_the_verdict_on_its_data(raw, materialize, lake):
    write_sample(raw / "sample.csv")
    (model, *_) = MODELS.values()
    result = materialize()
    assert metadata_of(result, model.key)["data"].value.startswith("The data was not audited before")
    write_sample(raw / "more.csv", users=1, days=3)
    result = materialize("group:bronze or group:silver or group:gold or group:predictions")
    said = "The last audit (version 000001) says of the data: suspicious. Use this data with care"
    metadata = metadata_of(result, model.key)
    assert [*metadata][:3] == ["verdict", "conclusion", "data"]
    assert metadata["data"].value.startswith(said)
    assert said in (evaluations(result)[model.key, "has_skill"].description or "")
    assert said in metadata["card"].value


def test_one_asset_alone_works_once_its_upstream_exists_and_takes_its_step_along(raw, materialize, lake):
    write_sample(raw / "sample.csv", users=2, days=5)
    early = materialize("key:silver/clean_days")
    assert not early.success
    assert "bronze/logged_days does not exist yet: materialize bronze/logged_days first." in failure_of(early)

    assert materialize("key:bronze/logged_days").success
    result = materialize("key:silver/clean_days")
    assert result.success
    assert {key for key, _ in evaluations(result)} == {"silver/clean_days"}
    assert lake.current(CLEAN) == lake.current(table_of("silver/rejected_days"))
    assert metadata_of(result, "silver/rejected_days")["dagster/row_count"].value >= 0


def test_checks_alone_are_reported_again_from_the_audit(raw, materialize, graph, lake):
    write_sample(raw / "sample.csv", users=2, days=5)
    assert materialize("group:bronze").success
    before = lake.current(LOGGED)
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(["bronze", "logged_days"]))
    result = job_of(graph, checks).execute_in_process()
    assert set(evaluations(result)) == {(LOGGED.key, spec.name) for spec in check_specs(LOGGED)}
    assert lake.current(LOGGED) == before


def test_a_blocking_rule_that_fails_keeps_the_published_version(raw, materialize, lake, monkeypatch):
    write_sample(raw / "sample.csv", users=3, days=5)
    assert materialize("group:bronze or group:silver or key:gold/fact_daily").success
    write_sample(raw / "more.csv", users=3, days=6)
    assert materialize("group:bronze or group:silver").success
    before = {table.key: lake.current(table) for table in TABLES}

    def spoiled(clean_days, fact_daily=gold_transforms.fact_daily):
        """One day is impossible; the rest is as it is."""
        steps = F.when(F.col("date_key") == F.lit(20240103), 99_999).otherwise(F.col("steps"))
        return fact_daily(clean_days).withColumn("steps", steps)

    monkeypatch.setattr(gold_transforms, "fact_daily", spoiled)
    result = materialize("key:gold/fact_daily")
    assert not result.success
    said = failure_of(result)
    assert "gold/fact_daily breaks the rule steps_range" in said
    assert "Nothing was published" in said
    evaluation = evaluations(result)["gold/fact_daily", "rules"]
    assert "steps_range: " in (evaluation.description or "")
    assert not evaluation.passed
    assert evaluation.blocking
    assert evaluation.metadata["failed"].value in (1, 2, 3)
    assert {row["cells"] for row in sample_of(evaluation)} == {"steps = 99999"}
    assert not result.get_asset_materialization_events()
    assert {table.key: lake.current(table) for table in TABLES} == before
    failed_version = evaluation.metadata["version"].value
    assert lake.read(FACT, failed_version).where("steps = 99999").count() > 0


def test_a_frame_that_breaks_the_contract_is_not_even_staged(raw, materialize, lake, monkeypatch):
    write_sample(raw / "sample.csv", users=2, days=5)
    assert materialize("group:bronze").success

    def mismatched(judged, clean_days=silver_transforms.clean_days):
        return clean_days(judged).withColumn("steps", F.lit("many"))

    monkeypatch.setattr(silver_transforms, "clean_days", mismatched)
    result = materialize("group:silver")
    assert not result.success
    assert "silver/clean_days breaks the rule contract" in failure_of(result)
    assert not evaluations(result)["silver/clean_days", "rules"].passed
    assert lake.versions(CLEAN) == []


def test_rows_lost_on_the_way_to_silver_are_found_before_anybody_reads_it(raw, materialize, lake, monkeypatch):
    write_sample(raw / "sample.csv", users=2, days=5)

    def lossy(judged, clean_days=silver_transforms.clean_days):
        return clean_days(judged).where("date != '2024-01-02'")

    monkeypatch.setattr(silver_transforms, "clean_days", lossy)
    result = materialize("group:bronze or group:silver")
    assert "silver/rejected_days breaks the rule rows_reconcile" in failure_of(result)
    assert lake.current(CLEAN) is None


@EVERYWHERE
def test_a_run_that_meets_another_one_tries_again_on_top_of_it(raw, materialize, lake, monkeypatch):
    """The other run publishes between this run's staging and its publishing; both uploads end up in bronze."""
    (raw / "mine.csv").write_text(f"{HEADER}\n{GOOD_ROW}\n")
    theirs = raw.parent / "theirs.csv"
    theirs.write_text(f"{HEADER}\n{GOOD_ROW.replace('17,', '18,', 1)}\n")
    publish, met = type(lake).publish, []

    def publish_after_the_other(self, all_metadata):
        if not met:
            met.append(True)
            assert materialize("group:bronze", uploads=[str(theirs)]).success
        publish(self, all_metadata)

    monkeypatch.setattr(type(lake), "publish", publish_after_the_other)
    result = materialize("group:bronze")
    assert result.success
    assert [event for event in result.all_events if event.is_step_up_for_retry]
    assert sorted(row["user_id"] for row in lake.rows(LOGGED)) == ["17", "18"]
    assert len(lake.rows(table_of("bronze/uploads"))) == 2


def test_uploads_that_are_all_refused_leave_empty_tables_and_no_exception(raw, materialize, lake):
    (raw / "notes.csv").write_text("nothing of interest\n")
    result = materialize()
    assert result.success
    refused = evaluations(result)["bronze/uploads", "no_refused_uploads"]
    assert not refused.passed
    assert refused.severity == dg.AssetCheckSeverity.ERROR
    assert lake.read(FACT).count() == 0
