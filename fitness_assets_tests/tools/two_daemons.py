"""Let two daemons work on one bucket: `python -m fitness_assets_tests.tools.two_daemons --minutes 60`.

Each daemon has a Dagster instance of its own, as on two machines. Meanwhile uploads arrive and are corrected, and now
and then a daemon is killed together with its runs and started again. In the end every upload is in bronze once, every
table is whole and made from the newest tables, both daemons ask for no further run, and every run has one message. A
daemon that is killed between sending a message and noting it sends it again; no more messages than that may come twice.
The bucket is on loopback. Not a test; a deployment test runs it for half a minute. At a fault it ends with status 1.
"""

import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import dagster as dg
import yaml

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.registry import PUBLISH_GROUPS, table_of
from fitness_assets.sample import rows as sample_rows
from fitness_assets_tests.cloud import Cloud, Inbox
from fitness_assets_tests.conftest import HEADER, new_bucket
from fitness_assets_tests.tools.kill_runs import check_whole
from fitness_assets_tests.whole_runs import Server, environment

_CONFIG = Path(__file__).parents[2] / "dagster.yaml"
_SETTLE_SECONDS = 900
_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass
class Daemon:
    """A daemon with its own Dagster instance.

    Attributes:
        server: its process.
        read: bytes of its log that were read.
        cut: how many times a kill interrupted the sensor that sends messages: it may have sent one and not noted it.
    """

    server: Server
    read: int = 0
    cut: int = 0

    def start(self) -> None:
        """Start the process. Runs that died with the one before end as failed; run monitoring does so after hours."""
        with self.instance() as instance:
            for run in instance.get_runs():
                if run.status not in _ENDED:
                    instance.report_run_failed(run)
        self.server.start(lambda: True)

    def kill(self) -> None:
        """Kill the process and its runs."""
        self.server.kill()
        log = self.server.log.read_text()
        begun, ended = (log.rfind(text) for text in ("for sensor: run_messages", "Sensor run_messages skipped"))
        self.cut += begun > ended

    def instance(self) -> dg.DagsterInstance:
        """The Dagster instance, opened in this process."""
        return dg.DagsterInstance.from_config(str(self.server.folder))

    def runs(self) -> dict[str, dg.DagsterRunStatus]:
        """All runs with their status, by id."""
        with self.instance() as instance:
            return {run.run_id: run.status for run in instance.get_runs()}

    def is_at_rest(self) -> bool:
        """Whether both sensors said, since the log was read, that there is nothing to do."""
        log = self.server.log.read_bytes()[self.read :].decode()
        looks = re.findall(r"Sensor new_uploads skipped: (.*)", log)
        told = re.findall(r"Sensor run_messages skipped: (.*)", log)
        return "all uploads ingested" in "".join(looks[-1:]) and "Runs told of: 0." in "".join(told[-1:])

    def read_log(self) -> None:
        """Forget what the sensors said until now."""
        self.read = self.server.log.stat().st_size


@dataclass
class Scene:
    """The bucket, the daemons, and what happened.

    Attributes:
        bucket: holds the lake.
        daemons: both of them.
        inbox: gets the messages.
        contents: the hash of every upload that is there, by name.
        put: the hashes of all uploads that ever were there.
        told: how many messages there are on each run.
    """

    bucket: Bucket
    daemons: Sequence[Daemon]
    inbox: Inbox
    contents: dict[str, str] = field(default_factory=dict)
    put: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)

    def lake(self) -> Lake:
        """The lake, without an engine."""

        def no_spark() -> Any:
            raise AssertionError("the lake is looked at without Spark")

        return Lake(S3Store(self.bucket, {}), no_spark)

    def upload(self, name: str, seed: int) -> None:
        """Put an upload, or correct the one of that name."""
        text = "\n".join([HEADER, *(",".join(cells) for user in sample_rows(2, 20, seed) for cells in user)]) + "\n"
        self.bucket.put(f"raw/{name}", text.encode())
        self.contents[name] = sha256(text.encode()).hexdigest()
        self.put.add(self.contents[name])

    def read_messages(self) -> None:
        """Count the runs that new messages tell of."""
        while messages := self.inbox.read():
            for message in messages:
                self.told.update(re.findall(r"/runs/([0-9a-f-]+)", message["Message"]))

    def runs(self) -> dict[str, dg.DagsterRunStatus]:
        """The runs of both daemons with their status, by id."""
        return {id_: status for daemon in self.daemons for id_, status in daemon.runs().items()}

    def settle(self) -> None:
        """Wait until all runs have ended and both daemons see nothing to do."""
        deadline, before = time.monotonic() + _SETTLE_SECONDS, None
        while (runs := self.runs()) != before or not all(daemon.is_at_rest() for daemon in self.daemons):
            if runs != before or not {*runs.values()} <= _ENDED:
                before = runs
                for daemon in self.daemons:
                    daemon.read_log()
            if time.monotonic() > deadline:
                logs = "\n".join(daemon.server.log.read_text()[-1_000:] for daemon in self.daemons)
                raise AssertionError(f"no rest after {_SETTLE_SECONDS} s: {runs}\n{logs}")
            time.sleep(1)

    def check(self) -> None:
        """Everything once: uploads, rows and messages; and every table made from the newest ones."""
        lake = self.lake()
        counts, ledger = check_whole(lake), lake.rows(UPLOADS)
        ingested = Counter(row["content_sha256"] for row in ledger)
        assert max(ingested.values()) == 1, f"ingested twice: {ingested}"
        assert {*self.contents.values()} <= {*ingested} <= self.put, "an upload is missing, or nobody put it there"
        assert counts["bronze/logged_days"] + counts["bronze/quarantine"] == sum(row["rows_read"] for row in ledger)
        assert counts["silver/clean_days"] + counts["silver/rejected_days"] == counts["bronze/logged_days"]
        for tables in PUBLISH_GROUPS[1:]:
            version = lake.current(tables[-1])
            assert version, f"{tables[-1].key} was never published"
            for key, made_from in lake.metadata(tables[-1], version).inputs.items():
                assert made_from == lake.current(table_of(key)), f"{tables[-1].key} is made from an older {key}"
        self.read_messages()
        runs = {*self.runs()}
        assert {*self.told} == runs, f"never told: {runs - {*self.told}}"
        assert self.twice() <= sum(daemon.cut for daemon in self.daemons), f"told twice: {self.told}"

    def twice(self) -> int:
        """How many messages were sent again."""
        return self.told.total() - len(self.told)


def daemon_in(home: Path, bucket: Bucket, inbox: Inbox) -> Daemon:
    """A daemon, not started yet."""
    home.mkdir()
    config = yaml.safe_load(_CONFIG.read_text())
    del config["storage"]  # runs are kept in the home
    (home / "dagster.yaml").write_text(yaml.safe_dump(config))
    variables = {
        "DAGSTER_HOME": str(home),
        "FITNESS_STORAGE_MODE": "s3",
        "FITNESS_S3_BUCKET": bucket.name,
        "FITNESS_SNS_TOPIC_ARN": inbox.arn,
    }
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "fitness_assets.definitions"]
    return Daemon(Server(command, home, environment(**variables)))


@click.command(help=__doc__)
@click.option("--minutes", default=60.0, show_default=True, help="How long uploads arrive.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same events.")
def main(minutes: float, seed: int) -> None:
    """Start, interfere, wait for rest, and check."""
    chance = random.Random(seed)
    cloud = Cloud()
    os.environ |= cloud.environment
    bucket, inbox = new_bucket(), Inbox("two-daemons")
    kills = 0
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(bucket, [daemon_in(Path(folder) / name, bucket, inbox) for name in ("one", "two")], inbox)
        try:
            for daemon in scene.daemons:
                daemon.start()
            end, number = time.monotonic() + minutes * 60, 0
            while time.monotonic() < end:
                number += 1
                event = chance.choice(["upload", "upload", "correct", "kill"])
                click.echo(f"{event} {number}")
                if event == "kill":
                    daemon = chance.choice(scene.daemons)
                    daemon.kill()
                    daemon.start()
                    kills += 1
                else:
                    is_correction = event == "correct" and scene.contents
                    scene.upload(chance.choice([*scene.contents]) if is_correction else f"{number:04}.csv", number)
                scene.read_messages()
                time.sleep(min(chance.uniform(1, 25), max(end - time.monotonic(), 0)))
            scene.settle()
            scene.check()
        finally:
            for daemon in scene.daemons:
                daemon.server.kill()
    cloud.stop()
    cut = sum(daemon.cut for daemon in scene.daemons)
    click.echo(
        f"{len(scene.put)} uploads, {kills} kills, of which {cut} while messages were sent, {len(scene.told)} runs, "
        f"{scene.twice()} messages sent again: everything once, then rest"
    )


if __name__ == "__main__":
    main()
