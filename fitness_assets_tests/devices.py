"""Simulated people with simulated devices, to measure how often the audit raises a false alarm; and simple generators.

What devices do to a value follows published properties:

- Step counters miss or add some 5 to 10 % of a day's steps (Fokkema et al., Med Sci Sports Exerc 2017;49:793), and are
  taken off on some days.
- Optical heart rate is off by about 5 bpm in a single minute (Shcherbina et al., J Pers Med 2017;7:3); the mean of a
  day is given with all its decimals, with one, or as a whole number.
- Sleep staging works in epochs of 30 seconds and is off by some 20 minutes a night (de Zambotti et al., Med Sci Sports
  Exerc 2019;51:1538); many nights have no record.
- Energy is a sum over the minutes of a day: whole, or with all the decimals of the vendor's formula.
- Scales show steps of 0.05 to 1 kg or of 0.2 lb; water and food move a body by some 0.4 kg from day to day.
"""

from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

FIRST_DAY = date(2024, 1, 1)  # a Monday


class Devices(NamedTuple):
    """What the people of one cohort measure with.

    Attributes:
        heart_decimals: of the mean heart rate of a day; None keeps all.
        sleep_step: smallest difference of two nights in minutes.
        nights: share of nights with a record.
        calorie_decimals: of the energy of a day; None keeps all, −1 is tens.
        exercise_step: minutes to which the vendor rounds.
        scale_step: smallest difference of two weights in kg.
        weighings: share of days with a weight.
        bmi_decimals: of the BMI that the vendor derives.
        rating_habit: how strongly people keep to their own usual rating of stress, 0 to 1.
        worn: share of days on which the wristband is worn.
        steps_decimals: of the steps of a day; −1 is tens.
    """

    heart_decimals: int | None = 0
    sleep_step: float = 1.0
    nights: float = 0.9
    calorie_decimals: int | None = 0
    exercise_step: int = 1
    scale_step: float = 0.1
    weighings: float = 0.9
    bmi_decimals: int = 1
    rating_habit: float = 0.6
    worn: float = 0.97
    steps_decimals: int = 0


COHORTS = {
    "wristband and scale, whole numbers": Devices(),
    "means with all decimals": Devices(heart_decimals=None, calorie_decimals=None, bmi_decimals=2),
    "one decimal everywhere": Devices(heart_decimals=1, calorie_decimals=1, sleep_step=6),
    "sleep in epochs": Devices(sleep_step=0.5, nights=0.7, calorie_decimals=2),
    "scale in pounds": Devices(scale_step=0.2 * 0.45359237, bmi_decimals=2, heart_decimals=None),
    "coarse scale": Devices(scale_step=0.5, weighings=0.7),
    "fine scale, weekly": Devices(scale_step=0.05, weighings=0.55, heart_decimals=2),
    "exercise in fives": Devices(exercise_step=5, calorie_decimals=None, worn=0.95),
    "worn less often": Devices(worn=0.9, nights=0.6, weighings=0.6),
    "sleep in quarters of an hour": Devices(sleep_step=15, rating_habit=0.9, heart_decimals=1),
    "steps and energy in tens": Devices(steps_decimals=-1, calorie_decimals=-1, sleep_step=30),
    "coarse steps everywhere": Devices(
        steps_decimals=-2, calorie_decimals=-1, sleep_step=60, scale_step=1.0, exercise_step=5
    ),
}


def cohort(devices: Devices, seed: int, people: int = 40, days: int = 150) -> pd.DataFrame:
    """Days in the raw contract's columns: people who differ, habits, a week, and what their devices show of it."""
    rng = np.random.default_rng(seed)
    shape = (people, days)
    weekend = np.array([(FIRST_DAY + timedelta(day)).weekday() >= 5 for day in range(days)])

    def slow(keeps: float) -> np.ndarray:
        course = rng.normal(0, 1, shape)
        for day in range(1, days):
            course[:, day] = keeps * course[:, day - 1] + np.sqrt(1 - keeps**2) * course[:, day]
        return course

    def person(spread: float) -> np.ndarray:
        return rng.normal(0, spread, (people, 1))

    age, gender = rng.integers(19, 75, (people, 1)), rng.choice(["M", "F"], (people, 1))
    height = np.where(gender == "M", 178, 165) + person(7)
    active, strain = slow(0.3), slow(0.5)
    varies = np.exp(person(0.3))  # some lives are more regular than others
    true_steps = 8_000 + person(2_800) + 2_800 * varies * active - 500 * strain + 900 * weekend
    true_steps = (500 + np.abs(true_steps - 500)).clip(max=40_000)  # mirrored: cut off, quiet days would all be alike
    steps = true_steps * (1 + person(0.05)) * (1 + rng.normal(0, 0.05, shape))
    exercise = (true_steps / 250 - 6 + person(9) + 9 * rng.normal(0, 1, shape)).clip(0)
    exercise = (exercise / devices.exercise_step).round() * devices.exercise_step
    weight = 26 * (height / 100) ** 2 + person(8) + 1.5 * slow(0.985) + 0.4 * rng.normal(0, 1, shape) + 0.25 * weekend
    weight = (weight / devices.scale_step).round() * devices.scale_step
    bmi = (weight / (height / 100) ** 2).round(devices.bmi_decimals)
    bmr = 10 * weight + 6.25 * height - 5 * age + np.where(gender == "M", 5, -161)
    calories = 1.3 * bmr + 0.045 * steps.round() + rng.normal(0, 60, shape)
    heart = 70 + person(6) + 2.5 * slow(0.5) + 0.06 * exercise + 1.2 * strain + rng.normal(0, 0.3, shape)
    sleep = 60 * (6.9 + person(0.7) + 0.9 * slow(0.1) - 0.25 * strain - 0.2 * active + 0.6 * weekend)
    sleep = ((sleep + 20 * rng.normal(0, 1, shape)).clip(125, 900) / devices.sleep_step).round() * devices.sleep_step
    stress = 4.5 + devices.rating_habit * person(1.5) + 1.4 * varies * strain - 0.7 * weekend

    def decimals(values: np.ndarray, kept: int | None) -> np.ndarray:
        return values if kept is None else values.round(kept)

    def seen(values: np.ndarray, share: float) -> np.ndarray:
        return np.where(rng.random(shape) < share, values, np.nan).ravel()

    table = pd.DataFrame(
        {
            "user_id": np.repeat([f"{user:03}" for user in range(people)], days),
            "age": np.repeat(age, days),
            "gender": np.repeat(gender, days),
            "date": [FIRST_DAY + timedelta(day) for day in range(days)] * people,
            "steps": steps.round(devices.steps_decimals).ravel(),
            "heart_rate_avg": decimals(heart, devices.heart_decimals).ravel(),
            "sleep_hours": seen(sleep / 60, devices.nights),
            "calories_burned": decimals(calories, devices.calorie_decimals).ravel(),
            "exercise_minutes": exercise.ravel(),
            "stress_level": stress.round().clip(1, 10).ravel(),
            "weight_kg": seen(weight, devices.weighings),
            "bmi": bmi.ravel(),
        }
    )
    return table.loc[rng.random(len(table)) < devices.worn].reset_index(drop=True)


def nobody_in_particular(seed: int, people: int = 40, days: int = 150) -> pd.DataFrame:
    """A generator that imitates time but not people: each metric is an AR(1) course about one mean for all."""
    rng = np.random.default_rng(seed)

    def course(mean: float, spread: float, keeps: float = 0.5) -> np.ndarray:
        values = rng.normal(0, 1, (people, days))
        for day in range(1, days):
            values[:, day] = keeps * values[:, day - 1] + np.sqrt(1 - keeps**2) * values[:, day]
        return (mean + spread * values).ravel()

    weight = course(75, 4, 0.95).round(1)
    return pd.DataFrame(
        {
            "user_id": np.repeat([f"{user:03}" for user in range(people)], days),
            "age": np.repeat(rng.integers(19, 75, people), days),
            "gender": np.repeat(rng.choice(["M", "F"], people), days),
            "date": [FIRST_DAY + timedelta(day) for day in range(days)] * people,
            "steps": course(8_000, 2_500).round().clip(300),
            "heart_rate_avg": course(72, 6).round(),
            "sleep_hours": course(7, 1).round(1),
            "calories_burned": course(2_300, 250).round(),
            "exercise_minutes": course(45, 12).round().clip(0),
            "stress_level": course(5, 2).round().clip(1, 10),
            "weight_kg": weight,
            "bmi": (weight / 1.72**2).round(2),
        }
    )


def copied_people(seed: int, people: int = 40, days: int = 150) -> pd.DataFrame:
    """A generator that fills a file with copies: the days of ten people, each under four names."""
    real = cohort(Devices(), seed, 10, days)
    copies = [real.assign(user_id=real["user_id"] + f"-{copy}") for copy in range(people // 10)]
    return pd.concat(copies, ignore_index=True)
