"""Computes sleep by day: a stretch of sleep belongs to the local day on which the person woke.

One stream counts for each day. Preferred are streams whose longest stretch is a night, then the order of the person's
own list, then streams with sleep stages, then better sources. Pieces less than an hour apart are one stretch. The
longest stretch is the night if it has the two hours that the raw contract requires; all others are naps. Naps count as
sleep only on days with a night.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from fitness_assets.silver.devices.intervals import union
from fitness_assets.silver.devices.person import NONE, ByDay, Person, Records, Value

STAGED = ("deep", "light", "rem")
ASLEEP = (*STAGED, "asleep", "session")
"""Texts of records that are sleep; ``session`` is a sleep whose stages are unknown, with what is awake in it."""
_IN_BED = "in_bed"

_PAUSE = 3_600_000
_NIGHT_HOURS = 2.0
_HOUR = 3_600_000


class Stretch(NamedTuple):
    """Sleep without a long pause.

    Attributes:
        stream: its stream, by position.
        place: of its upload.
        day: the local day of waking.
        hours: asleep.
        start: milliseconds; `NONE` if unknown.
        end: the same.
        stages: hours by text.
        basis: what tells the day, as in `Value`.
    """

    stream: int
    place: int
    day: int
    hours: float
    start: int
    end: int
    stages: Mapping[str, float]
    basis: str


def sleep_by_day(person: Person) -> ByDay:
    """Hours slept by day."""
    records = person.records("sleep")
    if not len(records):
        return {}
    is_total = records.day != NONE
    in_bed = records.where(~is_total & (records.text == _IN_BED))
    beds = union(in_bed.start, in_bed.end)
    stretches = [*_of_totals(records.where(is_total)), *_of_intervals(person, records.where(~is_total))]
    by_day: dict[int, dict[tuple[int, int], list[Stretch]]] = {}
    for stretch in stretches:
        by_day.setdefault(stretch.day, {}).setdefault((stretch.stream, stretch.place), []).append(stretch)
    first = {}
    for stretch in stretches:
        key = person.streams[stretch.stream].kind, stretch.place
        first[key] = min(stretch.day, first.get(key, stretch.day))
    found: ByDay = {}
    for day, candidates in by_day.items():
        newest: dict[str, tuple[bool, int]] = {}  # by kind: an export repeats what the ones before have
        for stream, place in candidates:
            kind = person.streams[stream].kind
            newest[kind] = max(newest.get(kind, (False, -1)), (first[kind, place] < day, place))
        rest = [
            (stream, own)
            for (stream, place), own in candidates.items()
            if newest[person.streams[stream].kind][1] == place
        ]
        stream, own = min(rest, key=lambda item: _rank(person, *item))
        found[day] = _day(own, person.streams[stream], beds)
    return found


def _rank(person: Person, stream: int, own: Sequence[Stretch]) -> tuple[bool, int, bool, int]:
    is_night = max(stretch.hours for stretch in own) >= _NIGHT_HOURS
    has_stages = any(stage in stretch.stages for stretch in own for stage in STAGED)
    return not is_night, person.order.own_place(person.streams[stream]), not has_stages, stream


def _day(own: Sequence[Stretch], stream: Any, beds: tuple[np.ndarray, np.ndarray]) -> Value:
    """The sleep of one day. The value is NaN where there is no night.

    Args:
        own: the stretches of the day.
        stream: theirs.
        beds: starts and ends of time in bed, whatever stream says it.
    """
    night, *naps = own = sorted(_apart(own), key=lambda stretch: -stretch.hours)
    has_night = night.hours >= _NIGHT_HOURS
    nap_hours = sum(stretch.hours for stretch in (naps if has_night else own))
    extra: dict[str, Any] = {"nap_h": round(nap_hours, 3)} if nap_hours else {}
    for stage in (*STAGED, "awake"):
        if stage in night.stages and has_night:
            extra[f"sleep_{stage}_h"] = round(night.stages[stage], 3)
    if has_night and night.start != NONE:
        extra |= {"sleep_start": _moment(night.start), "sleep_end": _moment(night.end)}
        is_around = (beds[0] < night.end) & (beds[1] > night.start)
        if is_around.any():
            extra["in_bed_h"] = round(float((beds[1] - beds[0])[is_around].sum()) / _HOUR, 3)
    if "session" in night.stages:
        extra["sleep_basis"] = "session"
    return Value(night.hours + nap_hours if has_night else float("nan"), (stream,), extra, night.basis)


def _apart(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Of stretches that overlap only the one with most hours: parts of an export may each have the same sleep."""
    found: list[Stretch] = []
    end = NONE
    for each in sorted(stretches, key=lambda stretch: stretch.start):
        if each.start >= end:
            found.append(each)
        elif each.hours > found[-1].hours:
            found[-1] = each
        end = max(end, each.end)
    return found


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat()


def _of_totals(records: Records) -> Iterator[Stretch]:
    """Stretches whose day and minutes the vendor gives."""
    groups: dict[tuple[int, ...], dict[str, float]] = {}
    for at in range(len(records)):
        key = tuple(
            int(column[at]) for column in (records.stream, records.place, records.day, records.start, records.end)
        )
        stages, text = groups.setdefault(key, {}), records.text[at]
        before = stages.get(text, 0.0) if records.start[at] == NONE else 0.0  # the same times are the same sleep
        stages[text] = before + float(records.value[at]) / 60
    for (stream, place, day, start, end), stages in groups.items():
        hours = sum(stages.get(stage, 0.0) for stage in ASLEEP)
        if hours > 0:
            yield Stretch(stream, place, day, hours, start, end, stages, "vendor_date")


def _of_intervals(person: Person, records: Records) -> Iterator[Stretch]:
    """Stretches of records with a start and an end."""
    is_asleep = np.isin(records.text, ASLEEP)
    streams = np.stack([records.stream, records.place])
    for stream, place in np.unique(streams[:, is_asleep], axis=1).T.tolist():
        of_stream = (records.stream == stream) & (records.place == place)
        asleep = records.where(of_stream & is_asleep)
        start, end = union(asleep.start, asleep.end)
        begins = np.concatenate([[True], start[1:] - end[:-1] >= _PAUSE])
        number = np.cumsum(begins) - 1
        hours = np.bincount(number, end - start) / _HOUR
        starts, ends = start[begins], end[np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(end) - 1]])]
        every = records.where(of_stream)
        stage_hours: dict[str, np.ndarray] = {}
        for stage in (*ASLEEP, "awake"):
            its = every.text == stage
            if its.any():
                begin, until = union(every.start[its], every.end[its])
                at = np.searchsorted(starts, begin, "right") - 1
                within = (at >= 0) & (begin < ends[at])
                stage_hours[stage] = np.bincount(at[within], (until - begin)[within], len(starts)) / _HOUR
        # The offset of waking is that of the record that ends last.
        by_end = np.argsort(asleep.end, kind="stable")
        last = by_end[np.searchsorted(asleep.end[by_end], ends, "right") - 1]
        days = person.days.of(ends, asleep.offset[last])
        for at in range(len(starts)):
            stages = {stage: float(of[at]) for stage, of in stage_hours.items() if of[at] > 0}
            basis = "zone" if np.isnan(asleep.offset[last[at]]) else "offset"
            slept, begin, until = float(hours[at]), int(starts[at]), int(ends[at])
            yield Stretch(stream, place, int(days[at]), slept, begin, until, stages, basis)
