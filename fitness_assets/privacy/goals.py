"""Goals as they lie in ``raw/goals/``: without those of a person."""

from logging import Logger
from pathlib import Path

from fitness_assets.bronze.erasures import People
from fitness_assets.bronze.sources import Folder, source_of
from fitness_assets.coach.goals import read_goals
from fitness_assets.lake.version import LakeError
from fitness_assets.privacy.uploads import delete


def files_of(goals: str, people: People, scratch: Path) -> list[str]:
    """The goal files in which some people have goals.

    Args:
        goals: a folder or an S3 prefix.
        people: whose goals are looked for.
        scratch: a folder for copies of objects.

    Raises:
        LakeError: if a file has goals of other people, too.
        OSError: if a file cannot be read.
    """
    source, found = source_of(goals), list[str]()
    if isinstance(source, Folder) and not source.path.exists():
        return found
    for file in source.find():
        with source.local_copy(file, scratch) as path:
            ids = [entry.goal.user_id if entry.goal else entry.user_id for entry in read_goals(path, file.text)]
        theirs = [people.have(user_id) for user_id in ids]
        if any(theirs) and not all(theirs):
            raise LakeError(f"{file.text} has goals of several people: give each person a file, then erase again.")
        if any(theirs):
            found.append(file.uri)
    return found


def delete_goals(goals: str, people: People, scratch: Path, log: Logger) -> None:
    """Delete the goal files of some people."""
    files = files_of(goals, people, scratch)
    for uri in files:
        delete(uri)
    if files:
        log.info(f"files of goals deleted: {len(files)}")
