"""The IO manager: it publishes staged versions and loads tables as Spark frames."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from fitness_assets.engine.memory import memory_bytes
from fitness_assets.engine.sail import s3_failure
from fitness_assets.engine.session import lost_server
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.room import LackOfRoomError, lack_of_room
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.registry import publish_group_of, table_of
from fitness_assets.schema.table import Table

IO_MANAGER_KEY = "spark_io_manager"

_RETRIES = 3


class SparkIOManager(dg.IOManager):
    """Publishes staged versions of tables and loads tables as Spark frames.

    Args:
        lake: the lake that holds the tables.
        register: enters published tables in a catalog.
    """

    def __init__(self, lake: Lake, register: Callable[[Sequence[Table]], None] | None = None) -> None:
        self._lake = lake
        self._register = register

    def handle_output(self, context: dg.OutputContext, obj: Staging) -> None:
        """Make the staged version the current one, together with the other tables of its step."""
        with plain_failures(self._lake):
            if self._lake.publish(obj) and self._register:
                self._register(obj.tables)

    def load_input(self, context: dg.InputContext) -> DataFrame:
        """The current version of a table, for assets of others and for `dagster.Definitions.load_asset_value`.

        The layer steps themselves read tables by version, and only the months that they need.
        """
        key = "/".join(context.asset_key.path)
        with plain_failures(self._lake):
            self._lake.recover(publish_group_of(key))
            return self._lake.read(table_of(key))


@contextmanager
def plain_failures(lake: Lake) -> Iterator[None]:
    """Turn an error that a person can solve into a Dagster failure of one sentence, and a conflict into a retry."""
    try:
        with _plain_lack_of_room(lake):
            yield
    except VersionConflictError as conflict:
        raise dg.RetryRequested(_RETRIES, seconds_to_wait=1) from conflict
    except LakeError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except (PermissionError, NotADirectoryError) as error:
        needs = "FITNESS_LOCAL_ROOT has to be a folder that this user may write to, and uploads files that it may read"
        raise dg.Failure(f"{error}: {needs}.", allow_retries=False) from None
    except OSError as error:  # its text does not say what was tried, so the stack trace stays
        raise dg.Failure(str(error), allow_retries=False) from error
    except PySparkException as error:
        if lost := lost_server(error):
            raise dg.Failure(lost, allow_retries=False) from None
        if isinstance(lake.store, S3Store) and (said := s3_failure(error)):
            uri = lake.store.bucket.uri("")
            what = (
                f"S3 did not answer Sail for a file below {uri}: {said.rstrip('. ')}. Published tables stay as they are"
            )
            advice = "look at the network, AWS_ENDPOINT_URL and the permissions, and run again"
            raise dg.Failure(f"{what}: {advice}.", allow_retries=False) from None
        raise


@contextmanager
def _plain_lack_of_room(lake: Lake) -> Iterator[None]:
    """Say in one sentence that the disk or the memory is not enough, whoever reported it."""
    try:
        yield
    except LackOfRoomError:
        raise
    except Exception as error:
        if lack := lack_of_room(error, lake.store.disk, memory_bytes()):
            raise LackOfRoomError(lack) from error
        raise
