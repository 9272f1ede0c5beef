"""One engine in a process of its own that types rows: a process can have Spark itself or Spark Connect, not both.

usage: python -m fitness_assets_tests.bronze.typing_process sail|spark
Each line of its input is a Parquet file with rows as readers give them. It writes what becomes of them beside that
file and answers with a line.
"""

import sys
from pathlib import Path

from pyspark.sql import SparkSession

from fitness_assets.bronze import transforms


def session(engine: str) -> SparkSession:
    """The engine."""
    if engine == "sail":
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        _, port = server.listening_address
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    else:
        builder = SparkSession.builder.master("local[1]").config("spark.driver.bindAddress", "127.0.0.1")
        spark = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false").getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    return spark


def main(engine: str) -> None:
    """Type files until the input ends."""
    spark = session(engine)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        typed = transforms.typed(spark.read.schema(transforms.STORED).parquet(str(path)))
        for name, frame in (("logged", transforms.logged_days(typed)), ("malformed", transforms.quarantine(typed))):
            frame.write.parquet(str(path.with_name(f"{path.stem}-{engine}-{name}")))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
