"""A simulated person with a phone and a watch: what really happened, minute by minute, and what each device saw of it.

The exports are made from this, so tests can compare what the lake says with the truth.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

FIRST_DAY = date(2024, 1, 1)
HOME = "Europe/Berlin"

Moment = datetime
"""Always UTC."""


@dataclass(frozen=True)
class Walk:
    """Steps within some minutes.

    Attributes:
        start: first minute.
        counts: steps of each minute.
        watch_from: the first minute that the watch saw; None if it was not worn.
        by_phone: whether the phone was carried.
    """

    start: Moment
    counts: tuple[int, ...]
    watch_from: int | None
    by_phone: bool

    @property
    def seen(self) -> tuple[int, ...]:
        """Steps of the minutes that one device at least has seen."""
        return self.counts if self.by_phone else self.counts[self.watch_from :]

    def phone_records(self) -> list[tuple[Moment, Moment, int]]:
        """What the phone writes: a record for each minute."""
        return self._records(0, 1) if self.by_phone else []

    def watch_records(self) -> list[tuple[Moment, Moment, int]]:
        """What the watch writes: records of up to seven minutes."""
        return [] if self.watch_from is None else self._records(self.watch_from, 7)

    def _records(self, first: int, minutes: int) -> list[tuple[Moment, Moment, int]]:
        found = []
        for at in range(first, len(self.counts), minutes):
            part = self.counts[at : at + minutes]
            start = self.start + timedelta(minutes=at)
            found.append((start, start + timedelta(minutes=len(part)), sum(part)))
        return found

    @property
    def end(self) -> Moment:
        """End of the last minute."""
        return self.start + timedelta(minutes=len(self.counts))


@dataclass(frozen=True)
class LivedDay:
    """One local day.

    Attributes:
        date: the day.
        walks: in order; walks of one day do not overlap.
        pulse: heart rate at some moments, every 5 minutes or more often.
        asleep: stages of the night that ends on this day, with start and end.
        active_kcal: energy of movement.
        basal_kcal: energy at rest.
        exercise: minutes of exercise.
        resting_bpm: resting heart rate.
        weight_kg: on some days.
        stress: what a vendor says, 0 to 100.
    """

    date: date
    walks: tuple[Walk, ...]
    pulse: tuple[tuple[Moment, int], ...]
    asleep: tuple[tuple[Moment, Moment, str], ...]
    active_kcal: float
    basal_kcal: float
    exercise: int
    resting_bpm: int
    weight_kg: float | None
    stress: int

    @property
    def steps(self) -> int:
        """All steps that one device at least has seen."""
        return sum(sum(walk.seen) for walk in self.walks)

    @property
    def sleep_hours(self) -> float:
        """Hours asleep, without those awake."""
        seconds = sum((end - start).total_seconds() for start, end, stage in self.asleep if stage != "awake")
        return seconds / 3_600


def lived(days: int, seed: int = 1, first: date = FIRST_DAY, zone: str = HOME) -> list[LivedDay]:
    """The days of one person; the same seed gives the same days.

    Args:
        days: how many.
        seed: of the random numbers.
        first: the first day.
        zone: where the person lives.
    """
    random = Random(seed)  # noqa: S311
    return [_day(first + timedelta(days=n), random, ZoneInfo(zone)) for n in range(days)]


def _day(day: date, random: Random, zone: ZoneInfo) -> LivedDay:
    def at(hour: int, minute: int = 0, of: date = day) -> Moment:
        return datetime(of.year, of.month, of.day, hour, minute, tzinfo=zone).astimezone(UTC)

    walks, hour = [], 8
    while hour < 22:
        minutes = random.randint(5, 40)
        counts = tuple(random.randint(40, 120) for _ in range(minutes))
        carried = random.choice(((0, False), (0, True), (minutes // 2, True), (None, True)))
        watch_from, by_phone = carried
        walks.append(Walk(at(hour, random.randint(0, 15)), counts, watch_from, by_phone))
        hour += random.randint(1, 4)
    if random.random() < 0.2:  # home late: this walk goes on until after midnight in some exports' intervals
        walks.append(Walk(at(23, 30), tuple(random.randint(40, 120) for _ in range(20)), 0, True))
    resting = random.randint(50, 60)
    pulse = [(at(0) + timedelta(minutes=5 * n), resting + random.randint(5, 25)) for n in range(0, 270)]
    workout = at(18)
    pulse += [(workout + timedelta(seconds=5 * n), 130 + random.randint(0, 20)) for n in range(200)]
    night, stages = at(23, 10, day - timedelta(days=1)), []
    while night < at(6, 30):
        stage = random.choice(("light", "deep", "rem", "light", "awake"))
        end = night + timedelta(minutes=random.randint(3, 15) if stage == "awake" else random.randint(15, 70))
        stages.append((night, end, stage))
        night = end
    return LivedDay(
        day,
        tuple(walks),
        tuple(sorted(pulse)),
        tuple(stages),
        active_kcal=float(random.randint(300, 900)),
        basal_kcal=float(random.randint(1_500, 1_700)),
        exercise=random.randint(10, 80),
        resting_bpm=resting,
        weight_kg=round(random.gauss(72, 0.4), 1) if random.random() < 0.6 else None,
        stress=random.randint(15, 60),
    )
