"""The tables of the coach: every goal ever stated, the plans for the next 30 days, and the progress of each plan."""

from datetime import UTC, date, datetime
from typing import Any

from fitness_assets.coach import constants as c
from fitness_assets.gold.tables import DIM_USER, FACT_DAILY
from fitness_assets.predictions.tables import MODELS
from fitness_assets.quality.tables import AUDIT
from fitness_assets.schema.rules import ForeignKey, Rule, SetRule
from fitness_assets.schema.table import Column, Table

PLANNED, REFUSED, SUPERSEDED, STOPPED = STATUSES = ("planned", "refused", "superseded", "stopped")
UNREADABLE = "unreadable"
"""The refusal of a goal that could not be read; the others are names of guardrails."""

MODEL, OWN_DAYS, PHYSIOLOGY = BASES = ("model", "own_days", "physiology")
"""What a prediction rests on: a model with skill, the person's own days, or the energy-balance model."""

FOUND = "coach/found_goals"
"""Key of what rules are asked of beside the tables: ``upload_id`` of the goal files that this run found."""

STRESS = MODELS["stress_change"]
SLEEP = MODELS["sleep_quality"]
READS = (FACT_DAILY, SLEEP, AUDIT)
"""One table of each publish group that the coach reads; the others of a group have the same version."""


_DAYS = tuple(f"{FACT_DAILY.key}.{name}" for name in ("weight_kg", "steps", "calories_burned"))
_PERSON = tuple(f"{DIM_USER.key}.{name}" for name in ("age", "gender", "avg_height_cm"))
_GUARDRAILS = "guardrails"
"""The Dagster check that reports every guardrail."""


def _goal(name: str, type_: str, description: str, example: Any, unit: str | None = None, **more: Any) -> Column:
    return Column(name, type_, description, example, unit, **more)


_GOAL_ID = Column(
    "goal_id", "string", "The goal: its upload and its position there.", "9f86d081884c7d65-1", nullable=False
)

GOALS = Table(
    "coach/goals",
    "The ledger of goals: every goal that was ever stated in raw/goals/, and what became of it. At most one goal of "
    "each person is planned.",
    "one goal of one upload",
    (
        _GOAL_ID,
        _goal("upload_id", "string", "The file that states it.", "9f86d081884c7d65", nullable=False),
        _goal("content_sha256", "string", "SHA-256 of the file's bytes.", "9f86d081884c7d65", nullable=False),
        _goal("uri", "string", "Where the file was.", "data/raw/goals/17.json", nullable=False),
        _goal("fingerprint", "string", "Changes whenever the file does.", "120 1 1 1", nullable=False),
        _goal(
            "ingested_at",
            "timestamp",
            "When the coach read it (UTC). The goal that was read last counts.",
            datetime(2024, 9, 7, 6, 0, tzinfo=UTC),
            nullable=False,
        ),
        _goal(
            "position", "int", "Position of the goal in its file, from 1; 0: the file as a whole.", 1, nullable=False
        ),
        _goal("user_id", "string", "The person.", "17"),
        _goal("start", "date", "First day of the plan.", date(2024, 9, 7)),
        _goal("target_weight_kg", "double", "Target weight.", 64.0, "kg"),
        _goal("pace_kg_per_week", "double", "Stated pace towards it.", 0.4, "kg/week"),
        _goal("intake_kcal", "double", "Stated intake, instead of a computed one.", 1_800.0, "kcal"),
        _goal("target_steps", "int", "Target steps a day.", 9_000, "steps"),
        _goal("target_exercise_minutes", "double", "Target exercise a day.", 40.0, "min"),
        _goal("target_sleep_hours", "double", "Target sleep.", 7.5, "h"),
        _goal("max_steps", "int", "Recommend no more.", 12_000, "steps"),
        _goal("max_exercise_minutes", "double", "Recommend no more.", 60.0, "min"),
        _goal("min_intake_kcal", "double", "Recommend no lower intake.", 1_600.0, "kcal"),
        _goal("age", "int", "Age as the goal states it.", 42, "years"),
        _goal("sex", "string", "Sex as the goal states it.", "F", allowed=("F", "M")),
        _goal("height_cm", "double", "Height as the goal states it.", 169.0, "cm"),
        _goal("pregnant", "boolean", "Whether the goal states a pregnancy.", False),
        _goal("stop", "boolean", "Whether it ends the plan of the person.", False),
        _goal("notes", "string", "What the person noted.", "No running: my knee.", is_free_text=True),
        _goal("status", "string", "What became of it.", PLANNED, allowed=STATUSES, nullable=False),
        _goal("refusal", "string", "The guardrail that refuses it, or that it could not be read.", None),
        _goal("reason", "string", "Why it is refused, and what to do.", None),
    ),
    ("goal_id",),
    own_rules=(
        Rule(
            "refusals_say_why",
            "A refused goal says why, and no other goal does.",
            f"(status = '{REFUSED}') != (reason IS NOT NULL AND refusal IS NOT NULL)",
            {"status": REFUSED},
        ),
        SetRule(
            "one_goal_counts",
            "Of each person, at most one goal is planned.",
            ("coach/goals",),
            f"SELECT user_id FROM goals WHERE status = '{PLANNED}' GROUP BY user_id HAVING count(*) > 1",
        ),
        SetRule(
            "every_goal_read",
            "Every goal file in raw/goals/ could be read. Correct or remove the ones that are named.",
            ("coach/goals", FOUND),
            f"SELECT uri, position, reason FROM goals SEMI JOIN found_goals USING (upload_id) "
            f"WHERE refusal = '{UNREADABLE}' ORDER BY uri, position",
            "error",
            check="every_goal_read",
        ),
    ),
    kinds=("numpy", "parquet"),
)


def _plan(
    name: str, type_: str, description: str, example: Any, unit: str | None = None, made_from: Any = (), **more: Any
) -> Column:
    return Column(name, type_, description, example, unit, sources=(f"{GOALS.key}.user_id", *made_from), **more)


_USER = Column("user_id", "string", "The person.", "17", nullable=False, sources=(f"{GOALS.key}.user_id",))
_PLAN_GOAL = Column(
    "goal_id", "string", "The goal.", "9f86d081884c7d65-1", nullable=False, sources=("coach/goals.goal_id",)
)


def _predicted(
    name: str, what: str, example: float, unit: str | None, basis: str, made_from: Any
) -> tuple[Column, ...]:
    low, high = example * 0.9, example * 1.1
    return (
        _plan(f"predicted_{name}", "double", f"{what}, as predicted.", example, unit, made_from),
        _plan(
            f"{name}_lower",
            "double",
            f"{what}: four of five times it is between this and the upper end.",
            low,
            unit,
            made_from,
        ),
        _plan(
            f"{name}_upper",
            "double",
            f"{what}: four of five times it is between the lower end and this.",
            high,
            unit,
            made_from,
        ),
        _plan(
            f"{name.rpartition('_')[0]}_basis",
            "string",
            "What that rests on: the energy-balance model (physiology), a tested model with skill (model), or the "
            "person's own days of the last 90 (own_days: no effect of the plan is claimed). Empty: too few days.",
            basis,
            None,
            made_from,
            allowed=BASES,
        ),
    )


_EXERCISE_DAYS = (f"{FACT_DAILY.key}.exercise_minutes",)
_SLEEP_DAYS = (f"{FACT_DAILY.key}.sleep_hours", f"{SLEEP.key}.verdict")
_STRESS_DAYS = (f"{FACT_DAILY.key}.stress_level", f"{STRESS.key}.verdict")
_ESTIMATES = (
    _plan("expenditure_kcal", "double", "Estimated expenditure.", 2_150.0, "kcal", _DAYS, nullable=False),
    _plan(
        "expenditure_sd_kcal", "double", "Standard deviation of that estimate.", 120.0, "kcal", _DAYS, nullable=False
    ),
    _plan(
        "adherence",
        "double",
        "Estimated share of the planned change that the person carries out, from weights and logged steps.",
        0.7,
        None,
        _DAYS,
        range=(0, 1.1),
        nullable=False,
    ),
    _plan(
        "steps_adherence",
        "double",
        "Estimated share of the planned change of steps that the person walks; below 0 for fewer steps than before.",
        0.6,
        None,
        _DAYS,
        nullable=False,
    ),
)
"""What a plan is made with, and what progress says of it later."""
_FLOOR = f"greatest(basal_kcal, CASE sex WHEN 'F' THEN {c.LOWEST_INTAKE_WOMEN:g} ELSE {c.LOWEST_INTAKE_MEN:g} END)"

PLANS = Table(
    "coach/plans",
    "The next 30 days of everybody with a planned goal: what is recommended, and what would follow, with 80 % "
    "intervals. Not medical advice. A weight is the body weight of the morning; a single weighing scatters around it.",
    "user and day of the plan",
    (
        _USER,
        _plan("plan_day", "int", "Day ahead: 1 follows the last logged day.", 1, "days", range=(1, 30), nullable=False),
        _plan("date", "date", "The day.", date(2024, 9, 7), nullable=False),
        _PLAN_GOAL,
        _plan("recommended_steps", "int", "Steps.", 8_500, "steps", _DAYS, nullable=False),
        _plan(
            "recommended_exercise_minutes",
            "double",
            "Exercise; the added steps are part of it.",
            40.0,
            "min",
            _DAYS,
            nullable=False,
        ),
        _plan("recommended_sleep_hours", "double", "Sleep.", 7.5, "h", _SLEEP_DAYS[:1]),
        _plan(
            "intake_low_kcal",
            "double",
            "Lower end of the recommended intake.",
            1_700.0,
            "kcal",
            (*_DAYS, *_PERSON),
            nullable=False,
        ),
        _plan(
            "intake_high_kcal",
            "double",
            "Upper end of the recommended intake.",
            1_900.0,
            "kcal",
            (*_DAYS, *_PERSON),
            nullable=False,
        ),
        *_predicted("weight_kg", "Body weight", 68.0, "kg", PHYSIOLOGY, (*_DAYS, *_PERSON)),
        *_predicted("sleep_hours", "Sleep", 7.0, "h", OWN_DAYS, _SLEEP_DAYS),
        *_predicted("stress_level", "Stress", 4.0, None, OWN_DAYS, _STRESS_DAYS),
        _plan(
            "is_trusted",
            "boolean",
            "Whether the data bears a plan.",
            True,
            None,
            (f"{AUDIT.key}.verdict",),
            nullable=False,
        ),
        _plan("why_not_trusted", "string", "Why it does not.", None, None, (f"{AUDIT.key}.verdict",)),
        _plan("age", "int", "Age in whole years.", 42, "years", _PERSON[:1], nullable=False),
        _plan("sex", "string", "Sex; empty where it is not known.", "F", None, _PERSON[1:2], allowed=("F", "M")),
        _plan("start_weight_kg", "double", "Body weight when the plan started.", 69.0, "kg", _DAYS, nullable=False),
        _plan(
            "bmi",
            "double",
            "Body mass index at the predicted weight.",
            23.9,
            "kg/m²",
            (*_DAYS, *_PERSON),
            nullable=False,
        ),
        _plan("target_bmi", "double", "Body mass index at the target weight.", 22.4, "kg/m²", _PERSON),
        _plan(
            "pace_kg_per_week",
            "double",
            "Change of tissue at the first intake and the former steps, if all of it is carried out; negative is loss.",
            -0.34,
            "kg/week",
            _DAYS,
            nullable=False,
        ),
        _plan(
            "basal_kcal",
            "double",
            "Basal need (Mifflin and St Jeor).",
            1_370.0,
            "kcal",
            (*_DAYS, *_PERSON),
            nullable=False,
        ),
        *_ESTIMATES,
    ),
    ("user_id", "plan_day"),
    foreign_keys=(ForeignKey(("goal_id",), GOALS.key),),
    own_rules=(
        Rule("adults_only", "Nobody with a plan is a minor.", f"age < {c.ADULT:g}", {"age": 17}, check=_GUARDRAILS),
        Rule(
            "not_underweight",
            f"No plan has, or leads to, a body mass index below {c.LOWEST_BMI:g}.",
            f"bmi < {c.LOWEST_BMI:g}",
            {"bmi": 18.4},
            check=_GUARDRAILS,
        ),
        Rule(
            "target_not_underweight",
            f"No target means a body mass index below {c.LOWEST_BMI:g}.",
            f"target_bmi < {c.LOWEST_BMI:g}",
            {"target_bmi": 18.4},
            check=_GUARDRAILS,
        ),
        Rule(
            "not_too_fast",
            "No plan loses more than 1 % of body weight a week.",
            f"pace_kg_per_week < -{float(c.FASTEST_LOSS)!r} * start_weight_kg - 1e-6",
            {"pace_kg_per_week": -0.8},
            check=_GUARDRAILS,
        ),
        Rule(
            "enough_to_eat",
            "No recommended intake is below basal need, 1,200 kcal for women, or 1,500 kcal for others.",
            f"intake_low_kcal < {_FLOOR} - 0.5",
            {"intake_low_kcal": 1_100.0},
            check=_GUARDRAILS,
        ),
        SetRule(
            "falls_slowly",
            "No predicted weight falls faster than 1 % a week over the 30 days.",
            ("coach/plans",),
            "SELECT first.user_id FROM plans first JOIN plans last ON first.user_id = last.user_id "
            "AND first.plan_day = 1 AND last.plan_day = 30 "
            "WHERE 1 - last.predicted_weight_kg / first.predicted_weight_kg "
            f"> {float(c.FASTEST_LOSS)!r} * 29 / 7 + 5e-4",  # weights are rounded
            check=_GUARDRAILS,
        ),
        SetRule(
            "no_plan_in_pregnancy",
            "Nobody who states a pregnancy has a plan.",
            ("coach/plans", "coach/goals"),
            "SELECT DISTINCT p.user_id FROM plans p JOIN goals g USING (goal_id) WHERE g.pregnant",
            check=_GUARDRAILS,
        ),
        Rule(
            "intervals_hold_predictions",
            "Every prediction lies in its interval.",
            "NOT predicted_weight_kg BETWEEN weight_kg_lower AND weight_kg_upper"
            " OR NOT predicted_sleep_hours BETWEEN sleep_hours_lower AND sleep_hours_upper"
            " OR NOT predicted_stress_level BETWEEN stress_level_lower AND stress_level_upper",
            {"predicted_weight_kg": 90.0},
        ),
        Rule(
            "distrust_says_why",
            "A plan that cannot be trusted says why.",
            "is_trusted != (why_not_trusted IS NULL)",
            {"is_trusted": False},
        ),
        SetRule(
            "every_goal_has_its_plan",
            "Every planned goal has 30 days, and no other goal has any.",
            ("coach/plans", "coach/goals"),
            f"SELECT g.goal_id, g.status, count(p.goal_id) AS days FROM goals g LEFT JOIN plans p USING (goal_id) "
            f"GROUP BY ALL HAVING days != CASE g.status WHEN '{PLANNED}' THEN 30 ELSE 0 END",
        ),
    ),
    kinds=("numpy", "parquet"),
)

PROGRESS = Table(
    "coach/progress",
    "The days of each plan so far: what was planned, what came, and how the plan was adapted and why.",
    "user and day",
    (
        _USER,
        _plan("date", "date", "The day.", date(2024, 9, 20), nullable=False),
        _PLAN_GOAL,
        _plan(
            "plan_day",
            "int",
            "Days since the plan started; its first day is 1.",
            14,
            "days",
            range=(1, 366),
            nullable=False,
        ),
        _plan(
            "planned_weight_kg",
            "double",
            "Body weight as promised when the plan started.",
            68.0,
            "kg",
            _DAYS,
            nullable=False,
        ),
        _plan("planned_weight_lower", "double", "Lower end of its 80 % interval.", 67.0, "kg", _DAYS, nullable=False),
        _plan("planned_weight_upper", "double", "Upper end of its 80 % interval.", 69.0, "kg", _DAYS, nullable=False),
        _plan("logged_weight_kg", "double", "Weight as logged.", 68.4, "kg", _DAYS[:1]),
        _plan(
            "estimated_weight_kg",
            "double",
            "Body weight as estimated from all weights so far.",
            68.2,
            "kg",
            _DAYS[:1],
            nullable=False,
        ),
        _plan("recommended_steps", "int", "Steps as recommended.", 8_500, "steps", _DAYS, nullable=False),
        _plan("logged_steps", "int", "Steps as logged.", 8_120, "steps", _DAYS[1:2]),
        _plan("recommended_exercise_minutes", "double", "Exercise as recommended.", 40.0, "min", _DAYS, nullable=False),
        _plan("logged_exercise_minutes", "double", "Exercise as logged.", 35.0, "min", _EXERCISE_DAYS),
        _plan("recommended_sleep_hours", "double", "Sleep as recommended.", 7.5, "h", _SLEEP_DAYS[:1]),
        _plan("logged_sleep_hours", "double", "Sleep as logged.", 7.2, "h", _SLEEP_DAYS[:1]),
        _plan(
            "recommended_intake_kcal",
            "double",
            "Middle of the recommended range of intake.",
            1_800.0,
            "kcal",
            _DAYS,
            nullable=False,
        ),
        *_ESTIMATES,
        _plan("adherence_sd", "double", "Standard deviation of that estimate.", 0.15, None, _DAYS, nullable=False),
        _plan(
            "adaptation",
            "string",
            "How the plan changed on this day, and which observations changed it.",
            None,
            None,
            _DAYS,
        ),
    ),
    ("user_id", "date"),
    foreign_keys=(ForeignKey(("goal_id",), GOALS.key),),
    kinds=("numpy", "parquet"),
)

TABLES = (GOALS, PROGRESS, PLANS)
"""Written by one step and published together, the plans last."""
