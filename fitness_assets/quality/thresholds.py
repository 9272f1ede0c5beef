"""Every diagnostic: its thresholds, where they come from, why it matters and what to do. Nothing is computed here."""

from fitness_assets.quality.bounds import Bound, Diagnostic

FITBIT_BETWEEN = {"steps": 0.45, "sleep_hours": 0.36, "calories_burned": 0.70, "exercise_minutes": 0.47}
"""Share of variance between people in the Fitbit data."""
FITBIT_DAY_TO_DAY = {"steps": 0.13, "sleep_hours": 0.03, "calories_burned": 0.15, "exercise_minutes": 0.17}
"""Correlation with the day before, within people, in the Fitbit data; by 33 people (sleep: 19), so none is exact."""
FITBIT_LINKS = {"calories_burned ~ steps": 0.81, "exercise_minutes ~ steps": 0.73, "sleep_hours ~ steps": -0.25}
"""Correlations within people in the Fitbit data."""

REAL_DIFFERENCES: dict[str, tuple[float | None, str]] = {
    "steps": (3_600, "33 people with Fitbit wristbands, 2016"),
    "heart_rate_avg": (8.7, "resting heart rate of 92,457 adults: Quer et al., PLoS ONE 2020;15:e0227709"),
    "sleep_hours": (1.15, "22 people with Fitbit wristbands, 2016"),
    "calories_burned": (665, "33 people with Fitbit wristbands, 2016"),
    "exercise_minutes": (34, "33 people with Fitbit wristbands, 2016"),
    "stress_level": (None, "each survey asks in its own way, so there is no figure to compare with"),
    "weight_kg": (19, "8 people with Fitbit scales, 2016"),
    "bmi": (4.2, "8 people with Fitbit scales, 2016"),
}
"""How far the usual values of two people are apart on average, as `measures.usual_difference` has it, and whose.

Where a source gives the standard deviation s between people (7.7 bpm), that is 2s/√π.
"""

FITBIT = "measured on the Fitbit data of Furberg et al. 2016 (33 people, 31 days, clean days only)"

LEAP_KG, LONG_GAP_DAYS = 5.0, 30
"""Above these a person is named for a change of weight in a day, or for a gap."""
ODD_HEIGHTS = 0.05
"""Above this share of days an upload is named for heights that no adult has."""

BETWEEN = Diagnostic(
    "people_differ",
    "Do people differ?",
    "people hardly differ",
    "share of variance",
    "People have habits and bodies of their own. Where nobody is more active, sleeps longer or has a higher pulse than "
    "anybody else over a month, the values were not measured on people.",
    f"A tenth of the least that was {FITBIT}: 0.36 (sleep) to 0.70 (calories). For heart rate: the people of Quer et "
    "al., PLoS ONE 2020;15:e0227709, each had a rate of their own.",
    "Ask where the values of {what} come from; compare no people with each other by them.",
    generated=Bound(low=0.036),
)
DAY_TO_DAY = Diagnostic(
    "day_to_day",
    "Does a day know the day before?",
    "a day is not like the day before",
    "correlation",
    "Habits, fitness and moods last longer than a day, so neighbouring days are alike. Where they are not, there is "
    "nothing that a forecast or a trend could be made of.",
    f"0.13 to 0.17 for steps, calories and exercise, {FITBIT}; a third of that. Heart rate is steadier than those "
    "(Quer et al., PLoS ONE 2020;15:e0227709).",
    "Draw no trends and no forecasts from {what}.",
    generated=Bound(low=0.05),
)
SLEEP_DAY_TO_DAY = Diagnostic(
    "day_to_day",
    DAY_TO_DAY.title,
    DAY_TO_DAY.fault,
    DAY_TO_DAY.unit,
    "How long somebody sleeps depends little on the night before, also in real data: a lack of sleep is made up for. "
    "So a night that knows nothing of the last one is odd, not impossible.",
    f"About 0 for sleep, {FITBIT}; an interval that stays within ±0.05 is too even to be people's.",
    DAY_TO_DAY.remedy,
    suspicious=Bound(low=0.05),
    either_sign=True,
)
WEIGHT_DAY_TO_DAY = Diagnostic(
    "day_to_day",
    DAY_TO_DAY.title,
    DAY_TO_DAY.fault,
    DAY_TO_DAY.unit,
    "A body gains and loses slowly. A weight that forgets yesterday's is not that of a body.",
    f"0.5 within a month, {FITBIT}, for the three people who weighed themselves daily; over a year it is higher. Less "
    "than half of it cannot be a body.",
    "Do not use weight or BMI over time: no 30-day change means anything.",
    generated=Bound(low=0.2),
)
WEEKEND = Diagnostic(
    "weekend_rhythm",
    "Do weekends differ?",
    "weekends are like other days",
    "standard deviations",
    "Work gives the week its rhythm: people sleep longer and move differently on days off, and weigh more after them.",
    "Roenneberg et al., Sleep Med Rev 2007;11:429 (sleep on free days); Orsama et al., Obes Facts 2014;7:36 (weight). "
    "A tenth of a standard deviation is half of what Cohen (1988) calls small.",
    "Compare no weekdays with each other by {what}.",
    suspicious=Bound(low=0.1),
    either_sign=True,
)
STRESS_LINK = Diagnostic(
    "link",
    "Does stress correlate with anything?",
    "stress correlates with nothing",
    "correlation",
    "Stress shortens sleep and short sleep adds to stress; it shows in heart rate and activity. Where the interval "
    "lies around zero, no link is a finding: this data cannot answer what stress does.",
    "Yap et al., Sleep 2020;43:zsz250 (stress and sleep, within people, both ways). Below 0.05 a quarter of a per cent "
    "of the variance would be shared.",
    "Do not ask this data what stress causes or follows from.",
    suspicious=Bound(low=0.05),
    either_sign=True,
)
OTHER_LINK = Diagnostic(
    "link",
    "Do other metrics go together?",
    "they do not go together",
    "correlation",
    "Exercise raises the heart rate, and what is walked is not slept. Metrics of one day on one body are linked.",
    f"−0.25 for sleep and steps, {FITBIT}; a fifth of its size.",
    "Treat each two of these as if they came from different people: {what}.",
    suspicious=Bound(low=0.05),
    either_sign=True,
)
MOVEMENT_LINK = Diagnostic(
    "link",
    "Does moving cost energy?",
    "who walks more does not burn or exercise more",
    "correlation",
    "Walking makes up most of exercise and of the energy that days differ by: who walks more burns more.",
    f"0.81 (calories and steps) and 0.73 (exercise and steps), {FITBIT}; less than a quarter cannot be one body.",
    "Use only one of each two of these, and ask which one was measured: {what}.",
    suspicious=Bound(low=0.2),
    generated=Bound(low=0.1),
)
BODY_LINK = Diagnostic(
    "calories_follow_body",
    "Do larger bodies burn more?",
    "larger bodies do not burn more",
    "correlation between people",
    "Most of a day's energy is the basal metabolic rate, which follows from weight, height, age and gender. Across "
    "people both must go together.",
    "PAL of adults is 1.4 to 2.4 (FAO/WHO/UNU, Human energy requirements, 2004) over a BMR (Mifflin et al., Am J Clin "
    "Nutr 1990;51:241) that differs by a factor of two between adults: the correlation of the two is then 0.5 or more.",
    "Do not use caloric_balance: its two sides know nothing of each other.",
    generated=Bound(low=0.2),
)
ENERGY_RANGE = Diagnostic(
    "impossible_energy",
    "Energy that no body spends",
    "bodies cannot spend this energy",
    "share of days",
    "Nobody spends less than the basal metabolic rate in a day, or four times as much.",
    "PAL of adults: 1.4 to 2.4, up to 4 on the hardest days (FAO/WHO/UNU, Human energy requirements, 2004; Westerterp, "
    "Front Physiol 2013;4:90). 5 % are left for days on which a device was taken off.",
    "Leave out days below the basal metabolic rate, or ask how calories were counted.",
    suspicious=Bound(high=0.05),
)
WEIGHT_DAY = Diagnostic(
    "weight_change_day",
    "Leaps of weight in a day",
    "it leaps from day to day",
    "share of days",
    "From one day to the next a body moves by water and food, some hundred grams. 2 kg every few days are another "
    "body.",
    f"Standard deviation 0.41 kg, largest 1.4 kg, {FITBIT}; 2 kg is almost five times the first.",
    "Do not use single weights; ask for the scale's own export.",
    suspicious=Bound(high=0.01),
    generated=Bound(high=0.1),
)
WEIGHT_WEEK = Diagnostic(
    "weight_change_week",
    "Leaps of weight in a week",
    "it leaps within a week",
    "share of days",
    "4 kg in a week would take some 4,400 kcal a day more or less than is spent.",
    "7,700 kcal for a kg of body weight (Wishnofsky, Am J Clin Nutr 1958;6:542).",
    "Do not use changes of weight over less than a month.",
    suspicious=Bound(high=0.01),
    generated=Bound(high=0.05),
)
WEIGHT_MONTH = Diagnostic(
    "weight_change_30d_clamped",
    "30-day changes at the clamp of ±5 kg",
    "many 30-day changes are beyond ±5 kg",
    "share of days",
    "weight_change_30d is clamped to ±5 kg. Where many days lie there, its averages are those of the clamp.",
    "More than 1 kg a week is beyond what a supervised diet aims at (NIH, Clinical Guidelines on Overweight and "
    "Obesity, 1998); 5 % are left for those who do.",
    "Use weight_change_30d_raw instead of weight_change_30d, and say how many days the clamp has cut.",
    suspicious=Bound(high=0.05),
)
SCALE_JUMP = Diagnostic(
    "scale_jump",
    "Largest leap of a scale",
    "single leaps of many kilograms",
    "kg in a day",
    "A single leap of many kilograms is another scale, another person on it, or another unit, and shifts all that "
    "follows.",
    f"1.4 kg was the largest {FITBIT}; 5 kg is more than water and food can be.",
    "Look at these people, and correct or cut their weights from that day on: {what}.",
    suspicious=Bound(high=LEAP_KG),
)
UNITS = Diagnostic(
    "implied_height",
    "Is weight in kg?",
    "some uploads seem to be in another unit than kg",
    "share of days",
    "Weight and BMI of one day imply a height. Where no adult has it, above 230 cm or below 120 cm, the weight is in "
    "pounds or another unit; BMR, caloric balance and every change of weight are then wrong, too.",
    "A weight in pounds that is read as kg makes a body look 1.48 times as tall; 5 % are left for rare bodies and "
    "typing errors. Each upload is judged on its own.",
    "Convert the weights of these uploads to kg and upload them again: {what}.",
    suspicious=Bound(high=ODD_HEIGHTS),
)
HEIGHT_CONSTANT = Diagnostic(
    "constant_height",
    "Does height stay the same?",
    "weight and BMI imply heights that change",
    "share of people",
    "Weight and BMI of one day imply a height, and adults do not grow. Where it moves, the two were not measured on "
    "one person.",
    f"At most 0.07 cm, {FITBIT}; a standard deviation of 2 cm is far beyond what rounding to 0.1 can do.",
    "Use either weight or BMI, and no height or BMR.",
    suspicious=Bound(high=0.05),
    generated=Bound(high=0.5),
)
EVEN_SCALE = Diagnostic(
    "even_ratings",
    "Is every rating as frequent as any other?",
    "every rating is as frequent as any other",
    "entropy, 1 is all alike",
    "People have their habits with a scale: some answers come often, the extremes seldom. All answers alike often is "
    "what a random number generator gives.",
    "Response styles: Baumgartner and Steenkamp, J Mark Res 2001;38:143. For 5,000 and more independent draws from "
    "1 to 10 the entropy is above 0.999; ratings of which one is half as frequent as the others are below 0.995.",
    "Ask how stress was asked, and whether anybody was.",
    generated=Bound(high=0.997),
)
ROUND = Diagnostic(
    "round_values",
    "Values rounded by hand",
    "many values are rounded by hand",
    "times chance",
    "Devices do not round to thousands. Many round values were typed in from memory.",
    f"Three times what evenly spread last digits give (Preece, Statistician 1981;30:31); {FITBIT}: 0 % of steps, 1 % "
    "of calories, 6 % of minutes.",
    "Treat {what} as self-reported.",
    suspicious=Bound(high=3.0),
)
ROUND_PEOPLE = Diagnostic(
    "round_people",
    "People who round",
    "some people round their values",
    "people",
    "Somebody half of whose values are round wrote them from memory, or has another source than the others.",
    ROUND.source,
    "Leave these people out of comparisons, or treat their values as self-reported: {what}.",
    suspicious=Bound(high=0),
)
FLAT = Diagnostic(
    "identical_stretch",
    "Values that stay",
    "some people have the same value day after day",
    "people",
    "The same value day after day is a sensor that hangs, or a gap that somebody filled.",
    "By the share of each person's days that equal the day before, fewer than 0.01 such stretches are to be expected "
    "in the whole file; at least 5 days.",
    "Treat these stretches as not measured: {what}.",
    suspicious=Bound(high=0),
)
COPIED = Diagnostic(
    "copied_days",
    "People who share days",
    "some people share their days with others",
    "pairs of people",
    "Two people whose steps, sleep, calories and all else agree on many days are one person, or one is a copy. Of more "
    "than two, two are named.",
    f"No two of 33 people share a single day, {FITBIT}.",
    "Leave out one of each two of these people and audit again: {what}.",
    suspicious=Bound(high=0),
)
IDENTITY = Diagnostic(
    "changing_identity",
    "People who change",
    "some people change age or gender",
    "people",
    "An age that falls or leaps, or a gender that changes, means that two people share an identifier.",
    "Age grows by one a year.",
    "Do not follow people over time whose age or gender changes: {what}.",
    suspicious=Bound(high=0),
)
COMPLETE = Diagnostic(
    "completeness",
    "Days logged",
    "many days are not logged",
    "share of days",
    "Whoever logs only good days looks better than they are. Averages over gaps are averages of those who kept on.",
    f"0.93, {FITBIT}; below 0.8 a week has more than one day without a log.",
    "Give days_logged beside every average, and leave out people with few days.",
    suspicious=Bound(low=0.8),
)
GAP = Diagnostic(
    "longest_gap",
    "Longest gap of a person",
    "some people have gaps of more than a month",
    "days",
    "Over a gap of months a person may have become another one, and 30-day features start anew.",
    "30 days: the look-back of every feature of silver.",
    "Treat these people before and after their gap as two people: {what}.",
    suspicious=Bound(high=LONG_GAP_DAYS),
)
EMPTY = Diagnostic(
    "empty_cells",
    "Days without this metric",
    "it is missing on most days",
    "share of days",
    "What is measured on few days is measured on special days.",
    f"92 % of days have no weight and 54 % no sleep {FITBIT}: few people wear or weigh at all. More than half is "
    "little.",
    "Say on how many days and people a figure on {what} rests.",
    suspicious=Bound(high=0.5),
)
QUARANTINED = Diagnostic(
    "quarantined",
    "Rows that could not be read",
    "many rows could not be read",
    "share of rows",
    "Rows in quarantine are in no other table. If they are many, an export went wrong.",
    "1 %: ten times what typing errors leave (bronze/quarantine names every reason).",
    "Correct the export and upload it again: {what}.",
    suspicious=Bound(high=0.01),
)
REJECTED = Diagnostic(
    "rejected",
    "Rows left out by a rule",
    "a rule leaves many rows out",
    "share of rows",
    "Each rule removes days, and never at random: a rule that removes many shapes what is left.",
    "2 %: above that, averages move by more than rounding does. Of the Fitbit days 8 % have zero steps: not worn.",
    "Look into silver/rejected_days for the people whose rows these rules left out: {what}.",
    suspicious=Bound(high=0.02),
)
DRIFT = Diagnostic(
    "drift",
    "Change between uploads",
    "an upload is far from those before",
    "standard deviations",
    "An upload whose mean is far from all before it has other people, another device or another unit.",
    "Cohen (1988): 0.5 is a medium effect, which no season has on the mean of many people.",
    "Compare no days across uploads before the cause is known: {what}.",
    suspicious=Bound(high=0.5),
)
MONTHS = Diagnostic(
    "month_drift",
    "Change between months",
    "a month is far from the others",
    "share of the mean",
    "A month whose average over all people is far from the year's is a change of device, unit or people.",
    "People walk less in winter than in summer (Tudor-Locke et al., Ann Behav Med 2004;28:158); almost a third of the "
    "mean is more than the weather.",
    "Compare no months by {what} before the cause is known.",
    suspicious=Bound(high=0.3),
)
