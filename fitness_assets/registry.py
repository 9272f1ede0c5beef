"""All tables of the project, upstream tables first, and the data dictionary page that describes them."""

from collections.abc import Iterator, Sequence

from fitness_assets.bronze.tables import TABLES as BRONZE
from fitness_assets.coach.tables import TABLES as COACH
from fitness_assets.gold.tables import TABLES as GOLD
from fitness_assets.predictions.tables import TABLES as PREDICTIONS
from fitness_assets.quality.tables import TABLES as QUALITY
from fitness_assets.schema.table import Column, Table, number_text
from fitness_assets.silver.tables import TABLES as SILVER

PUBLISH_GROUPS: tuple[tuple[Table, ...], ...] = (BRONZE, SILVER, GOLD, PREDICTIONS, QUALITY, COACH)
"""The tables that one layer step writes. They share a version, and are published and rolled back together."""

TABLES: tuple[Table, ...] = tuple(table for group in PUBLISH_GROUPS for table in group)


def publish_group_of(key: str) -> tuple[Table, ...]:
    """The tables that are published together with ``layer/table``.

    Raises:
        KeyError: if there is no such table.
    """
    return next((group for group in PUBLISH_GROUPS if key in {table.key for table in group}), ()) or _unknown(key)


def publish_groups_of(tables: Sequence[Table]) -> list[tuple[Table, ...]]:
    """The publish groups of some tables, each once, upstream groups first."""
    return [group for group in PUBLISH_GROUPS if not {*group}.isdisjoint(tables)]


def table_of(key: str) -> Table:
    """The table ``layer/table``.

    Raises:
        KeyError: if there is no such table.
    """
    return next(table for table in publish_group_of(key) if table.key == key)


def page() -> str:
    """The data dictionary as Markdown, for analysts."""
    return "\n".join(_page_lines()) + "\n"


def _unknown(key: str) -> tuple[Table, ...]:
    raise KeyError(f"there is no table {key}; there are {', '.join(table.key for table in TABLES)}")


def _page_lines() -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield (
        "Generated from the declarations of the tables by `python -m fitness_assets dictionary > docs/dictionary.md`. "
        "The column `check` names the check that reports a rule in the Dagster UI; [standards](standards.md) says what "
        "the codes mean."
    )
    for table in TABLES:
        yield from ("", f"## {table.key}", "", table.description, "")
        grain, key = table.grain.removeprefix("one "), ", ".join(f"`{name}`" for name in table.primary_key)
        yield f"One row for each {grain}; primary key: {key}."
        yield from ("", "| column | type | unit | may be empty | values | meaning | codes | made from | example |")
        yield "|---|---|---|---|---|---|---|---|---|"
        yield from map(_column_line, table.columns)
        yield from ("", "| rule | check | if it fails | what holds |", "|---|---|---|---|")
        for rule in table.all_rules:
            yield f"| `{rule.name}` | `{rule.check}` | {_CONSEQUENCE[rule.severity]} | {rule.description} |"


_CODES = {"loinc": "LOINC", "ucum": "UCUM", "schema": "schema"}
_CONSEQUENCE = {"blocking": "not published", "error": "error, published", "warning": "warning, published"}


def _column_line(column: Column) -> str:
    values = " to ".join(map(number_text, column.range)) if column.range else ", ".join(column.allowed)
    sources = ", ".join(f"`{source}`" for source in column.sources)
    nullable = "yes" if column.nullable else "no"
    codes = ", ".join(f"{_CODES[name]} `{code}`" for name, code in column.codes.items())
    note = f" ({column.standard.note})" if column.standard and column.standard.note else ""
    cells = (f"`{column.name}`", column.type, column.unit or "", nullable, values, column.description, codes + note)
    return f"| {' | '.join(cells)} | {sources} | {column.example} |"
