"""Generate a file like the public one, with the same kinds of flaws.

Example: fitness sample --users 50 --days 365 --seed 1 --out data/raw/mine.csv

Each measure is drawn independently from a plausible distribution, as in the public file. Measures do not depend on each
other or on earlier days, so no model has skill on this data, except for what the definition of a target reveals.

With `--realistic`, people differ, a day resembles the day before, weight follows energy, and sleep depends on stress.
Keep that file in a lake of its own. With `--export garmin`, and other kinds, the command makes an archive of one
person's devices, like the vendor's own.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random

import click

from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.sample import apple_health, garmin, google_health, health_connect, realistic, web_tables
from fitness_assets.sample.life import LivedDay, lived

FIRST_DAY = date(2024, 1, 1)

EXPORTS: dict[str, Callable[[Path, Sequence[LivedDay]], None]] = {
    "apple": apple_health.write,
    "garmin": garmin.write,
    "google": google_health.write,
    "health-connect": health_connect.write,
}
"""What writes an archive of each kind that has records of single moments; `web_tables.WRITERS` writes the others."""

_REALISTIC = Path("realistic/raw/people.csv")
"""In a lake of its own: the audit judges all people of a lake together."""
_OUT = f"data/raw/sample.csv, {_REALISTIC}, or data/raw/people/KIND/export.zip"

# The share of rows with each flaw.
GAP = 0.012
REPEATED = 0.004
NEGATIVE = 0.004
ZERO_STEPS = 0.004
IMPOSSIBLE = 0.003
EMPTY = 0.003
UNPARSEABLE = 0.0005

_IMPOSSIBLE = {
    "heart_rate_avg": "260.0",
    "sleep_hours": "0.5",
    "calories_burned": "15000.0",
    "weight_kg": "410.0",
    "age": "130",
    "stress_level": "11",
    "bmi": "75.0",
}
_UNPARSEABLE = ("n/a", "8,000", "--", "12:30", "NaN", "unknown")


def rows(users: int, days: int, seed: int) -> Iterator[list[list[str]]]:
    """Yield the rows of each user, as text cells in the order of the raw columns.

    Args:
        users: the number of people.
        days: the number of days, starting with `FIRST_DAY`.
        seed: the same seed gives the same rows.
    """
    random = Random(seed)  # noqa: S311
    names = [column.name for column in RAW_COLUMNS]
    for user in range(1, users + 1):
        lines: list[list[str]] = []
        for values in _days_of(str(user), days, random):
            if random.random() < GAP:
                continue
            _flaw(values, random)
            lines.append([values[name] for name in names])
            if random.random() < REPEATED:
                lines.append(lines[-1])
        yield lines


def _days_of(user_id: str, days: int, random: Random) -> Iterator[dict[str, str]]:
    born = FIRST_DAY - timedelta(days=random.randint(18 * 366, 79 * 365))
    gender = random.choice("MF")
    height = random.gauss(1.76 if gender == "M" else 1.63, 0.07)
    usual_weight = min(max(random.gauss(25, 3.5), 18), 38) * height**2
    for day in (FIRST_DAY + timedelta(days=n) for n in range(days)):
        steps = int(min(max(random.gauss(8_000, 2_500), 300), 30_000))
        weight = round(min(max(random.gauss(usual_weight, 2), 40), 160), 1)
        yield {
            "user_id": user_id,
            "age": str(realistic.age_on(day, born)),
            "gender": gender,
            "date": day.isoformat(),
            "steps": str(steps),
            "heart_rate_avg": f"{min(max(random.gauss(75, 10), 45), 150):.1f}",
            "sleep_hours": f"{min(max(random.gauss(7, 1.3), 3), 12):.1f}",
            "calories_burned": f"{min(max(random.gauss(2_300, 250), 900), 6_000):.1f}",
            "exercise_minutes": f"{min(max(random.gauss(45, 15), 0), 180):.1f}",
            "stress_level": str(random.randint(1, 10)),
            "weight_kg": f"{weight:.1f}",
            "bmi": f"{weight / height**2:.1f}",
        }


def _flaw(values: dict[str, str], random: Random) -> None:
    """Add the known flaws of the raw source to a row, each with its own small probability."""
    if random.random() < NEGATIVE:
        name = random.choice(("steps", "exercise_minutes"))
        values[name] = f"-{values[name]}"
    if random.random() < ZERO_STEPS:
        values["steps"] = "0"
    if random.random() < IMPOSSIBLE:
        name = random.choice(list(_IMPOSSIBLE))
        values[name] = _IMPOSSIBLE[name]
    if random.random() < EMPTY:
        values[random.choice(("heart_rate_avg", "sleep_hours", "stress_level", "weight_kg"))] = ""
    if random.random() < UNPARSEABLE:
        values[random.choice(("steps", "heart_rate_avg", "sleep_hours", "weight_kg"))] = random.choice(_UNPARSEABLE)


@click.command(help=__doc__)
@click.option("--users", default=50, show_default=True, type=click.IntRange(1), help="The number of people.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 36_500), help="The number of days.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same file.")
@click.option("--realistic", "is_realistic", is_flag=True, help="People who resemble real people; no flaws.")
@click.option(
    "--export",
    type=click.Choice([*EXPORTS, *web_tables.WRITERS]),
    help="Make an archive of one person's devices instead.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=f"The file. [default: {_OUT}]")
def main(users: int, days: int, seed: int, is_realistic: bool, export: str | None, out: Path | None) -> None:
    """Write the file and show a progress bar."""
    if is_realistic and export:
        raise click.UsageError("--realistic and --export are two kinds of files: name one of them.")
    out = out or _default_file(is_realistic, export)
    if out.exists():
        raise click.ClickException(f"{out} exists already: name another file with --out, or remove it first.")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.part")  # the sensor ignores hidden files, so it never sees half a file
    if export:
        (EXPORTS | web_tables.WRITERS)[export](draft, lived(days, seed))
        draft.replace(out)
        click.echo(f"{days:,} days of one person written to {out}")
        return
    made = (realistic.rows if is_realistic else rows)(users, days, seed)
    count = 0
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in RAW_COLUMNS])
        with click.progressbar(made, length=users, label=str(out)) as progress:
            for lines in progress:
                writer.writerows(lines)
                count += len(lines)
    draft.replace(out)
    click.echo(f"{count:,} rows of {users:,} users written to {out}")
    if out == _REALISTIC:
        click.echo(f"To build its tables: FITNESS_LOCAL_ROOT={_REALISTIC.parts[0]} fitness run")


def _default_file(is_realistic: bool, export: str | None) -> Path:
    if is_realistic:
        return _REALISTIC
    return Path("data/raw/sample.csv" if export is None else f"data/raw/people/{export}/export.zip")
