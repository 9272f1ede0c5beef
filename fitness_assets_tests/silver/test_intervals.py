"""Merging of intervals: compared with what happens in every single millisecond."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitness_assets.silver.devices.intervals import DAY, Coverage, cut, shares, union
from fitness_assets.silver.devices.zones import days_between, zone_on

INTERVALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=12)


@given(INTERVALS)
def test_every_millisecond_counts_once_for_the_best_stream_and_its_longest_interval(found):
    rank, start, length = (np.array(column, np.int64) for column in zip(*found, strict=True))
    end = start + length
    owner: dict[int, int] = {}
    for at in sorted(range(len(found)), key=lambda at: (rank[at], -length[at], at)):
        for moment in range(start[at], end[at]):
            owner.setdefault(moment, at)
    expected = [sum(who == at for who in owner.values()) / length[at] for at in range(len(found))]
    assert shares(rank, start, end) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10))), st.integers(0, 50), st.integers(1, 20))
def test_coverage_is_what_a_set_of_moments_says(added, start, length):
    covered, moments = Coverage(), set[int]()
    for begin, width in added:
        covered.add(np.array([begin]), np.array([begin + width]))
        moments |= {*range(begin, begin + width)}
    (left,) = covered.uncovered(np.array([start]), np.array([start + length]))
    assert left == len({*range(start, start + length)} - moments)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=8))
def test_a_union_covers_the_same_moments_without_overlap(found):
    start, end = (np.array(column, np.int64) for column in ([a for a, _ in found], [a + b for a, b in found]))
    begins, ends = union(start, end)
    assert all(ends[:-1] < begins[1:])
    moments = {moment for a, b in found for moment in range(a, a + b)}
    assert moments == {moment for a, b in zip(begins, ends, strict=True) for moment in range(a, b)}


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000)


def number(day: str) -> int:
    return date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("Europe/Berlin", "2024-02-29", 24),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("Africa/Cairo", "2024-04-26", 23),  # midnight itself does not exist
        ("Asia/Kathmandu", "2024-05-05", 24),
    ],
)
def test_a_local_day_is_as_long_as_its_zone_says(zone, day, hours):
    days = days_between(number(day), number(day), {-1_000_000: zone})
    nan = np.array([np.nan])
    (end,), (before,) = days.end(np.array([number(day)]), nan), days.end(np.array([number(day) - 1]), nan)
    assert (end - before) / 3_600_000 == hours
    assert days.of(np.array([before, end - 1, end]), np.full(3, np.nan)).tolist() == [
        number(day), number(day), number(day) + 1
    ]  # fmt: skip


def test_a_trip_changes_the_zone_on_its_day():
    zones = {-1_000_000: "Europe/Berlin", number("2024-03-01"): "Asia/Tokyo"}
    days = days_between(number("2024-02-25"), number("2024-03-05"), zones)
    moments = np.array([at("2024-02-29 23:59", "Europe/Berlin"), at("2024-03-02 00:30", "Asia/Tokyo")])
    # The evening of 29 February in Berlin is already 1 March in Tokyo, where the person is from then on.
    assert days.of(moments, np.full(2, np.nan)).tolist() == [number("2024-03-01"), number("2024-03-02")]
    assert (zone_on(number("2024-02-29"), zones), zone_on(number("2024-03-01"), zones)) == (
        "Europe/Berlin",
        "Asia/Tokyo",
    )


def test_a_record_over_midnight_is_shared_by_time_also_where_its_own_offset_says_the_day():
    days = days_between(number("2024-01-04"), number("2024-01-07"), {-1_000_000: "UTC"})
    start = np.array([at("2024-01-05 23:30", "UTC"), at("2024-01-05 18:00", "UTC")])
    offsets = np.array([np.nan, 19_800_000.0])
    pieces = cut(start, start + 3_600_000, np.array([60.0, 60.0]), offsets, days)
    found = {(int(record), int(day)): float(value) for record, day, _, _, value in zip(*pieces, strict=True)}
    five, six = number("2024-01-05"), number("2024-01-06")
    assert found == {(0, five): 30, (0, six): 30, (1, five): 30, (1, six): 30}


@given(st.integers(0, 10 * DAY), st.integers(0, 7 * DAY))
def test_pieces_add_up_to_their_record_and_end_within_their_day(start, length):
    days = days_between(0, 20, {-1_000_000: "Europe/Berlin"})
    nan = np.array([np.nan])
    pieces = cut(np.array([start]), np.array([start + length]), np.array([1.0]), nan, days)
    assert pieces.value.sum() == pytest.approx(1)
    assert (pieces.end - pieces.start).sum() == max(length, 1)
    for day, begin, end in zip(pieces.day, pieces.start, pieces.end, strict=True):
        assert days.of(np.array([begin, end - 1]), np.full(2, np.nan)).tolist() == [day, day]


def test_times_beyond_the_known_days_end_the_cutting():
    days = days_between(0, 1, {-1_000_000: "UTC"})
    far = np.array([at("2030-01-01 00:00", "UTC")])
    assert cut(far, far + DAY, np.array([1.0]), np.array([np.nan]), days).value.sum() == 1
    assert datetime.fromtimestamp(far[0] / 1_000, UTC).year == 2030
