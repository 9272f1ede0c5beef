"""Mutated uploads: nothing may crash, no row may be lost, and no value may differ from what the file says.

A good file is written in another way (delimiter, encoding, quotes, blanks, markers of missing values), which must
change no value; or it is damaged (bytes, cells or lines lost, doubled or swapped), and then each value that is typed
must still stand in the file.

usage: python -m fitness_assets_tests.tools.fuzz_inputs [FILES] [SEED]
"""

import csv
import gzip
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import SparkSession

from fitness_assets.bronze.assets import bronze_step
from fitness_assets.bronze.readers.cells import BLANKS
from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, RAW_COLUMNS, UPLOADS
from fitness_assets.engine.layer_step import StepRun, run_step
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore

_NAMES = [column.name for column in RAW_COLUMNS]
_BATCH = 250  # uploads of one run
_MARKERS = ("", "NA", "n/a", "NULL", "none", "NaN", "\\N", "-", "--")

Row = dict[str, Any]


@dataclass
class Mutant:
    """A mutated file, and what it says; None where that is not known, because it was damaged."""

    content: bytes
    says: list[Row] | None
    what: str


def good_rows(random: Random) -> list[Row]:
    """Rows as they are meant; None for what was not measured."""
    rows = []
    for number in range(random.randint(0, 12)):
        row: Row = {
            "user_id": random.choice(
                ["17", "017", "anna", "Zoë", "a b", "x;y", "O'Neil", "名前", "12345678901234567890"]
            ),
            "age": random.randint(18, 99),
            "gender": random.choice("MF"),
            "date": f"20{random.randint(10, 29)}-{random.randint(1, 12):02}-{number + 1:02}",
            "steps": random.choice([0, 950, 8_120, 10_000, random.randint(0, 60_000)]),
            "heart_rate_avg": round(random.uniform(40, 180), 1),
            "sleep_hours": round(random.uniform(2, 12), 2),
            "calories_burned": round(random.uniform(500, 5_000), 1),
            "exercise_minutes": round(random.uniform(0, 200), 1),
            "stress_level": random.randint(1, 10),
            "weight_kg": round(random.uniform(40, 150), 1),
            "bmi": round(random.uniform(15, 45), 1),
        }
        for name in _NAMES:
            if name not in ("user_id", "date", "steps") and random.random() < 0.1:
                row[name] = None
        rows.append(row)
    return rows


def written(rows: list[Row], random: Random) -> tuple[bytes, str]:
    """Rows in one of the ways in which people write them; no value changes."""
    delimiter, names = random.choice(",;\t"), _NAMES + random.choice([[], ["note"], ["note", "note", ""]])
    # A decimal comma is proven only where every number that has decimals has one.
    comma = delimiter != "," and random.random() < 0.3
    order = random.sample(range(len(names)), len(names))
    quote_all, trailing, pad = (random.random() < share for share in (0.3, 0.15, 0.2))
    end = random.choice(["\n", "\r\n", "\r"])

    def cell(row: Row, name: str) -> str:
        value = row.get(name)
        if name not in _NAMES:
            return random.choice(["", "x", "tired, but well", 'said "hi"', "1;2", "two\nlines"])
        if value is None:
            text = random.choice(_MARKERS)
        elif isinstance(value, float):
            text = str(value).replace(".", "," if comma else ".")
        elif name == "date":
            text = random.choice([value, value.replace("-", "/"), f"{value}T00:00:00", f"{value} 00:00:00Z"])
        elif name == "gender":
            text = random.choice([value, value.lower(), {"M": "male", "F": "Female"}[value]])
        else:
            text = str(value)
        return f"{random.choice(BLANKS[9:])}{text} " if pad and delimiter != "\t" and random.random() < 0.3 else text

    text = io.StringIO()
    # Beside other line ends the writer leaves a line feed in a cell unquoted.
    quoting = csv.QUOTE_ALL if quote_all or end == "\r" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow([random.choice([name, name.upper(), f" {name}"]) for name in (names[i] for i in order)])
    for row in rows:
        if random.random() < 0.1:
            text.write(random.choice([end, f"  {end}", f"{delimiter * 3}{end}"]))
        writer.writerow([*(cell(row, names[i]) for i in order), *([""] if trailing else [])])
    encodings = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]
    encoding = random.choice(encodings)
    content = text.getvalue().encode(encoding)
    if random.random() < 0.2:
        content = gzip.compress(content)
    return content, f"{delimiter!r} {encoding} comma={comma} quoted={quote_all} trailing={trailing} pad={pad} {end!r}"


def damaged(content: bytes, random: Random) -> tuple[bytes, str]:
    """A file that was cut, or of which something was lost, doubled or swapped."""
    lines = content.splitlines(keepends=True)
    at, other = random.randrange(len(content) or 1), random.randrange(len(lines) or 1)

    def line(change: Callable[[bytes], bytes]) -> bytes:
        return b"".join(change(each) if number == other else each for number, each in enumerate(lines))

    signs = [
        b'"',
        b",",
        b";",
        b"\t",
        b"\0",
        b".",
        b"\n",
        b"\r",
        b" ",
        b"-",
        b"\xff",
        b"NA",
        b"\xe2\x80\x8b",
        b"=",
        b"e",
    ]
    kinds: dict[str, Callable[[], bytes]] = {
        "cut": lambda: content[:at],
        "byte lost": lambda: content[:at] + content[at + 1 :],
        "byte changed": lambda: content[:at] + bytes([random.randrange(256)]) + content[at + 1 :],
        "sign added": lambda: content[:at] + random.choice(signs) + content[at:],
        "line lost": lambda: line(lambda _: b""),
        "line doubled": lambda: line(lambda each: each * 2),
        "line cut": lambda: line(lambda each: each[: len(each) // 2] + b"\n"),
        "cell lost": lambda: line(lambda each: re.sub(rb"[,;\t][^,;\t]*", b"", each, count=1)),
        "cell added": lambda: line(lambda each: re.sub(rb"([,;\t])", rb"\1x\1", each, count=1)),
        "null bytes at the end": lambda: content + b"\0" * random.randrange(1, 5_000),
        "pieces swapped": lambda: content[at:] + content[:at],
    }
    kind = random.choice([*kinds])
    return kinds[kind](), kind


def mutants(count: int, seed: int) -> Iterator[Mutant]:
    """Files, the same for the same seed."""
    for number in range(count):
        random = Random(f"{seed} {number}")
        rows = good_rows(random)
        content, how = written(rows, random)
        if random.random() < 0.5:
            yield Mutant(content, rows, f"file {number} of seed {seed}: {how}")
            continue
        times, kinds = random.randint(1, 3), []
        for _ in range(times):
            content, kind = damaged(content, random)
            kinds.append(kind)
        yield Mutant(content, None, f"file {number} of seed {seed}: {how}, {', '.join(kinds)}")


def faults(spark: SparkSession, folder: Path, files: list[Mutant]) -> list[str]:
    """What is wrong with what becomes of some files, which one run ingests."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    by_name = {f"{number}.csv": file for number, file in enumerate(files)}
    for name, file in by_name.items():
        (raw / name).write_bytes(file.content)
    lake = Lake(LocalStore(folder / "lake"), lambda: spark)
    staging = run_step(bronze_step(str(raw)), StepRun(lake, "fuzz", getLogger(__name__)), [])
    lake.publish(staging)
    ledger, days, malformed = (lake.rows(table) for table in (UPLOADS, LOGGED_DAYS, QUARANTINE))
    found: list[str] = []
    for row in ledger:
        name = Path(row["uri"]).name
        mine = sorted((d for d in days if d["upload_id"] == row["upload_id"]), key=lambda d: d["row_number"])
        lost = [m for m in malformed if m["upload_id"] == row["upload_id"]]
        numbers = sorted(r["row_number"] for r in [*mine, *lost])
        if numbers != [*range(1, row["rows_read"] + 1)]:
            found.append(f"{by_name[name].what}: rows {numbers} of {row['rows_read']}")
        found += [f"{by_name[name].what}: {fault}" for fault in _wrong(by_name[name], row, mine, lost)]
    return found


def _wrong(file: Mutant, ledger: Row, days: list[Row], malformed: list[Row]) -> Iterator[str]:
    seen = [{name: str(day[name]) if name == "date" else day[name] for name in _NAMES} for day in days]
    if file.says is not None:
        if ledger["refusal"] or malformed or seen != file.says:
            yield f"{ledger['refusal']} {[m['reasons'] for m in malformed]}: {seen} instead of {file.says}"
        return
    text = _text(file.content) if seen else ""
    for day in seen:
        for name in _NAMES:
            if day[name] is not None and not _stands_in(text, name, day[name]):
                yield f"{name} = {day[name]!r} is not in the file"


def _text(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    if content[:4].count(0) == 2:
        encoding = "utf-16-be" if content[0] == 0 else "utf-16-le"
    return content.decode(encoding, "replace").replace("\0", "")


def _stands_in(text: str, name: str, value: Any) -> bool:
    """Whether a cell with this value is in a text, by a plain look at what is between delimiters and quotes."""
    if name == "user_id":
        return (
            True  # text of any kind, in any encoding; that it stays with its numbers is told by the rows that are whole
        )
    tokens = {token.strip(BLANKS) for token in re.split(r'[,;\t\n\r"]', text)}
    if name == "gender":
        return any(token.upper() in (value, {"M": "MALE", "F": "FEMALE"}[value]) for token in tokens)
    if name == "date":
        year, month, day = map(int, value.split("-"))
        return any(re.match(rf"{year}[-/]0?{month}[-/]0?{day}(\D|$)", token) for token in tokens)
    whole = {token.strip(BLANKS).replace(",", ".") for token in re.split(r'[;\t\n\r"]', text)}
    return any(_number(token) == value for token in tokens | whole)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def main(count: int = 2_000, seed: int = 1) -> int:
    """Try some files on Sail; prints what is wrong."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    address = server.listening_address
    assert address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{address[1]}").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    files, found = [*mutants(count, seed)], []
    for start in range(0, count, _BATCH):
        with TemporaryDirectory() as folder:
            found += faults(spark, Path(folder), files[start : start + _BATCH])
        sys.stdout.write(f"{min(start + _BATCH, count)} files, faults: {len(found)}\n")
    sys.stdout.write("".join(f"{fault}\n" for fault in found))
    return bool(found)


if __name__ == "__main__":
    status = main(*map(int, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(status)  # the client of Spark Connect would keep the process for a minute
