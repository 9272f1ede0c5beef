"""Days of simulated people who resemble real people: the file that `fitness sample --realistic` writes.

What each simulated person has, and why:

- Habits, a body and a life of their own: usual steps, sleep, stress, pulse and weight differ between people.
- Phases: work load, training and appetite change slowly, so a day resembles the day before.
- A week: at weekends people move more, have less stress and sleep longer (Roenneberg et al., Sleep Med Rev
  2007;11:429).
- Stress and sleep that answer to each other: a stressful day shortens the next night, and a short night adds to the
  stress of the day (Yap et al., Sleep 2020;43:zsz250).
- Weight that follows energy: a surplus of 7,700 kcal is a kilogram of tissue (Wishnofsky, Am J Clin Nutr 1958;6:542).
  What is burned is the basal rate (Mifflin et al., Am J Clin Nutr 1990;51:241) and movement; what is eaten follows
  appetite, which answers slowly to the weight. The scale also shows water.

Every value is in the range of its column. Some days are missing; there are no flaws.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp
from random import Random

FIRST_DAY = date(2024, 1, 1)
GAP = 0.02
"""The share of days that are not logged."""
KCAL_OF_KG = 7_700

_SLOW, _FAST = 0.985, 0.5
"""The share of a course that is left after a day: phases last for weeks, moods for days."""
_AT_REST = 1.3
"""Energy of a day without steps, as a multiple of the basal metabolic rate: digestion, standing, small movements."""
_KCAL_OF_STEP_AND_KG, _KCAL_OF_MINUTE_AND_KG = 0.0006, 0.05
_KCAL_OF_APPETITE, _KCAL_OF_SURPLUS_KG = 150, 30
"""What one standard deviation of appetite adds to a day's food, and what a kg above the usual weight takes away."""


@dataclass(frozen=True)
class Person:
    """What stays the same of a person.

    Attributes:
        user_id: begins with a letter, so that the people of the shipped sample have other ids.
        born: day of birth.
        gender: M or F.
        height_m: height.
        weight_kg: usual weight.
        steps: usual steps on a weekday.
        exercise: usual minutes of exercise on a weekday.
        sleep: hours of sleep on a weekday after a day of usual stress.
        stress: usual stress on a weekday.
        pulse: usual mean heart rate.
    """

    user_id: str
    born: date
    gender: str
    height_m: float
    weight_kg: float
    steps: float
    exercise: float
    sleep: float
    stress: float
    pulse: float

    @property
    def reach(self) -> float:
        """How far ratings of stress move: less for a person whose usual one is near an end of the scale."""
        return min(self.stress - 1, 10 - self.stress) / 4

    def age(self, day: date) -> int:
        """Whole years on a day."""
        return age_on(day, self.born)

    def basal_kcal(self, weight_kg: float, day: date) -> float:
        """Basal metabolic rate in kcal a day."""
        return 10 * weight_kg + 625 * self.height_m - 5 * self.age(day) + (5 if self.gender == "M" else -161)


@dataclass(frozen=True)
class Day:
    """One day of a person, not rounded.

    Attributes:
        date: the day.
        steps: steps.
        pulse: mean heart rate in bpm.
        sleep: hours of the night that ends on this day.
        burned: energy in kcal.
        eaten: energy in kcal; no column of the file.
        exercise: minutes.
        stress: 1 to 10.
        tissue_kg: weight without the water that changes from day to day; no column of the file.
        weight_kg: what the scale shows in the morning.
    """

    date: date
    steps: float
    pulse: float
    sleep: float
    burned: float
    eaten: float
    exercise: float
    stress: float
    tissue_kg: float
    weight_kg: float


def age_on(day: date, born: date) -> int:
    """Whole years of a person on a day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def rows(users: int, days: int, seed: int) -> Iterator[list[list[str]]]:
    """Yield the rows of each user: text cells in the order of the raw columns, arguments as of `sample.rows`."""
    random = Random(seed)  # noqa: S311
    for number in range(1, users + 1):
        person = new_person(f"p{number}", random)
        yield [_cells(person, day) for day in lived(person, days, random) if random.random() >= GAP]


def new_person(user_id: str, random: Random) -> Person:
    """A person who differs from others."""
    gender = random.choice("MF")
    height = _within(1.45, random.gauss(1.77 if gender == "M" else 1.64, 0.07), 2.05)
    return Person(
        user_id,
        born=FIRST_DAY - timedelta(random.randint(19 * 366, 75 * 365)),
        gender=gender,
        height_m=height,
        weight_kg=_within(20, random.gauss(25.5, 3.5), 36) * height**2,
        steps=_within(3_500, random.gauss(7_500, 2_500), 12_000),
        exercise=_within(10, random.gauss(35, 15), 90),
        sleep=_within(5.5, random.gauss(7, 0.8), 8.8),
        stress=_within(3, random.gauss(4.8, 1.2), 7.5),
        pulse=_within(52, random.gauss(70, 6), 90),
    )


def lived(person: Person, days: int, random: Random) -> Iterator[Day]:
    """The days of a person.

    Args:
        person: who lives them.
        days: how many, starting with `FIRST_DAY`.
        random: where chance comes from.
    """
    load, training, appetite = (_course(random, _SLOW) for _ in range(3))
    mood, effort, heart, water = (_course(random, _FAST) for _ in range(4))
    tissue, stress_before = person.weight_kg, person.stress
    usual_burned = _burned(person, person.weight_kg, person.steps, person.exercise, FIRST_DAY)
    for day in (FIRST_DAY + timedelta(n) for n in range(days)):
        weekend = day.weekday() >= 5
        strain, form = 0.7 * next(load) + 0.7 * next(mood), next(training)
        rest = 0.7 * weekend - 0.35 * (stress_before - person.stress) + random.gauss(0, 0.5)
        sleep = _within(3, person.sleep + rest, 12)
        worry = 1.3 * strain - 0.9 * weekend - 0.4 * rest + random.gauss(0, 0.8)
        stress = _within(1, person.stress + person.reach * worry, 10)
        moved = 0.8 * form + 0.6 * next(effort) - 0.3 * strain
        exercise = person.exercise * exp(0.4 * moved + 0.2 * weekend + random.gauss(0, 0.2))
        steps = person.steps * exp(0.3 * moved + 0.25 * weekend - 0.15 * rest + random.gauss(0, 0.15))
        exercise, steps = min(exercise, 240), _within(300, steps, 40_000)
        burned = min(_burned(person, tissue, steps, exercise, day) + random.gauss(0, 50), 8_000)
        hunger = _KCAL_OF_APPETITE * next(appetite) - _KCAL_OF_SURPLUS_KG * (tissue - person.weight_kg)
        eaten = max(usual_burned + hunger + 100 * weekend + random.gauss(0, 250), 500)
        pulse = person.pulse + 2 * next(heart) + 2 * strain - form + 0.15 * (exercise - person.exercise)
        weight = tissue + 0.35 * next(water) + 0.5 * weekend
        yield Day(day, steps, _within(40, pulse, 120), sleep, burned, eaten, exercise, stress, tissue, weight)
        tissue = _within(0.75 * person.weight_kg, tissue + (eaten - burned) / KCAL_OF_KG, 1.25 * person.weight_kg)
        stress_before = stress


def _burned(person: Person, weight_kg: float, steps: float, exercise: float, day: date) -> float:
    moving = _KCAL_OF_STEP_AND_KG * steps + _KCAL_OF_MINUTE_AND_KG * exercise
    return _AT_REST * person.basal_kcal(weight_kg, day) + moving * weight_kg


def _course(random: Random, keeps: float) -> Iterator[float]:
    """A value a day with mean 0 and variance 1, of which ``keeps`` is left on the next day."""
    value = random.gauss(0, 1)
    while True:
        yield value
        value = keeps * value + (1 - keeps**2) ** 0.5 * random.gauss(0, 1)


def _within(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)


def _cells(person: Person, day: Day) -> list[str]:
    weight = round(day.weight_kg, 1)
    return [
        person.user_id,
        str(person.age(day.date)),
        person.gender,
        day.date.isoformat(),
        f"{day.steps:.0f}",
        f"{day.pulse:.1f}",
        f"{day.sleep:.1f}",
        f"{day.burned:.1f}",
        f"{day.exercise:.1f}",
        f"{day.stress:.0f}",
        f"{weight:.1f}",
        f"{weight / person.height_m**2:.1f}",
    ]
