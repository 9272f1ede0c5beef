"""One engine in a process of its own that types rows: a process can have Spark itself or Spark Connect, not both.

usage: python -m fitness_assets_tests.bronze.typing_process sail|spark
Each line of its input is a Parquet file with rows as readers give them. It writes what becomes of them beside that
file and answers with a line.
"""

import os
import sys
import traceback
from pathlib import Path

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

from fitness_assets.bronze import transforms


def start(engine: str) -> tuple[SparkSession, SparkConnectServer | None]:
    """A session, and Sail's server, which ends with the object that stands for it."""
    if engine == "sail":
        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        address = server.listening_address
        assert address
        return SparkSession.builder.remote(f"sc://127.0.0.1:{address[1]}").getOrCreate(), server
    builder = SparkSession.builder.master("local[1]").config("spark.driver.bindAddress", "127.0.0.1")
    return builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false").getOrCreate(), None


def main(engine: str) -> None:
    """Type files until somebody ends this process."""
    session, _server = start(engine)
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.ansi.enabled", "true")
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        typed = transforms.typed(session.read.schema(transforms.STORED).parquet(str(path)))
        for table, frame in (("logged", transforms.logged_days(typed)), ("malformed", transforms.quarantine(typed))):
            frame.write.parquet(str(path.with_name(f"{path.stem}-{engine}-{table}")))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # threads of the engines would keep the process, and whoever waits for it
