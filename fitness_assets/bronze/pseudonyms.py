"""Pseudonyms: with ``FITNESS_PSEUDONYM_KEY`` set, bronze puts a keyed hash in place of each user id.

A pseudonym is the HMAC-SHA-256 of the id (RFC 2104), cut to 128 bits as NIST SP 800-107 allows. Nobody can compute it,
or find an id by trying, without the key. The key itself is never stored. The ledger keeps a check value of it for every
upload, so a run with another key is refused instead of giving each person a second identity.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fitness_assets.bronze.measurements import PHONE, WORN
from fitness_assets.bronze.readers.cells import person, trimmed
from fitness_assets.bronze.sources import Found
from fitness_assets.lake.version import LakeError
from fitness_assets.settings import Settings

WITHHELD = "(withheld, because it may name a person: see the upload)"
"""Stands in quarantine in place of the text of a row."""

_PSEUDONYM = re.compile(r"p-[0-9a-f]{32}")
_FOLDER = re.compile(r"(.*(?:^|/)people/)[^/]+(/)", re.DOTALL)  # of a person; where there are several, the last one
_KNOWN_NAME = re.compile(
    r"(?:com|org|net|io)(?:\.\w+){2,}|(?:apple|iphone|ipad|ipod|watch|google|android|pixel|samsung|galaxy|fitbit|garmin"
    r"|forerunner|fenix|venu|oura|ring|withings|whoop|polar|strava|huawei|xiaomi|band|wear|tracker|charge|versa|phone"
    r"|mobile|handset|health|healthkit|kit|connect|fit|web|csv|profile)\d*|\d{1,2}|\w",
    re.IGNORECASE | re.ASCII,
)
"""What stays of the name of an app or a device: identifiers of apps, words of vendors and kinds of devices."""
_WORD = re.compile(r"(?:com|org|net|io)(?:\.\w+){2,}|[^\W_]+", re.IGNORECASE)
_KIND_OF_DEVICE = re.compile(f"{WORN}|{PHONE}", re.IGNORECASE)
"""What silver tells worn devices and phones by (``silver/devices/streams.py``); it stays where it is part of a word."""
_NAMED_BY_ID = (
    "FITNESS_PSEUDONYM_KEY is set, and a user id is the name of its folder: rename the folder as this path has it, "
    "which is what `fitness pseudonym USER_ID` prints"
)
_CHECKED = "fitness-assets: check value of a pseudonym key"
_UNQUOTE = pc.ReplaceSubstringOptions(r"(?m)^(\w+): '.*' ", r"\1: the cell ")
"""For reasons that quote a cell: a cell in the wrong column may be an id."""


class Pseudonyms:
    """Turns user ids into pseudonyms, if there is a key.

    Attributes:
        check: the check value of the key; None without a key.
    """

    def __init__(self, key: str | None) -> None:
        self._key = (key or "").encode()
        self.check = self._digest(_CHECKED) if self._key else None

    def of(self, user_id: str) -> str:
        """The id under which tables know a person: the pseudonym, or the id itself without a key.

        Args:
            user_id: an id as uploads have it, or a pseudonym, which stays as it is.
        """
        user_id = person(trimmed(user_id))
        if not self._key or _PSEUDONYM.fullmatch(user_id):
            return user_id
        return f"p-{self._digest(user_id)}"

    def shown(self, found: Found) -> str:
        """The URI of an upload as logs and messages may have it: with the pseudonym where an id names the folder."""
        if not self._names_id(found):
            return found.text
        return _FOLDER.sub(rf"\g<1>{self.of(found.person or '')}\2", found.text, count=1)

    def readable(self, there: Iterable[Found]) -> tuple[list[Found], dict[str, str]]:
        """Which uploads may be read, and why others may not.

        With a key, the folder of a person has to be named by the pseudonym, because the URI of an upload is in tables,
        logs, and the history of runs.

        Args:
            there: uploads.

        Returns:
            Those that may be read, and a reason for each other one, by the URI as it may be shown.
        """
        named: dict[bool, list[Found]] = {False: [], True: []}
        for found in there:
            named[self._names_id(found)].append(found)
        return named[False], {self.shown(found): _NAMED_BY_ID for found in named[True]}

    def _names_id(self, found: Found) -> bool:
        return bool(self._key and found.person and not _PSEUDONYM.fullmatch(found.person))

    def hide(self, rows: pa.Table) -> pa.Table:
        """Rows of an upload without text that may name a person; without a key the same rows.

        Ids become pseudonyms. The text of the row, columns beyond the raw contract and cells in reasons are left out.

        Args:
            rows: as a reader gives them (`readers.cleaning.CUT_SCHEMA`).
        """
        if not self._key:
            return rows
        ids = rows["user_id"].combine_chunks().dictionary_encode()
        pseudonyms = [user_id and self.of(user_id) for user_id in ids.dictionary.to_pylist()]
        replaced = {
            "user_id": pa.array(pseudonyms, pa.string()).take(ids.indices),
            "extra": pa.nulls(len(rows), pa.string()),
            "text": pa.array([WITHHELD] * len(rows), pa.string()),
            "problems": pc.call_function("replace_substring_regex", [rows["problems"]], _UNQUOTE),
        }
        return pa.table({name: replaced.get(name, rows[name]) for name in rows.schema.names}, schema=rows.schema)

    def hide_names(self, records: pa.Table) -> pa.Table:
        """Records of devices without words that may name a person; without a key the same records.

        People give their devices names ("Anna's iPhone"). A keyed hash stands for each word of apps and devices that is
        not known, also in the person's own order of sources, so that both still match.

        Args:
            records: columns of ``bronze/measurements``.
        """
        if not self._key:
            return records
        is_order = pc.call_function("equal", [records["type"], "source_order"])
        texts = pc.call_function("if_else", [is_order, self._hidden(records["text"]), records["text"]])
        replaced = {"source": self._hidden(records["source"]), "device": self._hidden(records["device"]), "text": texts}
        return pa.table({name: replaced.get(name, records[name]) for name in records.schema.names}, records.schema)

    def _hidden(self, names: pa.ChunkedArray) -> pa.Array:
        coded = names.combine_chunks().dictionary_encode()
        hidden = [name and _WORD.sub(self._word, name) for name in coded.dictionary.to_pylist()]
        return pa.array(hidden, pa.string()).take(coded.indices)

    def _word(self, word: re.Match[str]) -> str:
        if _KNOWN_NAME.fullmatch(word[0]):
            return word[0]
        kind = _KIND_OF_DEVICE.search(word[0])
        return f"{self._digest(f'name: {word[0].casefold()}')[:8]}{kind[0] if kind else ''}"

    def require_same_key(self, ledger: Sequence[Mapping[str, Any]]) -> None:
        """Make sure that the rows of the lake and new rows name people in the same way.

        An upload counts if it has rows, or lies in the folder of a person, whose name is in the ledger then.

        Args:
            ledger: rows of ``bronze/uploads``.

        Raises:
            LakeError: if the lake has rows that were ingested with another key, or without one.
        """
        others = {row["pseudonym_key"] for row in ledger if row["rows_read"] or row.get("person")} - {self.check}
        if not others:
            return
        if self.check is None:
            raise LakeError(
                "This lake holds pseudonyms in place of user ids, and FITNESS_PSEUDONYM_KEY is not set: set it to the "
                "key of this lake."
            )
        if None in others:
            raise LakeError(
                "This lake holds user ids as they were uploaded, and FITNESS_PSEUDONYM_KEY is set: remove the "
                "variable, or ingest the uploads into an empty lake."
            )
        raise LakeError(
            "FITNESS_PSEUDONYM_KEY is not the key of this lake: with another key every person would get a second "
            f"pseudonym. The check value of the lake's key is {', '.join(sorted(others))}, that of yours {self.check}."
        )

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


AS_UPLOADED = Pseudonyms(None)
"""Leaves ids as they are."""


def pseudonyms_of(settings: Settings) -> Pseudonyms:
    """The pseudonyms for the key in the settings."""
    return Pseudonyms(settings.pseudonym_key.get_secret_value() if settings.pseudonym_key else None)
