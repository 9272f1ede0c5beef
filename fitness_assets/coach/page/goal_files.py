"""Writes accepted goals as files into ``raw/goals/``, and nowhere else."""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.sources import Folder, Prefix, source_of
from fitness_assets.coach.goals import Goal


def save(goals: str, goal: Goal) -> str:
    """Write a goal as a new file, as a whole or not at all; returns where it is.

    Nothing that a person states is part of the name.

    Args:
        goals: a folder or an S3 prefix.
        goal: the goal.

    Raises:
        OSError: if it cannot be written.
    """
    content = json.dumps(goal.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=1).encode()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.json"
    source = source_of(goals)
    if isinstance(source, Prefix):
        return _put(source.bucket, f"{source.prefix}/{name}", content)
    assert isinstance(source, Folder)  # noqa: S101, there is no third kind
    return _write(source.path / name, content)


def _put(bucket: Bucket, key: str, content: bytes) -> str:
    bucket.put_if_unchanged(key, content, before=None)
    return bucket.uri(key)


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")  # a hidden file is no upload
    with draft.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return str(path)
