"""Records of several sources become days: what counts, by column."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest

from fitness_assets.bronze.readers.records import Record, days_of
from fitness_assets.sample import EXPORTS, web_tables
from fitness_assets.sample.life import LivedDay, lived
from fitness_assets.silver.devices.days import uploads_of
from fitness_assets.silver.devices.merge import Day
from fitness_assets.silver.devices.streams import Order, Stream
from fitness_assets_tests.archives import at, merged, read, repeated

Owner = tuple[str | None, str | None]
"""An app and a device."""
WATCH: Owner = ("Apple Watch", "Watch6,1")
PHONE: Owner = ("iPhone", "iPhone14,2")
DAY = date(2024, 1, 5)


def steps(start: str, end: str, count: float, owner: Owner = WATCH) -> Record:
    return Record("steps", count, "count", at(start), at(end), None, None, owner[0], owner[1])


def point(type_: str, moment: str, value: float, unit: str | None = None, owner: Owner = WATCH) -> Record:
    return Record(type_, value, unit, at(moment), None, None, None, owner[0], owner[1])


def total(type_: str, day: date, value: float, unit: str, text: str | None = None) -> Record:
    return Record(type_, value, unit, day=days_of(day), source="Garmin Connect", text=text)


def zone(name: str, start: date | None = None) -> Record:
    return Record("zone", day=start and days_of(start), source="profile", text=name)


def asleep(start: str, end: str, stage: str = "asleep", owner: Owner = WATCH) -> Record:
    return Record("sleep", None, None, at(start), at(end), None, None, owner[0], owner[1], stage)


def cells(*uploads: tuple[str, list[Record]]) -> dict[date, dict[str, Any]]:
    return {day: said.cells for day, said in merged(*uploads).items()}


def test_a_watch_counts_before_a_phone_and_the_phone_fills_the_rest():
    found = merged(
        (
            "apple_health",
            [
                steps("2024-01-05T10:00", "2024-01-05T10:10", 1_000),
                steps("2024-01-05T10:05", "2024-01-05T10:15", 800, PHONE),
                steps("2024-01-05T12:00", "2024-01-05T12:10", 500, PHONE),
            ],
        )
    )[DAY]
    assert found.cells == {"steps": 1_900}
    assert found.sources == {"steps": "apple_health: Apple Watch on Watch6,1; apple_health: iPhone on iPhone14,2"}
    assert found.extra["steps_max_single_source"] == 1_300


def test_six_sources_of_the_same_walk_count_once():
    owners = [(f"App {n}", None) for n in range(6)]
    walk = [steps("2024-01-05T10:00", "2024-01-05T10:10", 1_000 + n, owner) for n, owner in enumerate(owners)]
    assert cells(("apple_health", walk)) == {DAY: {"steps": 1_000}}


def test_fractions_are_added_first_and_rounded_once():
    parts = [steps(f"2024-01-05T10:{n:02}", f"2024-01-05T10:{n + 1:02}", 0.4) for n in range(10)]
    assert cells(("apple_health", parts)) == {DAY: {"steps": 4}}


def test_overlapping_records_of_one_stream_are_not_added():
    found = [steps("2024-01-05T10:00", "2024-01-05T11:00", 600), steps("2024-01-05T10:30", "2024-01-05T10:40", 500)]
    assert cells(("apple_health", found)) == {DAY: {"steps": 600}}


def test_the_zone_of_the_profile_says_the_day_of_apples_records_whatever_offset_is_written():
    """A record of January, exported in July: 23:30 in Berlin stands there as 00:30 +0200 of the next day."""
    record = Record("steps", 100.0, "count", at("2024-01-05T22:30"), at("2024-01-05T22:40"), 7_200, None, *WATCH)
    assert cells(("profile", [zone("Europe/Berlin")]), ("apple_health", [record])) == {DAY: {"steps": 100}}
    assert cells(("profile", [zone("Asia/Tokyo")]), ("apple_health", [record])) == {date(2024, 1, 6): {"steps": 100}}
    without = merged(("apple_health", [record]))[DAY]
    assert (without.extra["zone_basis"], without.extra["zone"]) == ("assumed", "UTC")


def test_a_day_says_what_tells_it_how_many_sources_it_has_and_whether_it_may_be_a_part():
    offset = Record("steps", 100.0, "count", at("2024-01-05T22:30"), at("2024-01-05T22:40"), 3_600, None, *PHONE)
    heart = point("heart_rate", "2024-01-06T10:00", 60, "bpm")._replace(offset=3_600)
    found = merged(
        ("profile", [zone("Europe/Berlin")]),
        ("health_connect", [offset, heart]),
        ("garmin", [total("steps", date(2024, 1, 7), 5_000, "count"), total("weight", date(2024, 1, 8), 70_000, "g")]),
        ("apple_health", [steps("2024-01-09T10:00", "2024-01-09T10:10", 100),
                          point("heart_rate", "2024-01-09T10:00", 60, "bpm", PHONE)]),
    )  # fmt: skip
    said = {day.day: (of.extra["zone_basis"], of.extra["n_sources"]) for day, of in found.items()}
    assert said == {
        5: ("offset", 1), 6: ("offset", 1), 7: ("vendor_date", 1), 8: ("vendor_date", 1), 9: ("person_zone", 2)
    }  # fmt: skip
    assert [day.day for day, of in found.items() if of.extra.get("partial_day")] == [5, 9]


def test_a_trip_across_zones_has_its_own_days():
    profile = [zone("Europe/Berlin"), zone("Asia/Tokyo", date(2024, 1, 10)), zone("Europe/Berlin", date(2024, 1, 20))]
    records = [
        steps("2024-01-08T22:00", "2024-01-08T22:10", 1),  # 23:00 in Berlin
        steps("2024-01-12T15:30", "2024-01-12T15:40", 2),  # 00:30 of the 13th in Tokyo
        steps("2024-01-22T22:00", "2024-01-22T22:10", 3),
    ]
    found = merged(("profile", profile), ("apple_health", records))
    assert {day: said.cells["steps"] for day, said in found.items()} == {
        date(2024, 1, 8): 1, date(2024, 1, 13): 2, date(2024, 1, 22): 3
    }  # fmt: skip
    assert found[date(2024, 1, 13)].extra["zone"] == "Asia/Tokyo"


def steps_and_sleep(days: Iterable[Day]) -> dict[date, tuple[int, float]]:
    return {day.date: (day.cells["steps"], round(day.cells["sleep_hours"], 2)) for day in days}


def truth(days: Iterable[LivedDay]) -> dict[date, tuple[int, float]]:
    return {day.date: (day.steps, round(day.sleep_hours, 2)) for day in days}


@pytest.mark.parametrize("kind", [*EXPORTS])
def test_where_clocks_go_back_days_are_what_really_happened(tmp_path, kind):
    """29 February, and clocks that go forward, are in the whole runs of test_devices.py."""
    days = lived(3, first=date(2024, 10, 26))
    EXPORTS[kind](tmp_path / "a.zip", days)
    name = {"apple": "apple_health", "google": "google_health", "health-connect": "health_connect"}.get(kind) or kind
    found = merged(("profile", [zone("Europe/Berlin")]), (name, read(tmp_path / "a.zip").records))
    assert steps_and_sleep(found.values()) == truth(days)


@pytest.mark.parametrize("export", [*web_tables.WRITERS])
def test_csv_tables_of_the_sample_are_what_really_happened(tmp_path, export):
    days = lived(4, first=date(2024, 10, 25))
    web_tables.WRITERS[export](tmp_path / "a.zip", days)
    records = read(tmp_path / "a.zip")
    kind = {"samsung": "samsung_health"}.get(export) or export.replace("-", "_")
    found = merged(("profile", [zone("Europe/Berlin")]), (kind, records.records))
    assert {day: said.cells["steps"] for day, said in found.items()} == {day.date: day.steps for day in days}
    for day in days:
        cells, energy = found[day.date].cells, day.active_kcal + day.basal_kcal
        assert cells["sleep_hours"] == pytest.approx(day.sleep_hours, abs=0.01)
        assert cells.get("weight_kg") == (None if export == "oura" else day.weight_kg)
        assert cells.get("calories_burned") == (None if export in ("garmin-web", "samsung") else energy)
    assert {name for name, counts in records.counts.items() if counts["invalid"]} == set()


def test_days_of_a_trip_are_what_really_happened(tmp_path):
    """Apple writes the same offset for all of them."""
    days = lived(3, first=date(2024, 3, 7))
    days += lived(3, seed=2, first=date(2024, 3, 11), zone="America/Los_Angeles")
    days += lived(3, seed=3, first=date(2024, 3, 15))
    EXPORTS["apple"](tmp_path / "a.zip", days)
    home, away = zone("Europe/Berlin"), zone("America/Los_Angeles", date(2024, 3, 11))
    zones = [home, away, zone("Europe/Berlin", date(2024, 3, 15))]
    found = merged(("profile", zones), ("apple_health", read(tmp_path / "a.zip").records))
    lived_days = {day.date for day in days}
    assert steps_and_sleep(day for day in found.values() if day.date in lived_days) == truth(days)


@pytest.mark.parametrize(("minutes", "hours"), [(59, {"sleep_hours": 6.517}), (60, {"sleep_hours": 6.5, "nap_h": 3.0})])
def test_pieces_less_than_an_hour_apart_are_one_sleep(minutes, hours):
    night = asleep("2024-01-04T22:00", "2024-01-05T01:30")
    later = asleep(f"2024-01-05T02:{minutes - 30:02}", "2024-01-05T05:30")
    said = merged(("health_connect", [night, later]))[DAY]
    assert {**said.cells, **{name: said.extra[name] for name in said.extra if name == "nap_h"}} == hours


def test_a_workout_measured_every_second_does_not_raise_the_mean_of_the_day():
    rest = [
        point("heart_rate", f"2024-01-05T{hour:02}:{minute:02}", 60, "count/min")
        for hour in (8, 9)
        for minute in range(0, 60, 5)
    ]
    workout = [point("heart_rate", f"2024-01-05T10:00:{second:02}", 180, "count/min") for second in range(60)]
    found = merged(("apple_health", rest + workout))[DAY]
    assert found.cells["heart_rate_avg"] == pytest.approx((24 * 60 + 180) / 25)
    assert found.extra["hr_bins_5min"] == 25


def test_heart_rates_of_a_day_are_those_of_its_best_stream():
    found = [
        point("heart_rate", "2024-01-05T08:00", 60, "bpm"),
        point("heart_rate", "2024-01-05T08:00", 90, "bpm", PHONE),
    ]
    assert cells(("apple_health", found))[DAY]["heart_rate_avg"] == 60


@pytest.mark.parametrize(("value", "unit"), [(158.73, "lb"), (11.338, "st"), (72_000, "g"), (72, "kg")])
def test_the_last_weight_of_the_day_counts_in_whatever_unit(value, unit):
    found = [point("weight", "2024-01-05T07:00", 75, "kg"), point("weight", "2024-01-05T20:00", value, unit)]
    profile = [Record("height", 168.0, "cm", source="profile")]
    day = merged(("profile", profile), ("apple_health", found))[DAY]
    assert day.cells["weight_kg"] == pytest.approx(72, abs=0.01)
    assert day.cells["bmi"] == pytest.approx(72 / 1.68**2, abs=0.01)
    assert (day.extra["bmi_basis"], day.extra["weight_unit_in"]) == ("computed", unit)
    assert (day.extra["weight_min_kg"], day.extra["weight_max_kg"]) == (pytest.approx(72, abs=0.01), 75)
    (alone,) = merged(("apple_health", found[1:])).values()
    assert "weight_min_kg" not in alone.extra


def test_the_vendors_bmi_counts_only_without_a_height():
    day = merged(("apple_health", [point("bmi", "2024-01-05T07:00", 24.5, "count")]))[DAY]
    assert (day.cells, day.extra["bmi_basis"]) == ({"bmi": 24.5}, "reported")


@pytest.mark.parametrize(("factor", "unit"), [(1, "kcal"), (1, "Cal"), (4.184, "kJ"), (1_000, "cal")])
def test_energy_is_the_sum_of_what_is_active_and_at_rest_and_empty_without_either(factor, unit):
    def energy(type_: str, value: float) -> Record:
        return Record(type_, value * factor, unit, at("2024-01-05T10:00"), at("2024-01-05T11:00"), None, None, *WATCH)

    both = [energy("energy_active", 500), energy("energy_basal", 1_600)]
    assert cells(("apple_health", both))[DAY] == {"calories_burned": pytest.approx(2_100)}
    alone = merged(("apple_health", both[:1]))[DAY]
    assert (alone.cells, alone.extra["active_kcal"]) == ({}, pytest.approx(500))


def test_stress_and_resting_heart_rate_of_vendors_are_kept_beside_the_columns():
    stress = total("stress", DAY, 31, "", "0 to 100, high is stressed")._replace(unit=None)
    day = merged(("garmin", [stress, total("resting_heart_rate", DAY, 51, "bpm")]))[DAY]
    assert day.cells == {}
    assert day.extra["vendor_stress"] == 31
    assert day.extra["vendor_stress_scale"] == "0 to 100, high is stressed"
    assert day.extra["resting_hr_bpm"] == 51


def test_in_bed_is_no_sleep_and_of_several_streams_one_with_stages_counts():
    found = merged(
        (
            "apple_health",
            [
                asleep("2024-01-03T22:00", "2024-01-04T07:00", "in_bed", PHONE),
                asleep("2024-01-04T22:00", "2024-01-05T07:00", "in_bed", PHONE),
                asleep("2024-01-04T22:00", "2024-01-05T06:00", "in_bed", ("Sleep app", None)),
                asleep("2024-01-04T22:10", "2024-01-05T06:50", "asleep", ("Sleep app", None)),
                asleep("2024-01-04T22:30", "2024-01-05T02:00", "light"),
                asleep("2024-01-05T02:00", "2024-01-05T02:30", "awake"),
                asleep("2024-01-05T02:30", "2024-01-05T06:30", "deep"),
            ],
        )
    )[DAY]
    assert found.cells == {"sleep_hours": 7.5}
    assert found.extra["in_bed_h"] == 9.0, "of another source, and only of this night"
    assert (found.extra["sleep_light_h"], found.extra["sleep_deep_h"], found.extra["sleep_awake_h"]) == (3.5, 4.0, 0.5)


def order(*names: str) -> list[Record]:
    return [Record("source_order", float(n), source="profile", text=name) for n, name in enumerate(names)]


@pytest.mark.parametrize(("own", "hours"), [((), 4.0), (("AutoSleep", "Apple Watch"), 7.0), (("Watch", "csv"), 4.0)])
def test_a_persons_own_order_of_sleeps_counts_before_stages(own, hours):
    app = asleep("2024-01-04T22:00", "2024-01-05T05:00", "asleep", ("AutoSleep", None))
    watch = asleep("2024-01-04T23:00", "2024-01-05T03:00", "deep")
    assert cells(("profile", order(*own)), ("apple_health", [app, watch])) == {DAY: {"sleep_hours": hours}}


def test_a_source_without_a_night_does_not_blank_the_night_of_another_whatever_the_order_is():
    app = asleep("2024-01-05T13:00", "2024-01-05T14:00", "asleep", ("AutoSleep", None))
    watch = asleep("2024-01-04T23:00", "2024-01-05T03:00")
    assert cells(("profile", order("AutoSleep")), ("apple_health", [app, watch])) == {DAY: {"sleep_hours": 4.0}}


@pytest.mark.parametrize("end", ["06:00", "06:05"])
def test_a_sleep_that_parts_of_an_export_repeat_counts_once(end):
    def part(minutes: float, end: str) -> list[Record]:
        times = at("2024-01-04T22:00"), at(f"2024-01-05T{end}")
        return [Record("sleep", minutes, "min", *times, 3_600, days_of(DAY), "W", None, "asleep")]

    (said,) = merged(("google_health", part(420, "06:00")), ("google_health", part(425, end)), places=(0, 0)).values()
    assert said.cells["sleep_hours"] == pytest.approx(425 / 60, abs=0.001)
    assert "nap_h" not in said.extra


def test_a_day_of_sleep_alone_says_what_tells_the_day():
    night = asleep("2024-01-04T23:00", "2024-01-05T03:00")
    for basis, record in {
        "vendor_date": total("sleep", DAY, 25_000, "s", "asleep"), "offset": night._replace(offset=3_600),
        "assumed": night,
    }.items():  # fmt: skip
        assert merged(("oura", [record]))[DAY].extra["zone_basis"] == basis


def test_a_nap_is_added_to_a_night_and_is_none_alone():
    nap = asleep("2024-01-05T14:00", "2024-01-05T14:40")
    night = asleep("2024-01-04T23:00", "2024-01-05T06:00")
    both = merged(("apple_health", [night, nap]))[DAY]
    assert (both.cells["sleep_hours"], both.extra["nap_h"]) == (
        pytest.approx(7.667, abs=0.001),
        pytest.approx(0.667, abs=0.001),
    )
    alone = merged(("apple_health", [nap]))[DAY]
    assert (alone.cells, alone.extra["nap_h"]) == ({}, pytest.approx(0.667, abs=0.001))


def test_sleep_in_pieces_that_overlap_counts_once():
    pieces = [asleep("2024-01-04T23:00", "2024-01-05T03:00"), asleep("2024-01-05T01:00", "2024-01-05T06:00")]
    assert cells(("apple_health", pieces)) == {DAY: {"sleep_hours": 7.0}}


def test_a_newer_export_replaces_the_days_that_it_has_and_no_others():
    old = [steps("2024-01-04T10:00", "2024-01-04T11:00", 4_000), steps("2024-01-05T10:00", "2024-01-05T11:00", 300)]
    old += [asleep("2024-01-04T23:00", "2024-01-05T06:00"), steps("2024-01-03T10:00", "2024-01-03T11:00", 3_000)]
    new = [steps("2024-01-05T10:00", "2024-01-05T11:30", 5_000), steps("2024-01-06T10:00", "2024-01-06T11:00", 6_000)]
    # The new export begins in the middle of the 4th, of which the old one has more.
    new += [steps("2024-01-04T10:30", "2024-01-04T11:00", 900)]
    garmin = [total("weight", DAY, 72_000, "g"), total("exercise", date(2024, 1, 4), 30, "min")]
    found = cells(("apple_health", old), ("garmin", garmin), ("apple_health", new))
    weight, exercise = found[DAY].pop("weight_kg"), found[date(2024, 1, 4)].pop("exercise_minutes")
    assert (weight, exercise) == (72, 30), "days of another source stay"
    assert found == {
        date(2024, 1, 3): {"steps": 3_000},
        date(2024, 1, 4): {"steps": 4_000},
        DAY: {"steps": 5_000, "sleep_hours": 7.0},
        date(2024, 1, 6): {"steps": 6_000},
    }


def test_parts_of_one_export_of_google_are_one_export():
    names = [
        ("apple_health", "takeout-20260101T000000Z-1-001.zip"),
        ("google_health", "takeout-20260101T000000Z-1-001.zip"),
        ("google_health", "takeout-20260201T000000Z-1-001.zip"),
        ("google_health", "takeout-20260101T000000Z-3-002.zip"),
        ("google_health", "my takeout.zip"),
    ]
    rows = [{"upload_id": n, "kind": kind, "uri": f"raw/people/anna/{name}"} for n, (kind, name) in enumerate(names)]
    apple, first, other, second, mine = (upload.place for upload in uploads_of(rows).values())
    assert first == second
    assert len({apple, first, other, mine}) == 4

    morning = [steps("2024-01-05T08:00", "2024-01-05T09:00", 4_000)]
    evening = [steps("2024-01-05T20:00", "2024-01-05T21:00", 1_500)]
    found = merged(("google_health", morning), ("google_health", evening), places=(0, 0))
    assert found[DAY].cells == {"steps": 5_500}
    again = merged(("google_health", morning), ("google_health", evening))
    assert again[DAY].cells == {"steps": 1_500}, "of two exports the newer one counts"


def test_an_older_export_is_left_out_only_if_a_newer_one_has_all_of_its_days():
    first = [steps("2024-01-05T10:00", "2024-01-05T11:00", 300), steps("2024-01-06T10:00", "2024-01-06T11:00", 300)]
    more = [*first, steps("2024-01-06T12:00", "2024-01-06T13:00", 300)]
    night = asleep("2024-01-04T23:00", "2024-01-05T06:00")
    assert repeated(("apple_health", first), ("apple_health", more)) == {0}
    assert repeated(("apple_health", more), ("apple_health", first)) == set(), "the newer one has less"
    assert repeated(("apple_health", [*first, night]), ("apple_health", more)) == set(), "another type"
    assert repeated(("apple_health", first), ("health_connect", more)) == set(), "another kind"
    assert repeated(("apple_health", first), ("apple_health", more[1:])) == set(), "a day is missing"
    assert repeated(("apple_health", first), ("apple_health", more), ("apple_health", first)) == {0}


def test_a_daily_total_and_intervals_are_never_added():
    found = [total("steps", DAY, 9_000, "count")]
    walk = [steps("2024-01-05T10:00", "2024-01-05T11:00", 4_000, PHONE)]
    assert cells(("garmin", found), ("apple_health", walk)) == {DAY: {"steps": 9_000}}
    order = [
        Record("source_order", float(n), source="profile", text=name) for n, name in enumerate(["iPhone", "garmin"])
    ]
    assert cells(("profile", order), ("garmin", found), ("apple_health", walk)) == {DAY: {"steps": 4_000}}


def test_a_day_says_of_each_sum_whether_it_was_merged_or_is_a_total_of_the_vendor():
    hour = at("2024-01-05T10:00"), at("2024-01-05T11:00")
    energy = [Record(f"energy_{kind}", 500.0, "kcal", *hour, None, None, *WATCH) for kind in ("active", "basal")]
    garmin = [total("steps", DAY, 9_000, "count"), total("energy_active", date(2024, 1, 6), 500, "kcal")]
    garmin += [total("energy_basal", date(2024, 1, 6), 1_500, "kcal"), total("weight", date(2024, 1, 7), 70_000, "g")]
    found = merged(("garmin", garmin), ("apple_health", energy))
    assert [day.extra.get("merge_rule") for day in found.values()] == [
        {"steps": "vendor_total", "calories_burned": "intervals"}, {"calories_burned": "vendor_total"}, None
    ]  # fmt: skip


def test_each_column_has_the_source_that_knows_it():
    garmin = [total("sleep", DAY, 3 * 3_600.0, "s", "deep"), total("sleep", DAY, 4 * 3_600.0, "s", "light")]
    apple = [steps("2024-01-05T10:00", "2024-01-05T11:00", 4_000)]
    day = merged(("garmin", garmin), ("apple_health", apple))[DAY]
    assert day.cells == {"steps": 4_000, "sleep_hours": 7.0}
    assert day.sources["sleep_hours"] == "garmin: Garmin Connect"


def test_what_the_profile_says_of_the_person_counts_before_vendors():
    vendor = [
        Record("gender", source="Apple Health", text="M"),
        Record("age", 50.0, "years", day=0, source="Apple Health"),
    ]
    profile = [Record("gender", source="profile", text="F"), Record("age", 39.0, "years", day=0, source="profile")]
    walk = [steps("2024-01-05T10:00", "2024-01-05T11:00", 4_000)]
    assert cells(("profile", profile), ("apple_health", vendor + walk))[DAY] == {
        "steps": 4_000,
        "gender": "F",
        "age": 39,
    }
    assert cells(("apple_health", vendor + walk))[DAY]["gender"] == "M"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (
            Stream("apple_health", "Annas Watch", "Apple Watch Watch6,1"),
            Stream("apple_health", "A", "iPhone iPhone14,2"),
        ),
        (Stream("apple_health", "Connect", None), Stream("apple_health", "A", "iPhone iPhone14,2")),
        (Stream("google_health", "Garmin Connect Health Kit", None), Stream("google_health", "MobileTrack", None)),
        (Stream("google_health", None, None), Stream("google_health", "Apple Health Health Kit", None)),
        (Stream("health_connect", "com.band", "A W1 (watch)"), Stream("health_connect", "com.band", "A P1 (phone)")),
        (Stream("garmin", "Garmin Connect", None), Stream("apple_health", "A", "iPhone")),
    ],
)
def test_worn_devices_come_before_phones_and_phones_before_apps(better, worse):
    order = Order()
    assert order.key(better) < order.key(worse)
    own = Order([worse.device or worse.source or "", "x"])
    assert own.key(worse) < own.key(better)


@pytest.mark.parametrize(
    ("kind", "copy", "origin"),
    [
        ("apple_health", "Connect", "garmin"),
        ("apple_health", "Connect", "garmin_web"),
        ("google_health", "Garmin Connect Health Kit", "garmin"),
        ("google_health", "Garmin Connect Health Kit", "apple_health"),
        ("google_health", "Phone Health Kit", "apple_health"),
        ("google_health", "Fit Health Connect", "health_connect"),
        ("health_connect", "com.google.android.apps.healthdata", "health_connect"),
    ],
)
def test_copies_come_last_beside_an_archive_that_may_have_the_origin(kind, copy, origin):
    app = Stream(kind, "zzz", None)
    beside, alone = Order(kinds={kind, origin}), Order(kinds={"withings"})
    assert beside.key(app) < beside.key(Stream(kind, copy, None))
    assert alone.key(app) > alone.key(Stream(kind, copy, None))


def test_what_garmin_wrote_into_apple_health_counts_where_its_own_archive_is_not_loaded():
    walk = [
        steps("2024-01-05T10:00", "2024-01-05T10:10", 100, PHONE),
        steps("2024-01-05T10:00", "2024-01-05T10:15", 900, ("Connect", None)),
    ]
    assert cells(("apple_health", walk)) == {DAY: {"steps": 900}}
    garmin = total("steps", date(2024, 1, 6), 5, "count")
    assert cells(("apple_health", walk), ("garmin", [garmin]))[DAY] == {"steps": 400}


def test_devices_come_before_csv_only_where_the_persons_order_says_so():
    stream = Stream("garmin", "Garmin Connect", None)
    assert not Order().comes_before_csv(stream)
    assert Order(["garmin"]).comes_before_csv(stream)
    assert Order(["Garmin", "csv"]).comes_before_csv(stream)
    assert not Order(["csv", "garmin"]).comes_before_csv(stream)
