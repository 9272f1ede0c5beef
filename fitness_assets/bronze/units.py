"""Units of device records, with their factors to the units of the lake.

A unit that is not listed is never guessed: its records are invalid.
"""

_POUND, _STONE, _CALORIE = 0.45359237, 6.35029318, 1 / 1_000

_ENERGY = {"kcal": 1.0, "Cal": 1.0, "cal": _CALORIE, "kJ": 1 / 4.184, "J": 1 / 4_184}  # Cal with a capital is kcal
_RATE = {"bpm": 1.0, "count/min": 1.0, "count/s": 60.0}
_MINUTES = {"min": 1.0, "s": 1 / 60, "ms": 1 / 60_000, "hr": 60.0}

FACTORS: dict[str, dict[str, float]] = {
    "steps": {"count": 1.0},
    "heart_rate": _RATE,
    "resting_heart_rate": _RATE,
    "heart_rate_min": _RATE,
    "heart_rate_max": _RATE,
    "energy_total": _ENERGY,
    "energy_active": _ENERGY,
    "energy_basal": _ENERGY,
    "basal_rate": {"W": 20.65},  # to kcal a day
    "exercise": _MINUTES,
    "sleep": _MINUTES,
    "weight": {"kg": 1.0, "g": 1 / 1_000, "lb": _POUND, "lbs": _POUND, "st": _STONE},
    "bmi": {"count": 1.0},
    "height": {"m": 1.0, "cm": 1 / 100, "mm": 1 / 1_000, "ft": 0.3048, "in": 0.0254},
    "day_length": {"ms": 1 / 3_600_000},
    "age": {"years": 1.0},
}
"""By type of record, to: count, bpm, kcal, minutes, kg, kg/m², m, hours (of day_length), years."""


def factor(type_: str, unit: str | None) -> float | None:
    """What one of a unit is; None if the unit is unknown. Types without a scale of their own stay as they are."""
    units = FACTORS.get(type_)
    return 1.0 if units is None else units.get(unit or "")
