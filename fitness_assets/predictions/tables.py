"""The tables of predictions: how each model was evaluated, and the predictions for every day.

A target describes the days after day t. It is predicted from features that are known on day t.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets.schema.rules import Rule, key_rule
from fitness_assets.schema.table import Column, Table
from fitness_assets.silver.tables import QUALITIES

SKILL, NO_SKILL, NOT_ENOUGH_DATA = VERDICTS = ("skill", "no_skill", "not_enough_data")
MODEL = "model"
BASELINES = ("constant", "persistence", "user_mean", "today_and_mean")
PREDICTORS = (MODEL, *BASELINES)
STRESS_CHANGES = ("less_stress", "no_changes", "more_stress")
STRESS_STEP = 3
"""A stress change of so many points is one."""
WEIGHT_LIMIT = 5.0
"""Weight changes are clamped to so many kg."""
HORIZON_DAYS = 30
"""How far the furthest target looks ahead."""
EMBARGO_DAYS = 30
"""Days between the last day that a training label knows of and the first test day: what a 30-day mean looks back on."""
GAP_DAYS = HORIZON_DAYS + EMBARGO_DAYS
"""Days between the last training day and the first test day."""
SPLITS = ("train", "test", "unlabelled")

COVERAGE = "interval_coverage"
"""Measure: the share of tested numbers inside their interval; also ``…_new_people`` and ``…_q1`` to ``…_q4``."""
INPUT_DRIFT, INPUT_DRIFT_LIMIT = "input_drift", 0.1
"""Measure: the largest share of the newest month's values of a column outside 99 % of the training days' values.

About 0.01 is expected; where the whole interval lies above the limit, the model is out of its range.
"""
OUTCOME_DRIFT, OUTCOME_DRIFT_LIMIT = "outcome_drift", 0.1
"""Measure: by how much the newest known outcomes differ from those of the training days; 0 is alike, 1 altogether."""

_FACT = FACT_DAILY.key


@dataclass(frozen=True)
class Target:
    """What one model predicts.

    Attributes:
        name: of the target; its model is ``predictions/<name>_model``.
        short: what is predicted, in the middle of a sentence.
        quantity: name in the columns ``predicted_…`` and ``actual_…``.
        description: what is predicted, for an analyst.
        classes: the labels in their order; empty when a number is predicted.
        source: the column of ``gold/fact_daily`` whose future it is.
        level: the feature that tells today's level.
        user_mean: the feature that tells how the day compares with the user's own mean, or that mean.
        persistence: the feature that tells the label of today, if that is the label to be expected when nothing
            changes; None where no change is a label (or a number) of its own.
        level_is_whole: whether today's level has a few whole values, each of which may behave in its own way.
    """

    name: str
    short: str
    quantity: str
    description: str
    classes: tuple[str, ...]
    source: str
    level: str
    user_mean: str
    persistence: str | None = None
    level_is_whole: bool = False

    @property
    def actual(self) -> str:
        """The column with the true value."""
        return f"actual_{self.quantity}"


TARGETS = (
    Target(
        "stress_change",
        "stress changes over 30 days",
        "stress_change",
        f"Stress change over the next 30 days: less_stress from −{STRESS_STEP} down, more_stress from +{STRESS_STEP} "
        "up, else no_changes.",
        STRESS_CHANGES,
        "stress_level",
        "stress_level",
        "stress_to_usual",
        level_is_whole=True,
    ),
    Target(
        "sleep_quality",
        "the next day's sleep quality",
        "sleep_quality",
        "Sleep quality of the next day.",
        QUALITIES,
        "sleep_quality",
        "sleep_hours",
        "usual_sleep_hours",
        "sleep_quality_today",
    ),
    Target(
        "weight_change",
        "weight changes over 30 days",
        "weight_change_30d",
        f"Weight change over the next 30 days in kg, clamped to ±{WEIGHT_LIMIT:g} kg.",
        (),
        "weight_kg",
        "weight_kg",
        "weight_to_usual",
    ),
)


def _model_table(target: Target) -> Table:
    sources = tuple(f"{_FACT}.{name}" for name in dict.fromkeys((target.source, "date_key", "user_id")))
    return Table(
        f"predictions/{target.name}_model",
        f"How the model was judged. {target.description} The fitted model (skops) and its card (Markdown) lie beside "
        "the version.",
        "one measure of one predictor",
        (
            Column(
                "predictor",
                "string",
                "Who predicts: the model, or a simple baseline that it has to beat.",
                MODEL,
                allowed=PREDICTORS,
                nullable=False,
                sources=sources,
            ),
            Column(
                "measure",
                "string",
                "What is measured, on days and people that the predictor has not learned from. skill: by which share "
                "its loss is below that of the best baseline. interval_coverage: share of numbers inside their 80 % "
                "interval. input_drift, outcome_drift: how far the newest month is from the training days.",
                "skill",
                nullable=False,
                sources=sources,
            ),
            Column("value", "double", "Its value; empty when there was not enough data.", 0.12, sources=sources),
            Column("lower", "double", "Lower end of its 99 % interval, where it has one.", 0.1, sources=sources),
            Column("upper", "double", "Upper end of its 99 % interval, where it has one.", 0.14, sources=sources),
            Column("test_rows", "bigint", "Days that it was measured on.", 12_000, nullable=False, sources=sources),
            Column("test_users", "bigint", "People that it was measured on.", 120, nullable=False, sources=sources),
            Column(
                "verdict",
                "string",
                "The verdict on the model.",
                SKILL,
                allowed=VERDICTS,
                nullable=False,
                sources=sources,
            ),
            Column(
                "conclusion",
                "string",
                "One sentence: what may be concluded from the predictions.",
                f"Nothing can be predicted about {target.short}: 12 of 20 people have later days to be tested on.",
                nullable=False,
                sources=sources,
            ),
        ),
        ("predictor", "measure"),
        own_rules=(
            Rule(
                "has_skill",
                "The model is better than every baseline: the interval of its skill lies above zero.",
                f"measure = 'skill' AND verdict != '{SKILL}'",
                {"verdict": NO_SKILL},
                "warning",
                check="has_skill",
            ),
            Rule(
                "verdict_follows",
                "The verdict is skill only where the interval of the skill lies above zero.",
                f"measure = 'skill' AND (verdict = '{SKILL}') != (coalesce(lower, 0) > 0)",
                {"lower": -0.1},
            ),
            Rule(
                "in_range",
                "The newest month is like the training days, in what is known of a day and in what came true.",
                f"(measure = '{INPUT_DRIFT}' AND lower > {INPUT_DRIFT_LIMIT})"
                f" OR (measure = '{OUTCOME_DRIFT}' AND lower > {OUTCOME_DRIFT_LIMIT})",
                {"measure": INPUT_DRIFT, "lower": 0.5},
                "warning",
                check="in_range",
            ),
        ),
        kinds=("scikitlearn", "parquet"),
    )


MODELS = {target.name: _model_table(target) for target in TARGETS}


def measure_row(
    predictor: str,
    measure: str,
    value: float | None,
    users: Collection[str],
    ends: Sequence[float | None] = (None, None),
) -> dict[str, Any]:
    """One row of a model's table, without the columns that are the same in every row.

    Args:
        predictor: who is measured.
        measure: what is measured.
        value: its value, if there is one.
        users: who each day is from that it was measured on.
        ends: of its interval.
    """
    lower, upper = ends
    return {
        "predictor": predictor,
        "measure": measure,
        "value": value,
        "lower": lower,
        "upper": upper,
        "test_rows": len(users),
        "test_users": len(set(users)),
    }


def _prediction_columns(target: Target) -> tuple[Column, ...]:
    sources = (f"{MODELS[target.name].key}.predictor", *(f"{_FACT}.{name}" for name in (target.source, "date_key")))
    name, what = target.quantity, target.description
    if target.classes:
        values = (
            Column(
                f"predicted_{name}",
                "string",
                f"Predicted. {what}",
                target.classes[1],
                allowed=target.classes,
                sources=sources,
            ),
            Column(
                target.actual,
                "string",
                f"What came true. {what}",
                target.classes[1],
                allowed=target.classes,
                sources=sources[1:],
            ),
            *(
                Column(
                    probability_of(target, label),
                    "double",
                    f"Probability of {label}.",
                    1 / len(target.classes),
                    range=(0, 1),
                    sources=sources,
                )
                for label in target.classes
            ),
        )
    else:
        low, high = -WEIGHT_LIMIT, WEIGHT_LIMIT
        values = (
            Column(
                f"predicted_{name}",
                "double",
                f"Predicted, 3 decimals. {what}",
                0.125,
                "kg",
                (low, high),
                sources=sources,
            ),
            Column(
                target.actual,
                "double",
                f"What came true, 3 decimals. {what}",
                -0.5,
                "kg",
                (low, high),
                sources=sources[1:],
            ),
            Column(
                f"{name}_lower",
                "double",
                "Four of five days come true between this and the upper end.",
                -1.5,
                "kg",
                (low, high),
                sources=sources,
            ),
            Column(
                f"{name}_upper",
                "double",
                "Four of five days come true between the lower end and this.",
                1.75,
                "kg",
                (low, high),
                sources=sources,
            ),
        )
    return (
        *values,
        Column(
            f"{target.name}_skill",
            "string",
            "Whether the model was better than every baseline. Where it was not, the best baseline predicts.",
            SKILL,
            allowed=VERDICTS,
            nullable=False,
            sources=sources[:1],
        ),
        Column(
            conclusion_of(target.name),
            "string",
            "One sentence: what may be concluded from this prediction.",
            f"Nothing can be predicted about {target.short}: 12 of 20 people have later days to be tested on.",
            nullable=False,
            sources=sources[:1],
        ),
        Column(
            f"{target.name}_predictor",
            "string",
            "Who predicts; empty when there was not enough data to tell.",
            MODEL,
            allowed=PREDICTORS,
            sources=sources[:1],
        ),
        Column(
            f"{target.name}_model_version",
            "string",
            "Version of the model.",
            "000001",
            nullable=False,
            sources=sources[:1],
        ),
    )


def conclusion_of(name: str) -> str:
    """The column with what may be concluded from the predictions of a target."""
    return f"{name}_conclusion"


def probability_of(target: Target, label: str) -> str:
    """The column with the probability of a label."""
    return f"probability_{target.name}_{label}"


def _prediction_rules(target: Target) -> tuple[Rule, ...]:
    skill, predictor, predicted = f"{target.name}_skill", f"{target.name}_predictor", f"predicted_{target.quantity}"
    rules = (
        Rule(
            f"{target.name}_predictor_follows",
            "The model predicts where it has skill, a baseline where it has none, nobody where data was not enough.",
            f"CASE {skill} WHEN '{SKILL}' THEN {predictor} IS DISTINCT FROM '{MODEL}'"
            f" WHEN '{NO_SKILL}' THEN coalesce({predictor} = '{MODEL}', true)"
            f" ELSE {predictor} IS NOT NULL OR {predicted} IS NOT NULL END",
            {skill: NO_SKILL},
        ),
    )
    if not target.classes:
        low, high = f"{target.quantity}_lower", f"{target.quantity}_upper"
        return (
            *rules,
            Rule(
                f"{target.name}_interval",
                "The prediction lies in its interval.",
                f"NOT {predicted} BETWEEN {low} AND {high}",
                {predicted: WEIGHT_LIMIT},
            ),
        )
    total = " + ".join(probability_of(target, label) for label in target.classes)
    return (
        *rules,
        Rule(
            f"{target.name}_probabilities",
            "The probabilities of the labels add up to 1 wherever there is a prediction.",
            f"({predicted} IS NOT NULL AND NOT abs(coalesce({total}, 0) - 1) < 1e-6)",
            {probability_of(target, target.classes[0]): 0.0},
        ),
    )


FACT_PREDICTIONS = Table(
    "gold/fact_predictions",
    "What the models say of every day of gold/fact_daily, what came true, and what the models are worth.",
    "user and day",
    (
        *(FACT_DAILY[name].from_table(_FACT) for name in ("user_id", "date_key")),
        Column(
            "split",
            "string",
            "test: held out, judge predictions here; train: early enough to be learned from (the models learn from a "
            "sample of people), or too near to that; unlabelled: nothing of what is predicted has come true yet, or it "
            "was not logged.",
            "test",
            allowed=SPLITS,
            nullable=False,
            sources=(f"{_FACT}.date_key",),
        ),
        *(column for target in TARGETS for column in _prediction_columns(target)),
    ),
    ("user_id", "date_key"),
    own_rules=(
        key_rule(
            "every_day_predicted",
            "Every day of gold/fact_daily has its row.",
            ("user_id", "date_key"),
            (_FACT, "gold/fact_predictions"),
            "fact_daily != fact_predictions",
        ),
        *(rule for target in TARGETS for rule in _prediction_rules(target)),
    ),
    by_month=True,
    kinds=("scikitlearn", "pyspark", "parquet"),
)

TABLES = (*MODELS.values(), FACT_PREDICTIONS)
"""Written by one step and published together, so that a prediction never refers to a model that is not there."""
