"""Units of devices: what one of each is in the unit of the lake."""

import pytest

from fitness_assets.bronze.units import FACTORS, factor

EXACT = {
    "weight": {"kg": 1, "g": 0.001, "lb": 0.45359237, "lbs": 0.45359237, "st": 14 * 0.45359237},
    "height": {"m": 1, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 12 * 0.0254},
    "energy_total": {"kcal": 1, "Cal": 1, "cal": 0.001, "kJ": 1_000 / 4_184, "J": 1 / 4_184},
    "basal_rate": {"W": 20.65},
    "exercise": {"min": 1, "s": 1 / 60, "ms": 1 / 60_000, "hr": 60},
    "heart_rate": {"bpm": 1, "count/min": 1, "count/s": 60},
    "day_length": {"ms": 1 / 3_600_000},
}


@pytest.mark.parametrize(
    ("type_", "unit", "one"), [(t, unit, one) for t, of in EXACT.items() for unit, one in of.items()]
)
def test_a_unit_is_worth_what_its_definition_says(type_, unit, one):
    assert factor(type_, unit) == pytest.approx(one, rel=1e-6)
    assert FACTORS[type_].keys() == EXACT[type_].keys()


@pytest.mark.parametrize("unit", [None, "", "stone", "KG", "Lb"])
def test_an_unknown_unit_is_never_guessed(unit):
    assert factor("weight", unit) is None
