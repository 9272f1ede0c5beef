"""The coach step in the graph: goals beside uploads, the ledger, the checks, and runs without goals."""

import json
from datetime import date

import pytest

from fitness_assets.bronze.sources import source_of
from fitness_assets.coach.tables import GOALS, PLANS
from fitness_assets.registry import table_of
from fitness_assets_tests.conftest import EVERYWHERE, arrow_of, evaluations, job_of, looks, root_of, violations

START = date(2024, 5, 30)
"""Day after the last one of the sample."""


@pytest.fixture
def goals(raw, sample, materialize):
    """A graph that ran with the sample and without goals; a function that writes a goal file."""
    (raw / "sample.csv").write_bytes(sample.read_bytes())
    assert materialize().success

    def write(name: str, content) -> None:
        (raw / "goals").mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, default=str)
        (raw / "goals" / name).write_text(text)

    return write


def goal(user_id: str, **stated):
    return {"user_id": user_id, "start": START, "target_steps": 9_000} | stated


def test_goals_are_planned_ledgered_and_no_uploads(goals, materialize, rows, lake, raw):
    assert rows("coach/goals") == rows("coach/plans") == rows("coach/progress") == []

    goals("one.json", goal("1"))
    goals("more.csv", "user_id,start,target_steps,pregnant\n2,2024-05-01,9000,\n3,2024-05-01,,true\n")
    goals("bad.json", "{")
    result = materialize()
    assert result.success
    assert {row["uri"] for row in rows("bronze/uploads")} == {str(raw / "sample.csv")}
    status = {(row["user_id"], row["status"], row["refusal"]) for row in rows("coach/goals")}
    assert status == {
        ("1", "planned", None),
        ("2", "planned", None),
        ("3", "refused", "pregnancy"),
        (None, "refused", "unreadable"),
    }
    plans = rows("coach/plans")
    assert len(plans) == 60
    assert {row["why_not_trusted"][:41] for row in plans} == {"The audit says that weight_kg looks gener"}
    assert {row["sleep_basis"] for row in plans} == {row["stress_basis"] for row in plans} == {"own_days"}
    assert {row["user_id"] for row in rows("coach/progress")} == {"2"}
    failed = {key for key, found in evaluations(result).items() if key[0].startswith("coach/") and not found.passed}
    assert failed == {("coach/goals", "every_goal_read")}

    (raw / "goals" / "bad.json").unlink()
    (raw / "goals" / "one.json").unlink()
    goals("later.json", goal("2", stop=True))
    result = materialize("group:coach")
    assert result.success
    assert all(found.passed for found in evaluations(result).values())
    assert len(rows("coach/goals")) == 5
    assert {(row["user_id"], row["status"]) for row in rows("coach/goals")} >= {("2", "stopped"), ("2", "superseded")}
    assert {row["user_id"] for row in rows("coach/plans")} == {"1"}, "a goal counts also if its file is gone"
    assert lake.versions(PLANS)


def test_a_new_goal_asks_for_a_run_once_and_a_changed_one_supersedes_it(
    goals, graph, instance, lake, materialize, rows
):
    look = looks(graph, instance, lake)
    assert not look().run_requests, "after a whole run there is nothing to do"
    goals("one.json", goal("1"))
    request = (look().run_requests or [])[0]
    assert request.run_config["ops"]["bronze"]["config"]["uploads"] == [], "a goal is no upload of logged days"
    job = job_of(graph, "group:coach")
    tags = {"dagster/run_key": str(request.run_key)}
    assert job.execute_in_process(instance=instance, tags=tags).success
    assert not look().run_requests
    assert materialize("group:coach").success
    assert len(rows("coach/goals")) == 1, "the same file is read once"
    goals("one.json", goal("1", target_steps=12_000))
    assert look().run_requests
    assert materialize("group:coach").success
    steps = {row["target_steps"]: row["status"] for row in rows("coach/goals")}
    assert steps == {9_000: "superseded", 12_000: "planned"}


@EVERYWHERE
def test_a_source_of_uploads_leaves_goals_out_and_a_source_of_goals_does_not(lake, raw, request):
    bucket = getattr(lake.store, "bucket", None)
    for name in ("day.csv", "goals/one.csv", "deeper/goals/day.csv"):
        if bucket:
            bucket.put(f"raw/{name}", b"x")
        else:
            path = root_of(lake) / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    top = bucket.uri("raw") if bucket else str(raw)
    assert [found.uri for found in source_of(top).find()] == [f"{top}/day.csv", f"{top}/deeper/goals/day.csv"]
    assert [found.uri for found in source_of(f"{top}/goals").find()] == [f"{top}/goals/one.csv"]


def test_set_rules_find_what_they_forbid():
    planned = {"status": "planned", "refusal": None, "reason": None}
    two = [{"goal_id": "a", **planned}, {"goal_id": "b", **planned}]
    rule = next(rule for rule in GOALS.set_rules if rule.name == "one_goal_counts")
    assert violations(rule, {GOALS.key: two})
    assert not violations(rule, {GOALS.key: two[:1]})
    rules = {rule.name: rule for rule in PLANS.set_rules}
    day = [{"goal_id": "a", "plan_day": day} for day in range(1, 31)]
    for name, goal_row, days in (
        ("no_plan_in_pregnancy", {"pregnant": True}, day),
        ("every_goal_has_its_plan", {}, day[1:]),
        ("every_goal_has_its_plan", {"status": "superseded"}, day),
        ("goals_exists", {"goal_id": "other"}, day),
    ):
        bad = [{"goal_id": "a", **planned, **goal_row}]
        assert violations(rules[name], {PLANS.key: days, GOALS.key: bad}), name
    first, last = ({"user_id": "17", "plan_day": day, "predicted_weight_kg": kg} for day, kg in ((1, 80.0), (30, 76.5)))
    assert violations(rules["falls_slowly"], {PLANS.key: [first, last]})
    assert not violations(rules["falls_slowly"], {PLANS.key: [first, last | {"predicted_weight_kg": 76.8}]})
    good = {PLANS.key: day, GOALS.key: [{"goal_id": "a", **planned}]}
    assert not any(violations(rules[name], good) for name in ("no_plan_in_pregnancy", "every_goal_has_its_plan"))


def test_every_goal_read_is_about_the_files_that_are_there():
    import duckdb

    rule = next(rule for rule in GOALS.set_rules if rule.name == "every_goal_read")
    bad = {"upload_id": "u", "status": "refused", "refusal": "unreadable", "reason": "?"}
    with duckdb.connect() as reader:
        reader.register("goals", arrow_of(table_of("coach/goals"), [bad]))
        for found, count in (("u", 1), ("other", 0)):
            reader.register("found_goals", arrow_of(GOALS, [{"upload_id": found}]).select(["upload_id"]))
            assert len(reader.sql(rule.violations).fetchall()) == count
