"""Streams of records and their order: which source counts where several measured the same."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from fitness_assets.bronze.measurements import PHONE, WORN, origins

KINDS = (
    "garmin",
    "apple_health",
    "health_connect",
    "google_health",
    "oura",
    "samsung_health",
    "withings",
    "garmin_web",
    "google_fit",
)
"""Where nothing else tells sources apart, the order of their kinds."""
CSV = "csv"
"""The name by which a person's own order means days from CSV files."""

_WORN = re.compile(f"{WORN}|^connect$", re.IGNORECASE)
_PHONE = re.compile(PHONE, re.IGNORECASE)
_OWN_DEVICES = {"garmin", "garmin_web", "oura", "samsung_health", "withings"}
"""Kinds of vendors whose files do not name the device, which is one of their own."""


class Stream(NamedTuple):
    """One app on one device, in archives of one kind.

    Attributes:
        kind: of the archives.
        source: the app.
        device: the device.
    """

    kind: str
    source: str | None
    device: str | None

    @property
    def label(self) -> str:
        """The stream for a person; it is stored beside the values."""
        parts = [part for part in dict.fromkeys((self.source, self.device)) if part]
        return f"{self.kind}: {' on '.join(parts)}" if parts else self.kind


class Order:
    """The order of the sources of one person.

    Args:
        own: the person's own list, the best first: kinds, or parts of the names of apps or devices.
        of_phone: the list of the phone itself (Health Connect), the best first: names of apps.
        kinds: of the archives that count. Apps that copy come last only beside an archive that may have the origin.
    """

    def __init__(
        self, own: Sequence[str] = (), of_phone: Sequence[str] = (), kinds: Collection[str] = frozenset()
    ) -> None:
        self._own = [name.casefold() for name in own]
        self._of_phone = [name.casefold() for name in of_phone]
        self._kinds = kinds

    def key(self, stream: Stream) -> tuple[int, int, int, int, str, str]:
        """What sorts streams, the best first."""
        kind = KINDS.index(stream.kind) if stream.kind in KINDS else len(KINDS)
        source = (stream.source or "").casefold()
        is_phones_own = stream.kind == "health_connect" and source in self._of_phone
        of_phone = self._of_phone.index(source) if is_phones_own else len(self._of_phone)
        return self.own_place(stream), of_phone, _class(stream, self._kinds), kind, source, stream.device or ""

    def comes_before_csv(self, stream: Stream) -> bool:
        """Whether values of a stream count before those of CSV files: only where the person's own list says so."""
        place_of_csv = self._own.index(CSV) if CSV in self._own else len(self._own)
        return self.own_place(stream) < place_of_csv

    def own_place(self, stream: Stream) -> int:
        """The place of a stream in the person's own list; behind all of it if the list does not name the stream."""
        names = f"{stream.source or ''} {stream.device or ''}".casefold()
        found = (place for place, name in enumerate(self._own) if name == stream.kind or name in names)
        return next(found, len(self._own))


def _class(stream: Stream, kinds: Collection[str]) -> int:
    """Worn devices come first, then phones, then other apps, then copies of what is in an archive of these kinds."""
    if not origins(stream.source).isdisjoint(kinds):
        return 3
    # What Google merged itself has no source.
    if stream.kind in _OWN_DEVICES or (stream.kind == "google_health" and not stream.source):
        return 0
    for name in (stream.device, stream.source):  # an app may be called after a band and write what a phone measured
        if name and _WORN.search(name):
            return 0
        if name and _PHONE.search(name):
            return 1
    return 2
