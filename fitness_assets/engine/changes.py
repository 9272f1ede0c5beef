"""Decides what a step has to make anew (nothing, some months, or everything), and why.

The metadata of a version names the input versions and the code that it was made from. Months differ between two input
versions if their files differ. Only the names of files are compared; no file is read.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fitness_assets.lake.lake import Lake
from fitness_assets.lake.version import VersionMetadata
from fitness_assets.schema.months import WHOLE
from fitness_assets.schema.table import Table

Inputs = Mapping[str, str]
"""Versions of the tables that a step reads, by key."""


@dataclass(frozen=True)
class Changes:
    """How the inputs of a step differ from those of its current version.

    Attributes:
        because: why the step makes a new version, for people.
        base: metadata of the current version of the step's last table, on which the new version builds; None:
            everything is made anew.
    """

    because: str
    base: VersionMetadata | None = None

    def months(self, lake: Lake, table: Table, inputs: Inputs) -> set[str] | None:
        """The months in which an input has other files than the base was made from; None: it may be every month."""
        before = self.base.inputs.get(table.key) if self.base else None
        found = lake.store.changed_months(table, before, inputs[table.key]) if before else None
        return None if found is None or WHOLE in found else found


NO_CHANGES = Changes("")
"""For a step that looks for uploads of its own, when no table changed that it reads."""


def changes(
    lake: Lake, tables: Sequence[Table], reads: Sequence[Table], inputs: Inputs, code_version: str, is_rebuild: bool
) -> Changes | None:
    """Compare the inputs of a step with those of its current version; None: nothing changed.

    Args:
        lake: the lake.
        tables: the tables of the step.
        reads: the tables that it reads.
        inputs: the versions of these.
        code_version: of the step.
        is_rebuild: whether a person asked to make everything anew.
    """
    current = lake.current(tables[-1])
    if current is None:
        return Changes("first version")
    if lost := [table.key for table in tables if not lake.store.files(table, current)]:
        return Changes(f"version {current} of {', '.join(lost)} has lost its files: everything is made anew")
    base = lake.metadata(tables[-1], current)
    if is_rebuild:
        return Changes("a person asked to make everything anew")
    if base.code_version != code_version:
        return Changes("the code that makes it changed: everything is made anew")
    if dict(base.inputs) == dict(inputs):
        return None
    for table in reads:
        now = inputs[table.key]
        if now < base.inputs.get(table.key, ""):
            return Changes(f"{table.key} was rolled back to version {now}: everything is made anew")
    moved = [f"{key} version {version}" for key, version in inputs.items() if version != base.inputs.get(key)]
    return Changes(f"new input: {', '.join(moved)}", base)


@cache
def code_version(*modules: str) -> str:
    """A short hash of the code of some packages and modules, by names below ``fitness_assets`` (``silver``).

    It changes whenever schema, rules or transforms do, and sometimes when only a comment does.
    """
    digest, root = hashlib.sha256(), files("fitness_assets")
    for name in sorted(modules):
        place = root.joinpath(*name.split("."))
        found = [each for each in place.iterdir() if each.name.endswith(".py")] if place.is_dir() else []
        for file in sorted(found, key=lambda each: each.name) or [root.joinpath(f"{name.replace('.', '/')}.py")]:
            digest.update(file.read_text("utf-8").encode())  # as text, so that line ends do not count
    return digest.hexdigest()[:12]
