"""Every ``FITNESS_`` variable, typed and validated once.

This module defines the settings and their valid values. Other modules use them; this one needs neither Spark nor AWS.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import click
import yaml
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "FITNESS_"
_GLOB_CHARACTERS = "*?[]{}\\"
_OTHER_PREFIXES = ("predictions", "quality", "coach", "jobs", "compute-logs")  # of the bucket, in every lake
_DAGSTER_FOLDERS = {
    "storage": "runs",
    "run_storage": "runs",
    "event_log_storage": "events",
    "schedule_storage": "ticks of schedules and sensors",
    "local_artifact_storage": "files of runs",
    "compute_logs": "logs",
}
"""The blocks of ``dagster.yaml`` that may name a folder (``base_dir``), and what Dagster keeps there."""
_PREFIX_RULE = (
    "a prefix in the bucket that neither holds nor lies in another one, without / at its ends and any of "
    + _GLOB_CHARACTERS
)


class SettingsError(click.ClickException):
    """A setting is wrong or the machine lacks something; the message is one sentence for a person.

    A click exception, because the Dagster command line is built on click: it prints the sentence and exits with
    status 1, where any other exception would print a stack trace.
    """


class Settings(BaseSettings):
    """The settings of one code location, read from the environment and, below it, from ``.env``."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    storage_mode: Literal["local", "s3"] = Field(default="local", description="'local' or 's3'")
    local_root: Path = Field(
        default=Path("data"), description="a folder for the local lake, without any of " + _GLOB_CHARACTERS
    )
    s3_bucket: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="the name of a bucket, and set where FITNESS_STORAGE_MODE is s3",
        validate_default=True,
    )
    raw_prefix: str = Field(default="raw", description=_PREFIX_RULE)
    bronze_prefix: str = Field(default="bronze", description=_PREFIX_RULE)
    silver_prefix: str = Field(default="silver", description=_PREFIX_RULE)
    gold_prefix: str = Field(default="gold", description=_PREFIX_RULE)
    raw_path: str | None = Field(
        default=None,
        description="a CSV, a folder of uploads, or a prefix such as s3://bucket/raw, "
        "with neither tables of the lake nor DAGSTER_HOME in it",
    )
    glue_database: str | None = Field(
        default=None, pattern=r"^[a-z0-9_]{1,255}$", description="the name of a Glue database: a-z, 0-9 and _"
    )
    training_rows: int = Field(
        default=20_000, ge=1_000, description="a whole number of rows, at least 1000, that models are learned from"
    )
    stale_after_days: int = Field(
        default=2, ge=1, description="a whole number of days, after which daily tables without a new version are stale"
    )
    pseudonym_key: SecretStr | None = Field(
        default=None, min_length=16, description="a secret of at least 16 characters, the same for every run of a lake"
    )
    keep_versions: int = Field(
        default=5, ge=1, description="a whole number, at least 1: how many versions of each table stay"
    )
    keep_upload_days: int | None = Field(
        default=None, ge=1, description="a whole number of days, at least 1, after which ingested uploads are deleted"
    )
    sns_topic_arn: str | None = Field(
        default=None, pattern=r"^arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w.-]+$", description="the ARN of an SNS topic"
    )
    spark: str = Field(
        default="sail",
        pattern=r"^(sail|local(\[(\*|[1-9]\d*)(,\d+)?\])?|(spark|k8s|sc)://\S+|yarn"
        r"|process|glue:[A-Za-z0-9_.-]+|emr-serverless:[0-9a-z]+)$",
        description="'sail', local[*], spark://host:7077, yarn, k8s://https://host:6443, a Spark Connect URL such as "
        "sc://host:15002, 'process' or, where FITNESS_STORAGE_MODE is s3, 'glue:JOB' or 'emr-serverless:APPLICATION'",
    )
    executor: Literal["in_process", "multiprocess"] = Field(
        default="in_process", description="'in_process' or 'multiprocess'"
    )
    emr_role_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]+$",
        description="the ARN of the role of jobs on EMR Serverless, and set where FITNESS_SPARK is "
        "emr-serverless:APPLICATION",
        validate_default=True,
    )
    spark_conf: str = Field(default="", description="Spark properties as key=value, separated by ';'")

    @field_validator("local_root", "raw_prefix", "bronze_prefix", "silver_prefix", "gold_prefix")
    @classmethod
    def _no_glob(cls, place: Any) -> Any:
        if any(character in str(place) for character in _GLOB_CHARACTERS):  # Spark would read them as patterns
            raise ValueError
        return place

    @field_validator("s3_bucket")
    @classmethod
    def _given_where_needed(cls, bucket: str | None, info: ValidationInfo) -> str | None:
        if bucket is None and info.data.get("storage_mode") == "s3":
            raise ValueError
        return bucket

    @field_validator("raw_prefix", "bronze_prefix", "silver_prefix", "gold_prefix")
    @classmethod
    def _apart_from_others(cls, prefix: str, info: ValidationInfo) -> str:
        # Else one layer would find the files of another one among its own.
        others = [other for name, other in info.data.items() if name.endswith("_prefix")]
        if not all(prefix.split("/")) or _meets(prefix, [*others, *_OTHER_PREFIXES]):
            raise ValueError
        return prefix

    @field_validator("raw_path")
    @classmethod
    def _apart_from_tables(cls, path: str | None, info: ValidationInfo) -> str | None:
        # Else every run would find new files, those that it wrote, and ask for the next one.
        layers = [other for name, other in info.data.items() if name.endswith("_prefix") and name != "raw_prefix"]
        tables = [f"s3://{info.data.get('s3_bucket')}/{prefix}" for prefix in (*layers, *_OTHER_PREFIXES)]
        if info.data.get("storage_mode") == "s3" and path and _meets(path.rstrip("/"), tables):
            raise ValueError
        if path and not path.startswith("s3://") and _holds_own_files(Path(path).resolve(), info):
            raise ValueError
        return path

    @field_validator("spark")
    @classmethod
    def _jobs_read_a_bucket(cls, spark: str, info: ValidationInfo) -> str:
        if spark.startswith(("glue:", "emr-serverless:")) and info.data.get("storage_mode") != "s3":
            raise ValueError
        return spark

    @field_validator("emr_role_arn")
    @classmethod
    def _with_a_role(cls, role: str | None, info: ValidationInfo) -> str | None:
        if role is None and info.data.get("spark", "").startswith("emr-serverless:"):
            raise ValueError
        return role

    @field_validator("spark_conf")
    @classmethod
    def _key_value_pairs(cls, text: str) -> str:
        _pairs(text)
        return text

    @property
    def needs_java(self) -> bool:
        """Whether Spark itself runs in this process: alone, or as the driver of a cluster."""
        return self.spark.startswith(("local", "spark://", "k8s://", "yarn"))

    @property
    def job_service(self) -> str | None:
        """Where each step runs as a job: ``process``, ``glue`` or ``emr-serverless``; None: in this process."""
        service = self.spark.partition(":")[0]
        return service if service in ("process", "glue", "emr-serverless") else None

    @property
    def lake_bucket(self) -> str | None:
        """The bucket of the lake; None where the lake is local."""
        return self.s3_bucket if self.storage_mode == "s3" else None

    @property
    def raw(self) -> str:
        """Where uploads are looked for, a path or an S3 URI: ``raw_path``, or else the lake's own ``raw/``."""
        own = f"s3://{self.lake_bucket}/{self.raw_prefix}" if self.lake_bucket else str(self.local_root / "raw")
        return self.raw_path or own

    @property
    def goals(self) -> str:
        """Where goals are looked for, a path or an S3 URI: the folder ``goals`` below `raw`."""
        return f"{self.raw.rstrip('/')}/goals"

    @property
    def prefixes(self) -> dict[str, str]:
        """The prefix of each layer that does not lie under its own name in the bucket."""
        return {"bronze": self.bronze_prefix, "silver": self.silver_prefix, "gold": self.gold_prefix}

    @property
    def spark_properties(self) -> dict[str, str]:
        """``spark_conf`` as a mapping."""
        return _pairs(self.spark_conf)


def _holds_own_files(path: Path, info: ValidationInfo) -> bool:
    """Whether a folder holds tables of a local lake or Dagster's files, or lies among them."""
    root, home = info.data.get("local_root"), os.environ.get("DAGSTER_HOME")
    folders = [Path(home).resolve()] if home else []
    if root and info.data.get("storage_mode") == "local":
        folders += [root.resolve() / name for name in ("_versions", "bronze", "silver", "gold", *_OTHER_PREFIXES)]
    return _meets(str(path).rstrip("/"), [str(folder) for folder in folders])


def _meets(prefix: str, others: Iterable[str]) -> bool:
    """Whether a prefix holds one of others or lies in one."""
    return any(f"{prefix}/".startswith(f"{other}/") or f"{other}/".startswith(f"{prefix}/") for other in others)


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    properties = {key.strip(): value.strip() for key, _, value in pairs}
    if not all(key and value for key, value in properties.items()):
        raise ValueError
    return properties


def require_runs_in_dagster_home() -> None:
    """Make sure that runs are kept where the UI looks for them.

    Raises:
        SettingsError: if a folder of the instance is relative, so that it follows the working directory.
    """
    home = os.environ.get("DAGSTER_HOME")
    file = Path(home or "", "dagster.yaml")
    if not home or not file.is_file() or Path(home).resolve() == Path.cwd():
        return
    config = yaml.safe_load(file.read_text()) or {}
    for block in _DAGSTER_FOLDERS:
        settings = config.get(block) or {}
        folder = (settings.get("sqlite") or settings.get("config") or {}).get("base_dir")
        if isinstance(folder, str) and not Path(folder).is_absolute():
            raise SettingsError(
                f"{file} keeps {_DAGSTER_FOLDERS[block]} in {folder} of the working directory {Path.cwd()}, where the "
                f"UI may not find them: remove the block {block} from that file (they are then in DAGSTER_HOME), or "
                "give an absolute path."
            )


def load_settings() -> Settings:
    """Read and validate the settings.

    Raises:
        SettingsError: naming the variable, its value and what it may be.
    """
    try:
        return Settings()
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        # The value itself stays out of the sentence: Spark properties and URLs may carry a secret.
        raise SettingsError(f"{_PREFIX}{name.upper()} has to be {Settings.model_fields[name].description}.") from None
