"""Every guardrail refuses whom it has to refuse, says why and where to turn to, and nobody else."""

from dataclasses import replace

import pytest

from fitness_assets.coach.guardrails import GUARDRAILS, Candidate, refusal

SAFE = Candidate(
    age=42,
    pregnant=False,
    height_cm=170,
    weight_kg=80,
    target_kg=72,
    pace_kg=0.4,
    intake_kcal=1_900,
    lowest_kcal=1_500,
    needed_kcal=1_700,
    fastest_kg=0.6,
    deficit_kg=0.3,
    falls=0.01,
    lowest_weight_kg=53.5,
)

REFUSED = {
    "pregnancy": {"pregnant": True},
    "age_unknown": {"age": None},
    "minor": {"age": 17},
    "weight_unknown": {"weighed": False},
    "height_unknown": {"height_cm": None},
    "underweight": {"weight_kg": 53.4, "target_kg": 60},
    "target_underweight": {"target_kg": 53.4},
    "too_fast": {"pace_kg": 0.81},
    "intake_too_low": {"intake_kcal": 1_499},
    "intake_too_fast": {"deficit_kg": 0.81},
    "pace_needs_too_little": {"needed_kcal": 1_499},
    "falls_too_fast": {"falls": 0.0101},
    "becomes_underweight": {"lowest_weight_kg": 53.4},
}


def test_nobody_who_is_safe_is_refused():
    assert refusal(SAFE) is None
    assert refusal(replace(SAFE, pace_kg=0.8, age=18, target_kg=53.5)) is None
    assert refusal(Candidate(42, False, 170, 80)) is None
    assert refusal(replace(SAFE, target_kg=90, pace_kg=1.0)) is None, "a gain is no loss"


@pytest.mark.parametrize("name", [rail.name for rail in GUARDRAILS])
def test_each_guardrail_refuses_and_says_what_to_do(name):
    found = refusal(replace(SAFE, **REFUSED[name]))
    assert found
    assert found[0] == name
    assert found[1].endswith(".")
    advice = ("talk to", "state age", "state height_cm", "log some weights")
    assert any(words in found[1] for words in advice)


def test_the_sentences_name_the_nearest_safe_choice():
    said = {name: refusal(replace(SAFE, **cells)) for name, cells in REFUSED.items()}
    sentences = {name: found[1] for name, found in said.items() if found}
    assert "at least 53.5 kg" in sentences["target_underweight"]
    assert "at most 0.80 kg a week" in sentences["too_fast"]
    assert "at least 1,500 kcal" in sentences["intake_too_low"]
    assert "at most 0.60 kg a week" in sentences["pace_needs_too_little"]
