"""From goals and logged days to plans and progress: who gets a plan, what it says, and what it never says."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitness_assets.coach.goals import ASKS, Goal
from fitness_assets.coach.rows import Trust, plan_rows, progress_rows
from fitness_assets.coach.tables import GOALS, PLANNED, PLANS, PROGRESS, REFUSED
from fitness_assets.coach.transforms import plan, settle
from fitness_assets.engine.rule_checks import broken_rows, broken_sets
from fitness_assets.gold.tables import DIM_USER, FACT_DAILY
from fitness_assets_tests.conftest import arrow_of

FIRST, DAYS = date(2024, 1, 1), 120
LAST = FIRST + timedelta(DAYS - 1)


def a_person(user_id: str, days: int = DAYS, seed: int = 1, **body):
    """Rows of fact_daily and dim_user of a woman of 42 years, 170 cm and 80 kg who keeps her weight."""
    known = {"age": 42, "gender": "F", "avg_height_cm": 170.0} | body
    rng = np.random.default_rng(seed)
    kg = known.pop("weight_kg", 80.0)
    rows = [
        {
            "user_id": user_id,
            "date_key": int((FIRST + timedelta(DAYS - days + day)).strftime("%Y%m%d")),
            "weight_kg": round(kg + rng.normal(0, 0.5), 1),
            "steps": int(rng.normal(7_000, 1_500)),
            "calories_burned": rng.normal(2_200, 150),
            "exercise_minutes": 30.0,
            "sleep_hours": round(rng.normal(6.5, 0.7), 1),
            "stress_level": int(rng.integers(1, 11)),
        }
        for day in range(days)
    ]
    return {"user_id": user_id, **known}, rows


PEOPLE = [
    a_person("17"),
    a_person("slim", weight_kg=54.0),
    a_person("thin", weight_kg=50.0),
    a_person("few", days=5),
    a_person("nobody's age", age=None),
    a_person("tall?", avg_height_cm=400.0),
    a_person("x", gender=None),
]


@pytest.fixture
def tables():
    with duckdb.connect() as connection:
        connection.register("dim_user", arrow_of(DIM_USER, [user for user, _ in PEOPLE]))
        connection.register("fact_daily", arrow_of(FACT_DAILY, [day for _, days in PEOPLE for day in days]))
        yield connection


def a_goal(user_id: Any = "17", number: Any = 1, **stated: Any):
    """A row of the ledger."""
    stated = {"start": LAST + timedelta(1)} | stated
    asks = stated if stated.keys() & {*ASKS, "pregnant", "stop"} else stated | {"target_weight_kg": 74}
    goal = Goal.model_validate({"user_id": user_id} | asks)
    place = {
        "goal_id": f"{number:04}-1",
        "upload_id": f"{number:04}",
        "content_sha256": "0",
        "uri": "goal.json",
        "fingerprint": "0",
        "ingested_at": datetime(2024, 9, 7, tzinfo=UTC) + timedelta(minutes=number),
        "position": 1,
        "status": PLANNED,
    }
    return dict.fromkeys(GOALS.arrow_schema.names) | goal.model_dump() | place


def nothing_said(target, planned):
    raise AssertionError(f"{target} has no skill")


NO_MODEL = Trust(set(), set(), set(), nothing_said)


def made(tables, goals, trust=NO_MODEL):
    """Goals, plans and progress as rows; every rule of the three tables holds."""
    rows = settle(goals)
    planned = plan(tables, rows, trust.generated)
    plans = plan_rows(planned, trust) if planned else PLANS.arrow_schema.empty_table()
    progress = progress_rows(planned) if planned else PROGRESS.arrow_schema.empty_table()
    with duckdb.connect() as checks:
        checks.register("goals", pa.Table.from_pylist(rows, GOALS.arrow_schema))
        checks.register("plans", plans)
        checks.register("progress", progress)
        checks.register("found_goals", pa.table({"upload_id": pa.array([], pa.string())}))
        for table in (GOALS, PLANS, PROGRESS):
            failed = broken_rows(checks, table) | broken_sets(checks, table)
            assert {name: found for name, found in failed.items() if found[0]} == {}
    return rows, plans.to_pylist(), progress.to_pylist()


def test_a_plan_has_30_days_from_the_day_after_the_last_log(tables):
    (goal,), plans, progress = made(tables, [a_goal()])
    assert goal["status"] == PLANNED
    assert [row["date"] for row in plans] == [LAST + timedelta(day) for day in range(1, 31)]
    assert progress == []
    first, last = plans[0], plans[-1]
    assert first["is_trusted"]
    assert 79 < first["predicted_weight_kg"] < 81
    assert 77 < last["predicted_weight_kg"] < first["predicted_weight_kg"] - 0.7
    widths = [row["weight_kg_upper"] - row["weight_kg_lower"] for row in plans]
    assert widths == sorted(widths)
    assert first["pace_kg_per_week"] == pytest.approx(-0.4, abs=0.01)
    assert first["recommended_steps"] > 7_000
    assert first["recommended_sleep_hours"] == 6.75


def test_a_plan_that_began_earlier_has_progress_and_goes_on(tables):
    _, plans, progress = made(tables, [a_goal(start=LAST - timedelta(27))])
    assert [row["plan_day"] for row in progress] == [*range(1, 29)]
    assert progress[-1]["date"] == LAST
    assert progress[0]["logged_weight_kg"]
    assert plans[0]["date"] == LAST + timedelta(1)
    # She keeps her weight, so the coach believes less and less that she follows the plan.
    assert progress[-1]["adherence"] < progress[0]["adherence"] - 0.2
    assert progress[-1]["adherence_sd"] < progress[0]["adherence_sd"]
    said = [row["adaptation"] for row in progress if row["adaptation"]]
    assert said
    assert all("weights since 2024-" in sentence and "expenditure" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("stated", "refusal"),
    [
        ({"user_id": "17", "pregnant": True}, "pregnancy"),
        ({"user_id": "17", "age": 17}, "minor"),
        ({"user_id": "nobody's age"}, "age_unknown"),
        ({"user_id": "nobody"}, "unknown_person"),
        ({"user_id": "thin", "target_weight_kg": 60}, "underweight"),
        ({"user_id": "17", "target_weight_kg": 53}, "target_underweight"),
        ({"user_id": "17", "target_weight_kg": 70, "pace_kg_per_week": 0.9}, "too_fast"),
        ({"user_id": "17", "intake_kcal": 1_100}, "intake_too_low"),
        ({"user_id": "slim", "target_weight_kg": 53.6, "pace_kg_per_week": 0.53}, None),
        ({"user_id": "17", "target_weight_kg": 70, "pace_kg_per_week": 0.79}, "pace_needs_too_little"),
        ({"user_id": "slim", "intake_kcal": 1_600}, "becomes_underweight"),
        ({"user_id": "tall?"}, "height_unknown"),
        ({"user_id": "tall?", "height_cm": 170}, None),
        ({"user_id": "17", "start": LAST + timedelta(61)}, "weight_unknown"),
        ({"user_id": "x"}, None),
    ],
)
def test_guardrails_hold_on_data(tables, stated, refusal):
    (goal,), plans, _ = made(tables, [a_goal(**stated)])
    assert goal["refusal"] == refusal, goal["reason"]
    assert goal["status"] == (REFUSED if refusal else PLANNED)
    assert bool(plans) != bool(refusal)


def test_an_unknown_sex_gets_the_higher_floor(tables):
    _, plans, _ = made(tables, [a_goal("x", target_weight_kg=60)])
    assert min(row["intake_low_kcal"] for row in plans) >= 1_500


def test_the_refusal_of_one_leaves_the_plans_of_others(tables):
    together = [a_goal(), a_goal("thin", 2), a_goal("slim", 3, target_steps=9_000), a_goal("nobody", 4)]
    goals, plans, _ = made(tables, together)
    assert [goal["status"] for goal in goals] == [PLANNED, REFUSED, PLANNED, REFUSED]
    alone = made(tables, [a_goal()])[1]
    assert [row for row in plans if row["user_id"] == "17"] == alone


def test_too_few_weights_are_said(tables):
    _, plans, _ = made(tables, [a_goal("few", target_steps=9_000)])
    assert not plans[0]["is_trusted"]
    assert plans[0]["why_not_trusted"] == (
        "There are only 5 weights in the last 30 days; a plan needs 7. "
        "Only 5 of the last 30 days have steps; this goal needs 7."
    )
    assert plans[0]["sleep_basis"] is None
    assert plans[0]["predicted_sleep_hours"] is None


def test_an_old_weight_is_said(tables):
    _, plans, _ = made(tables, [a_goal(start=LAST + timedelta(20))])
    assert plans[0]["why_not_trusted"] == "The last weight is more than 14 days old."


def test_weights_that_look_generated_are_not_trusted(tables):
    _, plans, _ = made(tables, [a_goal()], Trust({"weight_kg"}, set(), set(), nothing_said))
    assert plans[0]["why_not_trusted"].startswith("The audit says that weight_kg looks generated")


@pytest.mark.parametrize("metric", ["steps", "exercise_minutes", "sleep_hours", "stress_level"])
def test_neither_are_other_metrics_that_a_plan_rests_on(tables, metric):
    _, plans, _ = made(tables, [a_goal()], Trust({metric, "bmi"}, set(), set(), nothing_said))
    said = f"The audit says that {metric} looks generated: it does not behave like that of people."
    assert plans[0]["why_not_trusted"] == said


def test_weights_that_the_audit_cannot_judge_are_not_trusted(tables):
    _, plans, _ = made(tables, [a_goal()], Trust(set(), {"weight_kg", "steps"}, set(), nothing_said))
    assert plans[0]["why_not_trusted"] == "The audit says that there is too little of weight_kg to judge it."


@pytest.mark.parametrize(
    ("stated", "way"),
    [
        ({"intake_kcal": 1_600, "target_weight_kg": 90}, "falls"),
        ({"intake_kcal": 2_800, "target_weight_kg": 70}, "rises"),
        ({"min_intake_kcal": 4_000, "target_weight_kg": 70}, "rises"),
        ({"intake_kcal": 2_800, "target_weight_kg": 90}, None),
        ({"intake_kcal": 2_800, "target_weight_kg": 79.8}, None),
        ({"intake_kcal": 2_800}, None),
    ],
)
def test_an_intake_that_leads_away_from_the_target_is_said(tables, stated, way):
    _, plans, _ = made(tables, [a_goal(**stated)])
    said = f"At the stated or lowest intake weight {way}, away from the target: state another intake."
    assert plans[0]["why_not_trusted"] == (said if way else None)


def test_too_few_nights_for_a_goal_of_sleep_are_said(tables):
    tables.register("fact_daily", tables.sql("SELECT * REPLACE (NULL AS sleep_hours) FROM fact_daily").to_arrow_table())
    of_sleep, of_weight = (made(tables, [a_goal(**asks)])[1][0] for asks in ({"target_sleep_hours": 8}, {}))
    assert of_sleep["why_not_trusted"] == "Only 0 of the last 30 days have sleep; this goal needs 7."
    assert of_weight["is_trusted"]


def test_calories_that_look_generated_are_not_used(tables):
    used = made(tables, [a_goal()])[1][0]
    unused = made(tables, [a_goal()], Trust({"calories_burned"}, set(), set(), nothing_said))[1][0]
    assert unused["expenditure_sd_kcal"] > 1.3 * used["expenditure_sd_kcal"]


def test_without_skill_sleep_and_stress_are_the_persons_own_whatever_the_plan(tables):
    lazy = made(tables, [a_goal(target_steps=1_000)])[1]
    busy = made(tables, [a_goal(target_steps=20_000, target_sleep_hours=9)])[1]
    names = [
        f"{kind}{measure}{end}"
        for measure in ("sleep_hours", "stress_level")
        for kind, end in (("predicted_", ""), ("", "_lower"), ("", "_upper"))
    ]
    for one, other in zip(lazy, busy, strict=True):
        assert [one[name] for name in names] == [other[name] for name in names]
        assert one["sleep_basis"] == one["stress_basis"] == "own_days"
    assert lazy[0]["recommended_steps"] != busy[0]["recommended_steps"]


def test_with_skill_the_model_speaks_of_the_days_that_it_knows(tables):
    def says(target, planned):
        # Poor sleep for certain; stress certainly less.
        labels = {"sleep_quality": [1.0, 0, 0, 0], "stress_change": [1.0, 0, 0]}
        return np.tile(labels[target], (len(planned.goals), 1))

    plans = made(tables, [a_goal()], Trust(set(), set(), {"sleep_quality", "stress_change"}, says))[1]
    assert plans[0]["sleep_basis"] == "model"
    assert plans[0]["sleep_hours_upper"] < 6
    assert {row["sleep_basis"] for row in plans[1:]} == {"own_days"}
    assert plans[-1]["stress_basis"] == "model"
    assert {row["stress_basis"] for row in plans[:-1]} == {"own_days"}


def test_a_stated_intake_is_kept(tables):
    _, plans, _ = made(tables, [a_goal(intake_kcal=1_900, start=LAST - timedelta(27))])
    assert {(row["intake_low_kcal"], row["intake_high_kcal"]) for row in plans} == {(1_800, 2_000)}


def test_the_pace_is_what_the_intake_gives(tables):
    paces = [
        made(tables, [a_goal(intake_kcal=intake, **more)])[1][0]["pace_kg_per_week"]
        for intake, more in ((1_700, {}), (1_700, {"target_weight_kg": 70}), (2_600, {}))
    ]
    assert paces[0] == paces[1] < -0.2
    assert paces[2] > 0.2
    # The lowest intake that may be recommended does not give the usual pace.
    slow = made(tables, [a_goal(target_weight_kg=70, min_intake_kcal=2_000)])[1][0]["pace_kg_per_week"]
    assert -0.3 < slow < 0


def test_who_states_steps_and_minutes_gets_both(tables):
    steps, minutes, both = (
        made(tables, [a_goal(**stated)])[1][-1]["recommended_steps"]
        for stated in (
            {"target_steps": 7_300},
            {"target_exercise_minutes": 90},
            {"target_steps": 7_300, "target_exercise_minutes": 90},
        )
    )
    assert steps < minutes == both


def lived(tables, steps: int):
    """Progress of a plan of 60 days whose person walks so many steps instead of the planned 12,000."""
    start = LAST - timedelta(59)
    walked = f"SELECT * REPLACE (if(date_key >= {start:%Y%m%d}, {steps}, steps)::INT AS steps) FROM fact_daily"
    tables.register("fact_daily", tables.sql(walked).to_arrow_table())
    return made(tables, [a_goal(start=start, target_steps=12_000)])[2]


@pytest.mark.parametrize(("steps", "share", "more"), [(7_000, 0.0, 0), (14_000, 2.5, 142), (5_000, -0.7, -41)])
def test_logged_steps_change_the_estimates_of_expenditure_and_adherence(tables, steps, share, more):
    progress = lived(tables, steps)
    assert progress[0]["steps_adherence"] == 0.7
    assert progress[-1]["steps_adherence"] == pytest.approx(share, abs=0.4)
    assert progress[6]["expenditure_kcal"] - 2_253 == pytest.approx(more, abs=15), (
        "0.25 kcal for each kg and 1,000 steps"
    )
    assert progress[-1]["recommended_exercise_minutes"] > progress[-1]["logged_exercise_minutes"] == 30
    assert progress[-1]["logged_sleep_hours"]


def test_limits_are_kept(tables):
    stated: dict[str, Any] = {
        "max_steps": 7_200,
        "max_exercise_minutes": 20,
        "min_intake_kcal": 2_000,
        "target_steps": 15_000,
    }
    _, plans, _ = made(tables, [a_goal(**stated, target_weight_kg=70)])
    assert max(row["recommended_steps"] for row in plans) <= 7_200
    assert max(row["recommended_exercise_minutes"] for row in plans) <= 20
    assert min(row["intake_low_kcal"] for row in plans) >= 2_000


def test_a_very_old_plan_is_followed_for_a_year(tables):
    goals, plans, progress = made(tables, [a_goal(start=date(2001, 1, 1))])
    assert goals[0]["status"] == REFUSED, "there is no weight before a start a year ago"
    assert plans == progress == []


STATED = st.fixed_dictionaries(
    {"user_id": st.sampled_from([user["user_id"] for user, _ in PEOPLE] + ["'; DROP TABLE fact_daily; --", "\x00"])},
    optional={
        "start": st.dates(date(1990, 1, 1), date(2199, 12, 31)) | st.dates(FIRST, LAST + timedelta(40)),
        "target_weight_kg": st.floats(30, 200),
        "pace_kg_per_week": st.floats(0.001, 5),
        "intake_kcal": st.floats(1, 8_000),
        "target_steps": st.integers(0, 50_000),
        "target_exercise_minutes": st.floats(0, 600),
        "target_sleep_hours": st.floats(4, 12),
        "max_steps": st.integers(0, 50_000),
        "max_exercise_minutes": st.floats(0, 600),
        "min_intake_kcal": st.floats(1, 8_000),
        "age": st.integers(0, 120),
        "sex": st.sampled_from("FM"),
        "height_cm": st.floats(100, 250),
        "pregnant": st.just(True),
        "stop": st.just(True),
    },
)


@settings(max_examples=40)
@given(st.lists(STATED, min_size=5, max_size=6))
def test_whatever_goals_state_each_is_planned_or_refused_and_every_rule_holds(stated):
    with duckdb.connect() as connection:
        connection.register("dim_user", DIM)
        connection.register("fact_daily", FACT)
        goals = [a_goal(number=number, **each) for number, each in enumerate(stated)]
        rows, plans, _ = made(connection, goals)
    with_plan = {row["goal_id"] for row in plans}
    for row in rows:
        assert row["status"] in ("planned", "refused", "superseded", "stopped")
        assert (row["status"] == PLANNED) == (row["goal_id"] in with_plan)
    assert all(row["start_weight_kg"] > 0 for row in plans)


DIM = arrow_of(DIM_USER, [user for user, _ in PEOPLE])
FACT = arrow_of(FACT_DAILY, [day for _, days in PEOPLE for day in days])
