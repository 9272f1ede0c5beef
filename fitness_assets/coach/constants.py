"""Every number that the coach relies on, with its unit and its source. Model, plan, page and docs use the same ones.

A `Constant` is a float with its source. ``docs/coach.md`` contains the table that `page` makes.
"""

from collections.abc import Iterator

_KCAL_PER_MJ = 1_000 / 4.184
_HALL = "Hall et al., Lancet 2011;378:826, web appendix"
_DIET = "Jensen et al., Circulation 2014;129:S102 (AHA/ACC/TOS guideline)"
_CHOICE = "Our choice"
_GAIN = "Iraki et al., Sports 2019;7:154"
_STEPS = "Paluch et al., Lancet Public Health 2022;7:e219"
_CADENCE = "Tudor-Locke et al., Br J Sports Med 2018;52:776"


class Constant(float):
    """A number with its unit, meaning and source."""

    unit: str
    meaning: str
    source: str

    def __new__(cls, value: float, unit: str, meaning: str, source: str) -> "Constant":
        """Make one."""
        made = super().__new__(cls, value)
        made.unit, made.meaning, made.source = unit, meaning, source
        return made


# Energy balance
FAT_DENSITY = Constant(39.5 * _KCAL_PER_MJ, "kcal/kg", "Energy in body fat (39.5 MJ/kg)", _HALL)
LEAN_DENSITY = Constant(7.6 * _KCAL_PER_MJ, "kcal/kg", "Energy in lean tissue (7.6 MJ/kg)", _HALL)
GLYCOGEN_DENSITY = Constant(17.6 * _KCAL_PER_MJ, "kcal/kg", "Energy in glycogen (17.6 MJ/kg)", _HALL)
FAT_UPKEEP = Constant(0.013 * _KCAL_PER_MJ, "kcal/kg/d", "Resting expenditure of fat (13 kJ/kg/d)", _HALL)
LEAN_UPKEEP = Constant(0.092 * _KCAL_PER_MJ, "kcal/kg/d", "Resting expenditure of lean tissue (92 kJ/kg/d)", _HALL)
FAT_COST = Constant(0.75 * _KCAL_PER_MJ, "kcal/kg", "Cost of storing fat (750 kJ/kg)", _HALL)
LEAN_COST = Constant(0.96 * _KCAL_PER_MJ, "kcal/kg", "Cost of building lean tissue (960 kJ/kg)", _HALL)
FORBES = Constant(10.4, "kg", "How the share of lean tissue in a change falls with body fat", _HALL)
FOOD_EFFECT = Constant(0.10, "share", "Share of a change of intake that is spent on digesting it", _HALL)
ADAPTATION = Constant(0.14, "share", "Share of a change of intake by which expenditure adapts", _HALL)
ADAPTATION_DAYS = Constant(14, "d", "Time constant of that adaptation", _HALL)
GLYCOGEN = Constant(0.5, "kg", "Glycogen of a body in balance", _HALL)
GLYCOGEN_WATER = Constant(2.7, "kg/kg", "Water stored with glycogen", _HALL)
SODIUM = Constant(3_220, "mg/L", "Sodium in extracellular fluid", _HALL)
SODIUM_LOSS = Constant(3_000, "mg/L/d", "Sodium excreted for each litre of extracellular fluid above its norm", _HALL)
SODIUM_CARBOHYDRATE = Constant(4_000, "mg/d", "Sodium excreted if carbohydrate intake falls to zero", _HALL)
CARBOHYDRATE = Constant(0.5, "share", "Share of carbohydrate in the energy intake", "Default of the R package bw 1.0")

# Expenditure
SEDENTARY = Constant(
    1.40,
    "ratio",
    "Total to basal expenditure of a person who does not walk",
    "FAO/WHO/UNU 2001, chapter 5, lower end of sedentary",
)
WALKING = Constant(
    0.5,
    "kcal/kg/km",
    "Net cost of walking (0.1 mL O2 for each kg and metre, 5 kcal for each L)",
    "ACSM, Guidelines for Exercise Testing, walking equation",
)
STEP_LENGTH = Constant(
    0.414, "share of height", "Length of a step", "Mean of 0.413 (women) and 0.415 (men), as pedometers use"
)
COUNTED_ACTIVITY = Constant(
    0.72,
    "share",
    "Share of added activity that adds to the total; the rest is compensated",
    "Careau et al., Curr Biol 2021;31:4659",
)
FORMULA_SD = Constant(
    0.08,
    "share",
    "Spread of people around the formula for total expenditure",
    "IOM 2005: standard error 199 kcal (men), 162 kcal (women), about 7 %; more, as activity is known by steps only",
)
DEVICE_SD = Constant(
    0.08,
    "share",
    "Spread of people in the lasting error of calories_burned",
    "Assumed; Murakami et al., JAMA Intern Med 2016;176:702 found errors of this size and larger for 12 devices",
)
DEVICE_DAY_SD = Constant(0.15, "share", "Spread of days in calories_burned", _CHOICE)

# Weighing, habits, adherence
SCALE_SD = Constant(
    0.6,
    "kg",
    "Spread of a person's weights around the body weight, by water, food and scale, until their own is known",
    "Our choice; less at fixed hours of the day: Robinson and Watson, Br J Nutr 1965;19:225",
)
INTAKE_DAY_SD = Constant(
    0.24, "share", "Spread of a person's intake from day to day", "Tarasuk and Beaton, Am J Clin Nutr 1991;54:464"
)
HABIT_SD = Constant(
    150,
    "kcal/d",
    "Spread of people in what they habitually eat above or below their expenditure",
    _CHOICE + ": 0.5 kg a month",
)
HABIT_DAYS = Constant(60, "d", "Time constant with which that habit changes", _CHOICE)
ADHERENCE = Constant(
    0.70,
    "share",
    "Share of a planned change that people carry out",
    "Rickman et al., Contemp Clin Trials 2011;32:874 and Ravussin et al., J Gerontol A 2015;70:1097: "
    "0.8 in the first half year, 0.5 later",
)
ADHERENCE_SD = Constant(0.175, "share", "Spread of people in adherence: 0.4 to 1.0, all alike likely", _CHOICE)
ADHERENCE_DAY_SD = Constant(0.01, "share", "How much adherence drifts in a day", _CHOICE)
STEPS_DAY_SD = Constant(1_000, "steps", "Spread of a person's steps from day to day, if theirs is not larger", _CHOICE)
OUTLIER = Constant(2.5, "standard deviations", "Beyond this a weight counts less", _CHOICE)

# Guardrails
ADULT = Constant(18, "years", "No plan below this age: the equations are for adults", _HALL)
LOWEST_BMI = Constant(18.5, "kg/m²", "No plan at or towards a lower BMI", "WHO Technical Report 894, 2000: underweight")
FASTEST_LOSS = Constant(
    0.01,
    "of body weight a week",
    "No plan loses faster",
    "Garthe et al., Int J Sport Nutr Exerc Metab 2011;21:97: losses of lean tissue; NHS and CDC: 0.5 to 1 kg a week",
)
LOWEST_INTAKE_WOMEN = Constant(1_200, "kcal/d", "No plan has a lower intake for women", _DIET)
LOWEST_INTAKE_MEN = Constant(1_500, "kcal/d", "No plan has a lower intake for men or unknown sex", _DIET)
LARGEST_DEFICIT = Constant(1_000, "kcal/d", "Largest planned gap between expenditure and intake", "NIH 98-4083, 1998")

# Plans
USUAL_LOSS = Constant(0.005, "of body weight a week", "Pace of a loss if none is stated", "Half of the fastest")
USUAL_GAIN = Constant(0.0025, "of body weight a week", "Pace of a gain if none is stated", _GAIN)
WALKING_STEPS_A_MINUTE = Constant(100, "steps/min", "Steps in a minute of moderate walking", _CADENCE)
ENOUGH_STEPS = Constant(8_000, "steps", "Steps beyond which more add little", _STEPS)
ENOUGH_SLEEP = Constant(7, "h", "Sleep that adults need at least", "Watson et al., Sleep 2015;38:843")
LONG_SLEEP = Constant(9, "h", "No plan recommends more, unless the goal does", "Watson et al., Sleep 2015;38:843")
REACHED_KG = Constant(0.5, "kg", "A target weight that is so near is reached", _CHOICE)
STEPS_A_WEEK = Constant(500, "steps", "By how much recommended steps grow in a week", _CHOICE)
SLEEP_A_WEEK = Constant(0.25, "h", "By how much recommended sleep changes in a week", _CHOICE)
INTAKE_RANGE = Constant(100, "kcal", "Half width of the recommended range of intake", _CHOICE)
INTAKE_CHANGE = Constant(100, "kcal", "By how much a weekly review changes the intake at most", _CHOICE)
SMALL_CHANGE = Constant(50, "kcal", "A review changes nothing if the change would be smaller", _CHOICE)


def table() -> Iterator[tuple[str, Constant]]:
    """All constants by name, in the order of this module."""
    return ((name, value) for name, value in globals().items() if isinstance(value, Constant))


def page() -> Iterator[str]:
    """The lines of the table in ``docs/coach.md``."""
    yield "| constant | value | source |"
    yield "|---|---|---|"
    for _, value in table():
        number = f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
        yield f"| {value.meaning} | {number} {value.unit} | {value.source} |"
