"""The energy-balance model of Hall et al. (Lancet 2011;378:826), one row of an array for each person.

The equations are those of the paper's web appendix, which the NIH Body Weight Planner solves: a change of intake or
activity moves glycogen and extracellular fluid within days, and fat and lean tissue over months, while expenditure
adapts. A step is one day. Within it the fast parts (fluid, glycogen, adaptation) are solved exactly; fat and lean
tissue change so slowly that their rates at the start of the day hold for the whole day.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fitness_assets.coach import constants as c

Floats = NDArray[np.float64]

_FORBES_RATIO = c.FORBES * c.LEAN_DENSITY / c.FAT_DENSITY
_LITRE = 1.0  # of extracellular fluid weighs so many kg


@dataclass(frozen=True)
class Person:
    """The people who are simulated; each attribute has the shape (people,).

    Attributes:
        height_cm: height.
        age: in years.
        maleness: 1 for men, 0 for women, 0.5 where the sex is not known.
    """

    height_cm: Floats
    age: Floats
    maleness: Floats

    def resting_kcal(self, weight_kg: Floats) -> Floats:
        """Basal need in kcal a day, by Mifflin et al. (Am J Clin Nutr 1990;51:241), as silver's column ``bmr``."""
        return 10 * weight_kg + 6.25 * self.height_cm - 5 * self.age + 166 * self.maleness - 161

    def fat_kg(self, weight_kg: Floats) -> Floats:
        """Body fat by age, sex and BMI (Jackson et al., Int J Obes 2002;26:789); 3 to 60 % of the weight."""
        bmi = np.log(weight_kg / (self.height_cm / 100) ** 2)
        men, women = 0.14 * self.age + 37.31 * bmi - 103.94, 0.14 * self.age + 39.96 * bmi - 102.01
        return weight_kg * np.clip(self._mix(men, women) / 100, 0.03, 0.6)

    def fluid_kg(self, weight_kg: Floats) -> Floats:
        """Extracellular fluid (Silva et al., Physiol Meas 2007;28:489)."""
        height = self.height_cm / 100
        men = 0.025 * self.age + 9.57 * height + 0.191 * weight_kg - 12.4
        return self._mix(men, 5.98 * height + 0.167 * weight_kg - 4)

    def step_kcal_per_kg(self) -> Floats:
        """What one more step a day adds to the day's expenditure, kcal for each kg of body weight."""
        return c.COUNTED_ACTIVITY * c.WALKING * c.STEP_LENGTH * self.height_cm / 100_000

    def _mix(self, men: Floats, women: Floats) -> Floats:
        return self.maleness * men + (1 - self.maleness) * women


@dataclass
class Body:
    """The bodies of people on one day, and what keeps them in balance; each attribute has the shape (people,).

    Attributes:
        fat: kg of fat.
        lean: kg of lean tissue, without glycogen and extracellular fluid.
        glycogen: kg.
        fluid: kg of extracellular fluid.
        adaptation: by how much expenditure has adapted, kcal a day.
        balance_kcal: intake that keeps the first weight.
        balance_fluid: kg of extracellular fluid at that intake.
        activity: expenditure for activity at the start, kcal a day for each kg.
        fixed: expenditure that does not depend on the body, kcal a day.
    """

    fat: Floats
    lean: Floats
    glycogen: Floats
    fluid: Floats
    adaptation: Floats
    balance_kcal: Floats
    balance_fluid: Floats
    activity: Floats
    fixed: Floats

    @classmethod
    def in_balance(cls, person: Person, weight_kg: Floats, expenditure_kcal: Floats) -> "Body":
        """Bodies that keep their weight.

        Args:
            person: whose bodies.
            weight_kg: body weight.
            expenditure_kcal: total expenditure, which equals intake.
        """
        fat, fluid = person.fat_kg(weight_kg), person.fluid_kg(weight_kg)
        lean = weight_kg - fat - fluid - (1 + c.GLYCOGEN_WATER) * c.GLYCOGEN
        resting = person.resting_kcal(weight_kg)
        activity = ((1 - c.FOOD_EFFECT) * expenditure_kcal - resting) / weight_kg
        fixed = expenditure_kcal - c.LEAN_UPKEEP * lean - c.FAT_UPKEEP * fat - activity * weight_kg
        glycogen, none = np.full_like(weight_kg, c.GLYCOGEN), np.zeros_like(weight_kg)
        return cls(fat, lean, glycogen, fluid, none, expenditure_kcal, fluid, activity, fixed)

    @property
    def weight_kg(self) -> Floats:
        """Body weight."""
        return self.fat + self.lean + self.fluid + (1 + c.GLYCOGEN_WATER) * self.glycogen

    @property
    def lean_share(self) -> Floats:
        """Share of stored energy that goes into lean tissue (Forbes, Ann N Y Acad Sci 2000;904:359)."""
        return _FORBES_RATIO / (_FORBES_RATIO + self.fat)

    @property
    def storing_cost(self) -> Floats:
        """What storing one kcal costs, in kcal."""
        return self.lean_share * c.LEAN_COST / c.LEAN_DENSITY + (1 - self.lean_share) * c.FAT_COST / c.FAT_DENSITY

    @property
    def kcal_per_kg(self) -> Floats:
        """Surplus or deficit that changes the tissue by one kg, kcal."""
        kg_per_kcal = self.lean_share / c.LEAN_DENSITY + (1 - self.lean_share) / c.FAT_DENSITY
        return (1 + self.storing_cost) / kg_per_kcal

    def maintenance_kcal(self) -> Floats:
        """The intake that would keep the present tissue once everything has adapted to it, kcal a day."""
        return self._resting() + self.activity * self.weight_kg

    def _resting(self) -> Floats:
        return self.fixed + c.FAT_UPKEEP * self.fat + c.LEAN_UPKEEP * self.lean

    def next_day(self, intake_kcal: Floats, added_activity: Floats | float = 0.0) -> "Body":
        """The bodies after one day.

        Args:
            intake_kcal: energy eaten on the day.
            added_activity: expenditure for activity beyond that at the start, kcal a day for each kg of body weight.
        """
        change = intake_kcal - self.balance_kcal
        carbohydrate = c.CARBOHYDRATE * intake_kcal / (c.CARBOHYDRATE * self.balance_kcal)  # 1 in balance
        # dGlycogen/dt = (intake - k glycogen²) / density, solved for constant intake.
        level = c.GLYCOGEN * np.sqrt(carbohydrate)
        rate = c.CARBOHYDRATE * self.balance_kcal / (c.GLYCOGEN_DENSITY * c.GLYCOGEN)
        moved = np.tanh(rate * np.sqrt(carbohydrate))
        glycogen = level * (self.glycogen + level * moved) / (level + self.glycogen * moved)
        fluid_level = self.balance_fluid - c.SODIUM_CARBOHYDRATE / c.SODIUM_LOSS * (1 - carbohydrate) * _LITRE
        fluid = fluid_level + (self.fluid - fluid_level) * np.exp(-c.SODIUM_LOSS / c.SODIUM)
        level = c.ADAPTATION * change
        adaptation = level + (self.adaptation - level) * np.exp(-1 / c.ADAPTATION_DAYS)
        eaten = intake_kcal - c.GLYCOGEN_DENSITY * (glycogen - self.glycogen)
        spent = self._resting() + (self.activity + added_activity) * self.weight_kg
        spent = spent + c.FOOD_EFFECT * change + (self.adaptation + adaptation) / 2
        stored = (eaten - spent) / (1 + self.storing_cost)
        return Body(
            np.maximum(self.fat + (1 - self.lean_share) * stored / c.FAT_DENSITY, 0.1),
            np.maximum(self.lean + self.lean_share * stored / c.LEAN_DENSITY, 1.0),
            glycogen,
            fluid,
            adaptation,
            self.balance_kcal,
            self.balance_fluid,
            self.activity,
            self.fixed,
        )


def total_kcal(person: Person, weight_kg: Floats, steps: Floats) -> Floats:
    """Total expenditure as a formula gives it, before anything is known of the person's own, kcal a day.

    Basal need times the ratio of a sedentary person, and the net cost of walking with the food that pays for it.
    """
    walked = c.WALKING * c.STEP_LENGTH * person.height_cm / 100_000 * steps * weight_kg
    return c.SEDENTARY * person.resting_kcal(weight_kg) + walked / (1 - c.FOOD_EFFECT)
