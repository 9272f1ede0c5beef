"""The energy-balance model beside published values and an implementation that others wrote."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fitness_assets.coach import constants as c
from fitness_assets.coach.energy import Body, Person, total_kcal
from fitness_assets.sample.realistic import KCAL_OF_KG

OTHERS = [
    ((90, 180, 40, 1), 2748.45, -500, {1: 89.694, 7: 89.199, 30: 87.983, 90: 85.204, 180: 81.644, 365: 76.238}),
    ((76, 173, 36, 1), 2502.555, -250, {1: 75.836, 7: 75.566, 30: 74.914, 90: 73.458, 180: 71.668, 365: 69.133}),
    ((65, 165, 30, 0), 2058.0, -400, {1: 64.700, 7: 64.239, 30: 63.225, 90: 60.933, 180: 58.060, 365: 53.870}),
    ((110, 168, 55, 0), 2575.95, -750, {1: 109.526, 7: 108.829, 30: 107.240, 90: 103.501, 180: 98.434, 365: 89.747}),
    ((60, 175, 25, 1), 2362.725, 300, {1: 60.213, 7: 60.615, 30: 61.616, 90: 63.596, 180: 65.644, 365: 67.986}),
]
"""Weight (kg), height (cm), age, male; kcal in balance; change of intake; weight by day. From the R package bw 1.0 of
Mexico's INSP (Camacho and Zepeda), which implements the same paper, by its Python build hallmodel 2026.10.21.16."""


def person(*people: tuple[float, float, float]) -> Person:
    """People of height, age and maleness."""
    return Person(*np.array(people, float).T)


def weights(who: Person, weight, balance, change, days: int, added_activity: Any = 0.0) -> np.ndarray:
    """Weights by day, shape (days + 1, people)."""
    body = Body.in_balance(who, np.asarray(weight, float), np.asarray(balance, float))
    course = [body.weight_kg]
    for _ in range(days):
        body = body.next_day(body.balance_kcal + change, added_activity)
        course.append(body.weight_kg)
    return np.array(course)


@pytest.mark.parametrize(("who", "balance", "change", "expected"), OTHERS)
def test_weights_are_those_of_another_implementation(who, balance, change, expected):
    course = weights(person(who[1:]), [who[0]], [balance], change, 365)[:, 0]
    # The other one has 9.99 and 4.92 where Mifflin's short form has 10 and 5, and solves the days by Runge and Kutta.
    assert {day: course[day] for day in expected} == pytest.approx(expected, abs=0.04)


def test_the_published_rule_of_thumb_holds_for_overweight_adults():
    """Hall et al. 2011: 100 kJ a day change weight by about 1 kg in the end, half of it in a year, 95 % in three."""
    who = person((176, 45, 1), (162, 45, 0))
    balance = 1.6 * who.resting_kcal(np.array([90.0, 77.0]))  # activity as in the paper's average adult
    lost = -np.diff(weights(who, [90, 77], balance, -100 / 4.184, 40 * 365)[[0, 365, 3 * 365, -1]], axis=0).cumsum(0)
    assert lost[-1] == pytest.approx([1, 1], abs=0.2)
    assert lost[0] / lost[-1] == pytest.approx([0.5, 0.5], abs=0.12)
    assert lost[1] / lost[-1] == pytest.approx([0.95, 0.95], abs=0.1)


def test_more_body_fat_means_more_loss_for_the_same_change():
    """Hall et al. 2011, figure 3: adults with greater adiposity lose more and take longer to reach the new weight."""
    who = person((170, 40, 0), (170, 40, 0))
    course = weights(who, [65, 110], [2_100, 2_700], -300, 10 * 365)
    lost = course[0] - course
    assert lost[-1, 1] > lost[-1, 0]
    assert lost[365, 1] / lost[-1, 1] < lost[365, 0] / lost[-1, 0]


def test_nothing_changes_in_balance():
    who = person((180, 40, 1))
    assert weights(who, [90], [2_700], 0, 365)[-1] == pytest.approx([90], abs=1e-9)


def test_the_first_days_lose_water_and_the_static_rule_misses_it():
    course = weights(person((180, 40, 1)), [90], [2_700], -500, 365)[:, 0]
    static = 90 - 500 * np.arange(366) / KCAL_OF_KG
    assert course[7] < static[7] - 0.3
    assert course[365] > static[365] + 8


def test_the_bodies_keep_their_energy():
    """What is eaten is spent or stored: fat, lean tissue and glycogen hold the difference."""
    who = person((180, 40, 1))
    body = Body.in_balance(who, np.array([90.0]), np.array([2_700.0]))
    after = body.next_day(np.array([2_000.0]))
    stored = c.FAT_DENSITY * (after.fat - body.fat) + c.LEAN_DENSITY * (after.lean - body.lean)
    stored += c.GLYCOGEN_DENSITY * (after.glycogen - body.glycogen)
    spent = 2_000 - stored[0]
    assert 2_500 < spent < 2_700


def test_people_do_not_mix():
    both = weights(person((180, 40, 1), (165, 30, 0)), [90, 65], [2_700, 2_050], -300, 90)
    alone = weights(person((165, 30, 0)), [65], [2_050], -300, 90)
    assert both[:, 1] == pytest.approx(alone[:, 0])


def test_walking_more_costs_what_walking_costs_less_what_the_body_compensates():
    who = person((180, 40, 1))
    kcal = 1_000 * 90 * who.step_kcal_per_kg()[0]
    kilometres = 1_000 * 1.8 * c.STEP_LENGTH / 1_000
    assert kcal == pytest.approx(0.72 * 0.5 * 90 * kilometres)
    assert weights(who, [90], [2_700], 0, 30, 5_000 * who.step_kcal_per_kg())[-1] < 90 - 0.3


def test_the_formula_gives_usual_physical_activity_levels():
    """FAO/WHO/UNU 2001: 1.40 to 1.69 for sedentary, 1.70 to 1.99 for active people."""
    who = person((178, 40, 1))
    levels = [
        total_kcal(who, np.array([80.0]), np.array([s]))[0] / who.resting_kcal(np.array([80.0]))[0]
        for s in (3_000.0, 8_000.0, 15_000.0)
    ]
    assert levels[0] < levels[1] < levels[2]
    assert 1.4 < levels[0] < 1.5
    assert 1.5 < levels[1] < 1.7
    assert 1.65 < levels[2] < 1.8


def test_a_person_of_unknown_sex_is_between_both():
    weight = np.full(3, 80.0)
    who = Person(np.full(3, 172.0), np.full(3, 40.0), np.array([0, 0.5, 1]))
    for value in (who.resting_kcal(weight), who.fat_kg(weight), who.fluid_kg(weight)):
        assert value[1] == pytest.approx((value[0] + value[2]) / 2)


def test_starvation_and_gluttony_stay_numbers():
    who = person((180, 40, 1), (150, 90, 0))
    for change in (-2_699, 5_000):
        course = weights(who, [90, 40], [2_700, 2_700], change, 365)
        assert np.isfinite(course).all()
        assert (course > 0).all()


def test_every_constant_has_a_source():
    found = dict(c.table())
    assert len(found) == 51
    assert all(value.unit and value.meaning and value.source for value in found.values())


def test_the_page_for_readers_has_the_constants_that_the_code_uses(root):
    assert "\n".join(c.page()) in (root / "docs" / "coach.md").read_text(), "write the table of `constants.page` again"


def test_maintenance_is_the_intake_that_keeps_a_body():
    who = person((180, 40, 1))
    body = Body.in_balance(who, np.array([90.0]), np.array([2_700.0]))
    assert body.maintenance_kcal() == pytest.approx([2_700])
    lighter = replace(body, fat=body.fat - 5)
    assert 2_500 < lighter.maintenance_kcal()[0] < 2_700 - 5 * c.FAT_UPKEEP
