"""Uploads of six people, and of one more with an id and values that nobody else has."""

import gzip
import json
from collections.abc import Sequence
from io import BytesIO

from fitness_assets.sample import rows as sample_rows
from fitness_assets_tests.conftest import HEADER

PERSON = "ada-planted-1815"


def planted(day: int) -> tuple[str, str, str]:
    """Steps, heart rate and weight of a day of the person; nobody else has these values."""
    return f"{43_211 + day}", f"{61.7771 + day:.4f}", f"{91.3337 + day:.4f}"


DISTINCTIVE = [value for day in range(1, 5) for value in planted(day)]


def uploads(with_person: bool) -> dict[str, bytes]:
    """Files of six people and, perhaps, of one more, whose rows are first, last, in the middle, malformed, alone."""
    people = [[",".join(cells) for cells in user] for user in sample_rows(6, 40, 3)]
    lines = [line for user in people for line in user]
    theirs = [
        f"{PERSON},36,F,2023-01-{day:02},{steps},{heart_rate},7.1,2222,35,4,{weight},23.9"
        for day in range(1, 5)
        for steps, heart_rate, weight in [planted(day)]
    ]
    malformed = [
        f"{PERSON},36,F,2023-01-09,8k,{theirs[0].split(',')[5]},7,2222,35,4,70,23",
        f"{PERSON},36",
        f"42,{PERSON},x",
    ]
    bad = "6,36,F,2023-01-09,8k,70,7,2222,35,4,70,23"
    if not with_person:
        theirs, malformed = [], []
    first = [*theirs[:1], *lines[:70], *theirs[1:2], bad, *malformed, *lines[70:140], *theirs[2:3]]
    second = [*theirs[3:], *lines[140:]]
    files = {"first.csv": ("\n".join([HEADER, *first]) + "\n").encode(), "second.csv.gz": packed([HEADER, *second])}
    for name, users in (("goals/days.csv", (PERSON, "1", "2", PERSON)), ("goals/all.json", ("3", PERSON, "4"))):
        files[name] = goals(name, [user for user in users if user != PERSON or with_person])
    if with_person:
        files["alone.csv"] = "\n".join([HEADER, *theirs]).encode()
    return files


def goals(name: str, users: Sequence[str]) -> bytes:
    """A goal file of some people; the goal of "4" is refused."""
    stated = [{"user_id": user, "start": f"2024-01-0{user}" if len(user) == 1 else "2023-01-04"} for user in users]
    stated = [{**goal, "target_steps": "many" if goal["user_id"] == "4" else "9000", "notes": ""} for goal in stated]
    if name.endswith(".json"):
        return json.dumps(stated, indent=1).encode()
    return "\n".join([",".join(stated[0]), *(",".join(goal.values()) for goal in stated), ""]).encode()


def packed(lines: list[str]) -> bytes:
    content = BytesIO()
    with gzip.GzipFile("", "wb", fileobj=content, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return content.getvalue()


NEEDLES = [PERSON, *DISTINCTIVE]
"""What has to be nowhere once the person is erased."""
