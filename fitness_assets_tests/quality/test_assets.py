"""The audit: what it says of real days, of generated ones, of simulated people, and of faults planted in them."""

import pandas as pd
import pytest

from fitness_assets import sample as make_sample
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.lake.local import LocalStore
from fitness_assets.quality import thresholds
from fitness_assets.quality.bounds import FALSE_ALARMS, NOT_SIMULATED, Bound, Diagnostic
from fitness_assets.quality.diagnostics import diagnose
from fitness_assets.quality.measures import Collected, Estimate, collect
from fitness_assets.quality.sums import ROUND_TO
from fitness_assets.quality.tables import LOOKS_GENERATED, METRICS, NOT_ENOUGH_DATA, PLAUSIBLE, SUSPICIOUS
from fitness_assets.quality.transforms import aggregates
from fitness_assets.quality.verdicts import actions, rows, verdicts
from fitness_assets_tests import devices, people

ALL = {id(found): found for found in vars(thresholds).values() if isinstance(found, Diagnostic)}.values()


@pytest.fixture(scope="module")
def findings(spark, tmp_path_factory):
    """What the audit finds in raw days."""

    def find(days: pd.DataFrame, quarantined: int = 0):
        folder = tmp_path_factory.mktemp("audit")
        held = people.tables(spark, days, folder / "tables", quarantined)
        with reader(LocalStore(folder), [], held) as tables:
            return diagnose(collect(tables, lambda: aggregates(tables), held[UPLOADS.key].to_pylist()))

    return find


@pytest.fixture(scope="module")
def plausible(findings):
    return findings(people.plausible())


@pytest.fixture(scope="module")
def planted(findings):
    return findings(people.with_planted_faults(people.plausible()))


@pytest.fixture(scope="module")
def careless(findings):
    return findings(people.careless(people.plausible()), quarantined=60)


@pytest.fixture(scope="module")
def generated(findings, tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "sample.csv"
    make_sample.main(["--users", "300", "--days", "60", "--seed", "2", "--out", str(out)], standalone_mode=False)
    return findings(as_numbers(pd.read_csv(out, dtype={"user_id": str})))


@pytest.fixture(scope="module")
def real(findings, root):
    days = pd.read_csv(
        root / "fitness_assets_tests" / "data" / "fitbit_days.csv", dtype={"user_id": str}, parse_dates=["date"]
    )
    return findings(days.assign(sleep_hours=days.sleep_minutes / 60).drop(columns="sleep_minutes"))


def as_numbers(days: pd.DataFrame) -> pd.DataFrame:
    """A sample without the rows that bronze would quarantine for their steps, and without cells that are no numbers."""
    numbers = [name for name in days.columns if name not in ("user_id", "date", "gender")]
    days[numbers] = days[numbers].apply(pd.to_numeric, errors="coerce")
    return days[days.steps.notna()].assign(date=lambda d: pd.to_datetime(d.date))


def found_in(findings, name, scope):
    return next(f for f in findings if (f.diagnostic.name, f.scope) == (name, scope))


def verdict_of(findings):
    return {verdict.scope: verdict.verdict for verdict in verdicts(findings)}


def test_the_sample_looks_generated_and_says_why(findings, root):
    days = pd.read_csv(root / "data" / "raw" / "sample.csv", dtype={"user_id": str})
    found = findings(as_numbers(days))
    assert verdict_of(found)["file"] == LOOKS_GENERATED
    reasons = {(f.diagnostic.name, f.scope) for f in found if f.verdict == LOOKS_GENERATED}
    assert {
        ("people_differ", "stress_level"),
        ("day_to_day", "weight_kg"),
        ("weight_change_day", "weight_kg"),
    } < reasons
    assert ("link", "calories_burned ~ steps") in reasons


def test_the_sample_generator_is_found_in_every_metric_that_can_tell(generated):
    said = verdict_of(generated)
    assert {name for name, verdict in said.items() if verdict == LOOKS_GENERATED} == {"file", *METRICS} - {"bmi"}


def test_the_realistic_sample_is_plausible_and_loses_no_day(findings, tmp_path):
    out = tmp_path / "people.csv"
    command = ["--realistic", "--users", "25", "--days", "120", "--out", str(out)]
    make_sample.main(command, standalone_mode=False)
    found = findings(as_numbers(pd.read_csv(out, dtype={"user_id": str})))
    assert [f.scope for f in found if f.diagnostic.name == "rejected"] == []
    said = verdict_of(found)
    assert LOOKS_GENERATED not in said.values()
    assert {name for name, verdict in said.items() if verdict == PLAUSIBLE} >= {
        "sleep_hours",
        "stress_level",
        "weight_kg",
    }


@pytest.mark.parametrize(("number", "name"), [*enumerate(devices.COHORTS)], ids=[*devices.COHORTS])
def test_a_cohort_with_realistic_devices_raises_no_alarm(findings, number, name):
    found = findings(devices.cohort(devices.COHORTS[name], 100 + number))
    metrics = {scope: verdict for scope, verdict in verdict_of(found).items() if scope in METRICS}
    assert LOOKS_GENERATED not in metrics.values()
    assert list(metrics.values()).count(SUSPICIOUS) <= 1
    assert verdict_of(found)["file"] in (PLAUSIBLE, SUSPICIOUS)
    assert {f.diagnostic.name for f in found if f.metric is None and f.verdict == SUSPICIOUS} == set()
    # What the report says of false alarms on 120 such cohorts.
    assert {f.diagnostic.name for f in found if f.verdict in (SUSPICIOUS, LOOKS_GENERATED)} <= set(FALSE_ALARMS)
    judged = {f.diagnostic.name for f in found if f.verdict != NOT_ENOUGH_DATA}
    assert judged | NOT_SIMULATED == {diagnostic.name for diagnostic in ALL}


def test_a_fault_that_no_simulated_cohort_can_have_has_no_rate_of_false_alarms():
    assert thresholds.REJECTED.false_alarms == "not measured: the simulated cohorts cannot have this fault"
    assert thresholds.FLAT.false_alarms == "2 of 120 simulated cohorts with realistic devices"
    assert thresholds.ROUND.false_alarms == "0 of 120 simulated cohorts with realistic devices"


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("steps", devices.Devices(steps_decimals=-1)),
        ("steps", devices.Devices(steps_decimals=-2)),
        ("sleep_hours", devices.Devices(sleep_step=30)),
        ("sleep_hours", devices.Devices(sleep_step=60)),
        ("calories_burned", devices.Devices(calorie_decimals=-1)),
        ("weight_kg", devices.Devices(scale_step=1)),
    ],
    ids=["steps in tens", "steps in hundreds", "half hours", "whole hours", "energy in tens", "whole kilograms"],
)
def test_what_a_vendor_rounds_is_plausible_and_what_people_round_beside_it_is_not(findings, metric, kind):
    days = devices.cohort(kind, 8)
    assert verdict_of(findings(days))[metric] == PLAUSIBLE
    if metric != "sleep_hours":  # nothing is rounder than whole hours
        typed, to = days.index % 4 != 0, ROUND_TO[metric]
        days.loc[typed, metric] = (days[metric][typed] / to).round() * to
        found = findings(days)
        assert found_in(found, "round_values", metric).verdict == SUSPICIOUS


def test_a_generator_that_imitates_time_but_not_people_is_found(findings):
    found = findings(devices.nobody_in_particular(1))
    assert verdict_of(found)["file"] == LOOKS_GENERATED
    assert {"people_differ", "link"} <= {f.diagnostic.name for f in found if f.verdict == LOOKS_GENERATED}


def test_a_file_of_copied_people_is_found(findings):
    found = findings(devices.copied_people(1))
    assert found_in(found, "copied_days", "file").verdict == SUSPICIOUS
    assert verdict_of(found)["file"] == SUSPICIOUS


def in_another_unit(factor: float) -> pd.DataFrame:
    """Days of people of 173 cm, whose weights are in another unit from May on."""
    days = people.plausible().assign(weight_kg=72.0, bmi=24.0)
    days.loc[pd.to_datetime(days.date) >= "2024-05-01", "weight_kg"] *= factor
    return days


@pytest.fixture(scope="module")
def pounds(findings):
    return findings(in_another_unit(2.20462))


@pytest.mark.parametrize(
    ("factor", "unit", "height"), [(2.20462, "pounds", range(245, 265)), (1 / 6.35029, "stone", range(60, 75))]
)
def test_weights_in_another_unit_are_found_by_upload(findings, pounds, factor, unit, height):
    found = found_in(pounds if unit == "pounds" else findings(in_another_unit(factor)), "implied_height", "weight_kg")
    assert found.verdict == SUSPICIOUS
    assert found.text.startswith("may.csv: 100% of ")
    assert f"as if weights were in {unit}" in found.text
    assert int(found.text.split("around ")[1].split(" cm")[0]) in height
    assert "first.csv" not in found.text


def test_real_wearables_do_not_look_generated(real):
    said = verdict_of(real)
    assert said["file"] != LOOKS_GENERATED
    assert LOOKS_GENERATED not in said.values()
    assert said["stress_level"] == said["heart_rate_avg"] == NOT_ENOUGH_DATA
    assert said["steps"] in (PLAUSIBLE, SUSPICIOUS)


@pytest.mark.parametrize(
    ("name", "references"),
    [
        ("people_differ", thresholds.FITBIT_BETWEEN),
        ("day_to_day", thresholds.FITBIT_DAY_TO_DAY),
        ("link", thresholds.FITBIT_LINKS),
    ],
)
def test_what_thresholds_cite_is_what_real_wearables_give(real, name, references):
    measured = {scope: found_in(real, name, scope).found.value for scope in references}
    assert measured == pytest.approx(references, abs=0.02)


def test_people_as_they_are_trip_nothing(plausible):
    assert {
        (f.diagnostic.name, f.scope): f.verdict for f in plausible if f.verdict in (SUSPICIOUS, LOOKS_GENERATED)
    } == {}
    assert set(verdict_of(plausible).values()) == {PLAUSIBLE}
    assert actions(plausible) == []


@pytest.mark.parametrize(
    ("name", "scope", "says"),
    [
        ("scale_jump", "weight_kg", ["user 03: 8", "2024-03-01"]),
        ("copied_days", "file", ["04 and 05: 150 days"]),
        ("round_people", "steps", ["user 07: 100%"]),
        ("identical_stretch", "heart_rate_avg", ["user 09: 10 days from 2024-01-31 to 2024-02-09"]),
        ("changing_identity", "file", ["1 of 30"]),
        ("longest_gap", "file", ["user 11: 60 days until 2024-04-10"]),
    ],
)
def test_a_planted_fault_is_named_with_its_person_and_day(planted, name, scope, says):
    found = found_in(planted, name, scope)
    assert found.verdict == SUSPICIOUS
    for text in says:
        assert text in found.text
    assert verdict_of(planted)["file"] == SUSPICIOUS


CARELESS = (
    ("quarantined", "file"),
    ("rejected", "zero_steps"),
    ("completeness", "file"),
    ("empty_cells", "sleep_hours"),
    ("round_values", "steps"),
    ("impossible_energy", "calories_burned"),
    ("drift", "exercise_minutes"),
    ("month_drift", "exercise_minutes"),
    ("constant_height", "bmi"),
    ("weight_change_day", "weight_kg"),
    ("weight_change_week", "weight_kg"),
    ("weight_change_30d_clamped", "weight_kg"),
)


@pytest.mark.parametrize(("name", "scope"), CARELESS)
def test_a_file_that_was_badly_kept_trips_what_it_should(careless, name, scope):
    assert found_in(careless, name, scope).verdict in (SUSPICIOUS, LOOKS_GENERATED)


GENERATED = (
    *(
        (name, metric)
        for name in ("people_differ", "day_to_day")
        for metric in ("steps", "heart_rate_avg", "stress_level")
    ),
    ("day_to_day", "sleep_hours"),
    ("day_to_day", "weight_kg"),
    ("weekend_rhythm", "steps"),
    ("even_ratings", "stress_level"),
    ("calories_follow_body", "calories_burned"),
    ("link", "stress_level ~ sleep_hours"),
    ("link", "sleep_hours ~ steps"),
    ("link", "exercise_minutes ~ steps"),
)


@pytest.mark.parametrize(("name", "scope"), GENERATED)
def test_a_random_file_trips_what_it_should(generated, name, scope):
    assert found_in(generated, name, scope).verdict in (SUSPICIOUS, LOOKS_GENERATED)


def test_every_diagnostic_is_tripped_by_one_file_and_kept_by_another(plausible, planted, careless, generated, pounds):
    tripped = {
        id(f.diagnostic)
        for found in (planted, careless, generated, pounds)
        for f in found
        if f.verdict in (SUSPICIOUS, LOOKS_GENERATED)
    }
    kept = {id(f.diagnostic) for found in (plausible, planted) for f in found if f.verdict == PLAUSIBLE}
    assert [d.name for d in ALL if id(d) not in tripped] == []
    assert [d.name for d in ALL if id(d) not in kept and d is not thresholds.REJECTED] == []


def test_nothing_is_said_of_nothing():
    found = diagnose(Collected({}, [], [], [], [], [], [], 0, [], {}, {}))
    assert set(verdict_of(found).values()) == {NOT_ENOUGH_DATA}
    assert {f.verdict for f in found} == {NOT_ENOUGH_DATA}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, NOT_ENOUGH_DATA),
        (Estimate(0.5, 0.4, 0.6), PLAUSIBLE),
        (Estimate(0.2, 0.1, 0.29), SUSPICIOUS),
        (Estimate(0.0, -0.1, 0.09), LOOKS_GENERATED),
        (Estimate(0.3, 0.2, 0.4), NOT_ENOUGH_DATA),
    ],
)
def test_an_estimate_is_judged_by_its_whole_interval(found, verdict):
    asked = Diagnostic("n", "t", "", "u", "w", "s", "m", suspicious=Bound(low=0.3), generated=Bound(low=0.1))
    assert asked.judge(found) == verdict


def test_a_link_of_either_sign_is_a_link():
    assert thresholds.STRESS_LINK.judge(Estimate(-0.3, -0.4, -0.2)) == PLAUSIBLE
    assert thresholds.STRESS_LINK.judge(Estimate(-0.01, -0.03, 0.02)) == SUSPICIOUS
    assert thresholds.STRESS_LINK.judge(Estimate(0.04, -0.03, 0.11)) == NOT_ENOUGH_DATA


def test_every_row_of_the_table_has_a_name_and_a_scope_of_its_own(planted, careless):
    for found in (planted, careless):
        made = rows(found)
        assert len({(row["name"], row["scope"]) for row in made}) == len(made)
        assert all(row["threshold"] and row["source"] and row["why_it_matters"] for row in made)
