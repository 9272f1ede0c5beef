"""Generates days, and computes the features over time by simple, slow code as a reference for Spark's results."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

OVER_TIME = (
    *("ra30_steps", "ra30_calories", "ra30_ex_minutes", "ra30_stress", "ra30_days"),
    *("weight_change_30d", "weight_change_30d_raw", "stress_change_30d", "yesterday_stress", "yesterday_sleep"),
)


def good_days(
    users: Iterable[str], first: date, days: int, seed: int, gaps: float = 0, empty: float = 0
) -> list[dict[str, Any]]:
    """Rows that break no cleaning rule. The share ``gaps`` of days is missing, the share ``empty`` of cells is null."""
    rng = np.random.default_rng(seed)

    def maybe(value: Any) -> Any:
        return None if rng.random() < empty else value

    return [
        {
            "user_id": user,
            "date": first + timedelta(day),
            "steps": int(rng.integers(300, 20_000)),
            "heart_rate_avg": round(float(rng.uniform(50, 100)), 1),
            "sleep_hours": maybe(round(float(rng.uniform(4, 11)), 1)),
            "calories_burned": round(float(rng.uniform(1_500, 3_500)), 1),
            "exercise_minutes": round(float(rng.uniform(0, 120)), 1),
            "stress_level": maybe(int(rng.integers(1, 11))),
            "weight_kg": maybe(round(float(rng.uniform(65, 80)), 1)),
            "bmi": round(float(rng.uniform(17, 33)), 1),
        }
        for user in users
        for day in range(days)
        if rng.random() >= gaps
    ]


def over_time(clean: pd.DataFrame) -> dict[tuple[str, date], dict[str, Any]]:
    """Every column of ``OVER_TIME`` for every user and day, by looking up single days. Unknown values are None."""
    rows = {(row["user_id"], row["date"]): row for row in clean.astype(object).to_dict("records")}

    def cell(user: str, day: date, name: str) -> Any:
        value = rows.get((user, day), {}).get(name)
        return None if value is None or pd.isna(value) else value

    def mean(user: str, day: date, name: str) -> float | None:
        values = [cell(user, day - timedelta(back), name) for back in range(30)]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def change(user: str, day: date, name: str) -> float | None:
        now, then = cell(user, day, name), cell(user, day - timedelta(30), name)
        return None if now is None or then is None else now - then

    result = {}
    for user, day in rows:
        weight_change = change(user, day, "weight_kg")
        result[user, day] = {
            "ra30_steps": mean(user, day, "steps"),
            "ra30_calories": mean(user, day, "calories_burned"),
            "ra30_ex_minutes": mean(user, day, "exercise_minutes"),
            "ra30_stress": mean(user, day, "stress_level"),
            "ra30_days": sum((user, day - timedelta(back)) in rows for back in range(30)),
            "weight_change_30d": None if weight_change is None else max(-5, min(5, weight_change)),
            "weight_change_30d_raw": weight_change,
            "stress_change_30d": change(user, day, "stress_level"),
            "yesterday_stress": cell(user, day - timedelta(1), "stress_level"),
            "yesterday_sleep": cell(user, day - timedelta(1), "sleep_hours"),
        }
    return result


def row_windows(days: pd.DataFrame) -> pd.DataFrame:
    """Every column of ``OVER_TIME`` by windows over rows. Correct only if no day and no cell is missing.

    Args:
        days: clean days, sorted by user and date.
    """
    by_user = days.groupby("user_id")
    mean_of = {
        "ra30_steps": "steps",
        "ra30_calories": "calories_burned",
        "ra30_ex_minutes": "exercise_minutes",
        "ra30_stress": "stress_level",
    }
    weight_change = days.weight_kg - by_user.weight_kg.shift(30)
    return days.assign(
        **{name: by_user[of].rolling(30, min_periods=1).mean().reset_index(drop=True) for name, of in mean_of.items()},
        ra30_days=(by_user.cumcount() + 1).clip(upper=30),
        weight_change_30d_raw=weight_change,
        weight_change_30d=weight_change.clip(-5, 5),
        stress_change_30d=days.stress_level - by_user.stress_level.shift(30),
        yesterday_stress=by_user.stress_level.shift(1),
        yesterday_sleep=by_user.sleep_hours.shift(1),
    )
