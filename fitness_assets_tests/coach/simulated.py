"""Simulated people whose true expenditure, adherence and weight are known.

The truth is written apart from the package: plain hourly Euler steps of the equations of Hall et al. (2011), and every
person differs from the averages in basal need, in how expenditure adapts and in what a change of weight costs.
"""

from dataclasses import dataclass

import numpy as np

from fitness_assets.coach.energy import Person
from fitness_assets.coach.plans import BEFORE, Coach, History, Wishes

HOURS = 24


@dataclass
class Truth:
    """What no coach can see.

    Attributes:
        expenditure: kcal a day before the plan, shape (people,).
        adherence: shape (people,).
        weight_kg: in the morning of every day, shape (people, days).
    """

    expenditure: np.ndarray
    adherence: np.ndarray
    weight_kg: np.ndarray


@dataclass
class Simulation:
    person: Person
    wishes: Wishes
    history: History
    truth: Truth
    intake_kcal: np.ndarray

    def until_the_start(self) -> History:
        """What is known when the plan is made."""
        cut = {name: values.copy() for name, values in vars(self.history).items() if name != "last"}
        for values in cut.values():
            values[:, BEFORE:] = np.nan
        return History(**cut, last=np.full(len(self.truth.adherence), BEFORE - 1))


def wishes(people: int, **stated) -> Wishes:
    """Wishes with nothing stated but the given ones, each a number or an array."""
    names = Wishes.__dataclass_fields__
    return Wishes(**{name: np.broadcast_to(np.asarray(stated.get(name, np.nan), float), people) for name in names})


def simulate(people: int, days: int = 30, seed: int = 1, device_sd: float = 0.08, logged: int = 60) -> Simulation:
    """Let people live 60 days as they are used to, then follow a plan to lose weight.

    Args:
        people: how many.
        days: days under the plan.
        seed: of the random numbers.
        device_sd: spread of people in the lasting error of their device.
        logged: days before the plan on which they log.
    """
    rng = np.random.default_rng(seed)
    male = rng.integers(0, 2, people).astype(float)
    height = np.where(male == 1, rng.normal(178, 7, people), rng.normal(165, 6, people))
    weight = np.clip(rng.normal(30, 4, people), 25, 45) * (height / 100) ** 2
    person = Person(height, rng.integers(20, 66, people).astype(float), male)
    steps_before = np.clip(rng.normal(7_000, 2_500, people), 1_500, 15_000)
    rmr = 10 * weight + 6.25 * height - 5 * person.age + np.where(male == 1, 5, -161)
    formula = 1.4 * rmr + 0.5 * 0.414 * height / 1e5 * steps_before * weight / 0.9
    expenditure = formula * np.exp(rng.normal(0, 0.08, people))
    adherence = rng.uniform(0.4, 1.0, people)
    device = np.exp(rng.normal(0, device_sd, people))
    noise = np.clip(rng.lognormal(np.log(0.6), 0.3, people), 0.3, 1.5)

    total = BEFORE + days
    shape = (people, total)
    logs = rng.random(shape) < rng.uniform(0.5, 1.0, (people, 1))
    logs[:, : BEFORE - logged] = False
    logs[:, BEFORE - 1] = True
    steps, weights, calories, intakes = (np.full(shape, np.nan) for _ in range(4))
    body = _Body(person, weight, expenditure, rng)
    habit, water = rng.normal(0, 150, people), np.zeros(people)
    wanted = wishes(people, weight_kg=weight * 0.93)
    true_weights, plan = np.empty(shape), None
    for day in range(total):
        if day == BEFORE:
            history = _history(weights, steps, calories, logs, np.full(people, BEFORE - 1))
            plan = Coach(person, wanted, history, follows=False).run()
        true_weights[:, day] = body.weight()
        water = 0.5 * water + rng.normal(0, 0.2, people)
        seen = body.weight() + water + rng.normal(0, noise)
        outlier = rng.random(people) < 0.01
        weights[:, day] = np.round(seen + outlier * rng.normal(0, 5, people), 1)
        walked, usual = steps_before, expenditure + habit
        eaten = usual
        if plan is not None:
            intakes[:, day] = plan.intake_kcal[:, day]
            eaten = usual - adherence * (usual - plan.intake_kcal[:, day])
            walked = steps_before + adherence * (plan.steps[:, day] - steps_before)
        steps[:, day] = np.clip(walked * (1 + rng.normal(0, 0.25, people)), 100, None).round()
        spent = body.live(eaten * (1 + rng.normal(0, 0.24, people)), walked - steps_before)
        calories[:, day] = spent * device * (1 + rng.normal(0, 0.1, people))
        keeps = np.exp(-1 / 60)
        habit = keeps * habit + rng.normal(0, 150 * np.sqrt(1 - keeps**2), people)
    history = _history(weights, steps, calories, logs, np.full(people, total - 1))
    return Simulation(person, wanted, history, Truth(expenditure, adherence, true_weights), intakes)


def _history(weights, steps, calories, logs, last):
    known = [np.where(logs, values, np.nan) for values in (weights, steps, calories)]
    nothing = np.full(weights.shape, np.nan)
    return History(known[0], known[1], known[2], nothing, nothing, nothing, last)


class _Body:
    """Bodies in truth, hour by hour, in MJ."""

    def __init__(self, person, weight, expenditure, rng):
        people = len(weight)
        male, age, height = person.maleness == 1, person.age, person.height_cm / 100
        bmi = np.log(weight / height**2)
        share = np.where(male, 0.14 * age + 37.31 * bmi - 103.94, 0.14 * age + 39.96 * bmi - 102.01) / 100
        self.fat = weight * share
        fluid = np.where(male, 0.025 * age + 9.57 * height + 0.191 * weight - 12.4, -4 + 5.98 * height + 0.167 * weight)
        self.fluid = self.fluid0 = fluid
        self.glycogen = np.full(people, 0.5)
        self.lean = weight - self.fat - fluid - 3.7 * 0.5
        self.adapted = np.zeros(people)
        self.intake0 = expenditure * 4.184e-3
        rmr = (10 * weight + 6.25 * height * 100 - 5 * age + np.where(male, 5, -161)) * 4.184e-3
        self.delta = (0.9 * self.intake0 - rmr) / weight
        self.fixed = self.intake0 - 0.013 * self.fat - 0.092 * self.lean - self.delta * weight
        # People differ from the averages.
        self.adapts = 0.14 * rng.uniform(0.5, 1.5, people)
        self.digests = 0.1 * rng.uniform(0.8, 1.2, people)
        self.fat_energy = 39.5 * rng.normal(1, 0.03, people)
        self.forbes = 10.4 * rng.uniform(0.7, 1.3, people)
        self.walks = 0.72 * rng.uniform(0.6, 1.4, people) * 0.5 * 0.414 * height / 1e3 * 4.184e-3
        self.carbohydrate = rng.uniform(0.4, 0.6, people)

    def weight(self):
        return self.fat + self.lean + self.fluid + 3.7 * self.glycogen

    def live(self, intake_kcal, added_steps):
        """One day; returns the expenditure in kcal."""
        intake, dt, spent = np.maximum(intake_kcal, 200) * 4.184e-3, 1 / HOURS, 0.0
        for _ in range(HOURS):
            change = intake - self.intake0
            eaten, usual = self.carbohydrate * intake, self.carbohydrate * self.intake0
            glycogen = (eaten - usual * (self.glycogen / 0.5) ** 2) / 17.6
            fluid = (-3_000 * (self.fluid - self.fluid0) - 4_000 * (1 - eaten / usual)) / 3_220
            forbes = self.forbes * 7.6 / 39.5
            lean_share = forbes / (forbes + self.fat)
            cost = lean_share * 0.96 / 7.6 + (1 - lean_share) * 0.75 / self.fat_energy
            needs = self.fixed + 0.013 * self.fat + 0.092 * self.lean
            needs = needs + (self.delta + self.walks * added_steps) * self.weight()
            needs = needs + self.digests * change + self.adapted
            stored = (intake - 17.6 * glycogen - needs) / (1 + cost)
            spent = spent + (needs + cost * stored) * dt
            self.adapted = self.adapted + (self.adapts * change - self.adapted) / 14 * dt
            self.fat = np.maximum(self.fat + (1 - lean_share) * stored / self.fat_energy * dt, 1)
            self.lean = self.lean + lean_share * stored / 7.6 * dt
            self.glycogen, self.fluid = self.glycogen + glycogen * dt, self.fluid + fluid * dt
        return spent / 4.184e-3
