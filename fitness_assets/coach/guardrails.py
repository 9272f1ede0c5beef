"""Decides when the coach makes no plan, and says why and whom to ask instead.

Each guardrail is tested before a plan is made, and once more as a blocking rule of ``coach/plans``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fitness_assets.coach import constants as c

DISCLAIMER = "Not medical advice. If you are ill, pregnant or take medicines, talk to a doctor before you change how you eat or train."  # noqa: E501

_DOCTOR = "Please talk to a doctor or a registered dietitian."


@dataclass(frozen=True)
class Candidate:
    """A person with a goal; unknown values are None.

    Attributes:
        age: in years; the lower of what the goal and the data say.
        pregnant: whether the goal says so.
        height_cm: height.
        weight_kg: estimated body weight.
        weighed: whether there is any weight in the 60 days before the plan.
        target_kg: target weight.
        pace_kg: stated pace, kg a week.
        intake_kcal: stated intake.
        lowest_kcal: lowest intake that may be recommended.
        needed_kcal: intake that the stated pace needs.
        fastest_kg: loss a week that the lowest intake gives.
        deficit_kg: loss a week that the stated intake gives.
        falls: predicted loss a week over the next 30 days, as a share of body weight.
        lowest_weight_kg: lowest predicted weight of the next 30 days.
    """

    age: int | None
    pregnant: bool
    height_cm: float | None = None
    weight_kg: float | None = None
    weighed: bool = True
    target_kg: float | None = None
    pace_kg: float | None = None
    intake_kcal: float | None = None
    lowest_kcal: float = 0.0
    needed_kcal: float | None = None
    fastest_kg: float = 0.0
    deficit_kg: float = 0.0
    falls: float = 0.0
    lowest_weight_kg: float | None = None

    def bmi(self, weight_kg: float | None) -> float | None:
        """Body mass index at a weight."""
        return None if weight_kg is None or not self.height_cm else weight_kg / (self.height_cm / 100) ** 2

    @property
    def fastest_loss_kg(self) -> float:
        """The fastest loss a week that any plan has."""
        return c.FASTEST_LOSS * (self.weight_kg or 0)

    @property
    def loses(self) -> bool:
        """Whether the target weight is below the weight."""
        return self.target_kg is not None and self.weight_kg is not None and self.target_kg < self.weight_kg


@dataclass(frozen=True)
class Guardrail:
    """A reason to make no plan.

    Attributes:
        name: snake_case.
        refuses: whether it applies.
        sentence: why, and where to turn to.
    """

    name: str
    refuses: Callable[[Candidate], bool]
    sentence: Callable[[Candidate], str]


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


GUARDRAILS = (
    Guardrail(
        "pregnancy",
        lambda who: who.pregnant,
        lambda who: (
            "The coach makes no plans in pregnancy: its equations do not hold then. "
            "Please talk to your doctor or midwife."
        ),
    ),
    Guardrail(
        "age_unknown",
        lambda who: who.age is None,
        lambda who: "The age is not known, and the coach makes plans for adults only: state age in the goal.",
    ),
    Guardrail(
        "minor",
        lambda who: _below(who.age, c.ADULT),
        lambda who: (
            "The coach makes plans for adults only. "
            "Please talk to a parent and to a doctor for children and adolescents."
        ),
    ),
    Guardrail(
        "weight_unknown",
        lambda who: not who.weighed,
        lambda who: (
            "No weight was logged in the 60 days before the start: log some weights, or choose a start that "
            "follows the last logged day."
        ),
    ),
    Guardrail(
        "height_unknown",
        lambda who: who.height_cm is None,
        lambda who: "The height is not known or not plausible: state height_cm in the goal.",
    ),
    Guardrail(
        "underweight",
        lambda who: _below(who.bmi(who.weight_kg), c.LOWEST_BMI),
        lambda who: f"The body mass index is below {c.LOWEST_BMI:g}, which is underweight. {_DOCTOR}",
    ),
    Guardrail(
        "target_underweight",
        lambda who: _below(who.bmi(who.target_kg), c.LOWEST_BMI),
        lambda who: (
            f"The target weight means a body mass index below {c.LOWEST_BMI:g}, which is underweight: "
            f"choose at least {c.LOWEST_BMI * ((who.height_cm or 0) / 100) ** 2:.1f} kg. {_DOCTOR}"
        ),
    ),
    Guardrail(
        "too_fast",
        lambda who: who.loses and who.pace_kg is not None and who.pace_kg > who.fastest_loss_kg,
        lambda who: (
            f"The pace is faster than 1 % of body weight a week: choose at most {who.fastest_loss_kg:.2f} kg a "
            f"week. {_DOCTOR}"
        ),
    ),
    Guardrail(
        "intake_too_low",
        lambda who: _below(who.intake_kcal, who.lowest_kcal),
        lambda who: (
            f"The intake is below basal need or the lowest safe intake: choose at least {who.lowest_kcal:,.0f} "
            f"kcal. {_DOCTOR}"
        ),
    ),
    Guardrail(
        "intake_too_fast",
        lambda who: who.intake_kcal is not None and who.deficit_kg > who.fastest_loss_kg,
        lambda who: f"At this intake, weight would fall faster than 1 % a week: choose a higher one. {_DOCTOR}",
    ),
    Guardrail(
        "pace_needs_too_little",
        lambda who: who.loses and _below(who.needed_kcal, who.lowest_kcal),
        lambda who: (
            f"This pace would need less than {who.lowest_kcal:,.0f} kcal a day, which is basal need or the "
            f"lowest safe intake: choose at most {max(who.fastest_kg, 0):.2f} kg a week, or state no pace. {_DOCTOR}"
        ),
    ),
    Guardrail(
        "falls_too_fast",
        lambda who: who.falls > c.FASTEST_LOSS,
        lambda who: (
            f"Weight would fall faster than 1 % a week in the next 30 days: choose a slower pace or a higher intake. "
            f"{_DOCTOR}"
        ),
    ),
    Guardrail(
        "becomes_underweight",
        lambda who: _below(who.bmi(who.lowest_weight_kg), c.LOWEST_BMI),
        lambda who: (
            f"In the next 30 days the body mass index would fall below {c.LOWEST_BMI:g}, which is underweight: choose "
            f"a higher intake or target. {_DOCTOR}"
        ),
    ),
)


def refusal(who: Candidate) -> tuple[str, str] | None:
    """The name and the sentence of the first guardrail that refuses a plan; None if none does."""
    return next(((rail.name, rail.sentence(who)) for rail in GUARDRAILS if rail.refuses(who)), None)
