"""Every ``FITNESS_`` variable, typed and validated once.

Here belongs what a user may set and what it may be. Not here: Spark, AWS, or anything that is done with a setting.
"""

from pathlib import Path
from typing import Literal

import click
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "FITNESS_"
_GLOB_CHARACTERS = "*?[]{}\\"


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

    storage_mode: Literal["local"] = Field(default="local", description="'local'")
    local_root: Path = Field(
        default=Path("data"), description="a folder for the local lake, without any of " + _GLOB_CHARACTERS
    )
    raw_path: Path | None = Field(default=None, description="a CSV file or a folder of uploads")
    training_rows: int = Field(
        default=20_000, ge=1_000, description="a whole number of rows, at least 1000, that models are learned from"
    )
    sns_topic_arn: str | None = Field(
        default=None, pattern=r"^arn:aws[\w-]*:sns:[\w-]+:\d{12}:[\w.-]+$", description="the ARN of an SNS topic"
    )
    spark_remote: str | None = Field(
        default=None, pattern=r"^sc://\S+$", description="a Spark Connect URL such as sc://host:15002"
    )
    spark_master: str = Field(default="local[*]", pattern=r"^\S+$", description="a Spark master such as local[*]")
    spark_conf: str = Field(default="", description="Spark properties as key=value, separated by ';'")

    @field_validator("local_root")
    @classmethod
    def _no_glob(cls, root: Path) -> Path:
        if any(character in str(root) for character in _GLOB_CHARACTERS):  # Spark would read them as patterns
            raise ValueError
        return root

    @field_validator("spark_conf")
    @classmethod
    def _key_value_pairs(cls, text: str) -> str:
        _pairs(text)
        return text

    @property
    def raw(self) -> Path:
        """Where uploads are looked for: ``raw_path``, or else the lake's own ``raw/``."""
        return self.raw_path or self.local_root / "raw"

    @property
    def spark_properties(self) -> dict[str, str]:
        """``spark_conf`` as a mapping."""
        return _pairs(self.spark_conf)


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    properties = {key.strip(): value.strip() for key, _, value in pairs}
    if not all(key and value for key, value in properties.items()):
        raise ValueError
    return properties


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
