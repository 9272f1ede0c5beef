"""What runs the lake in containers: the image, what they publish and keep, Dagster's instance on a real Postgres."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psycopg2
import pytest
import yaml

from fitness_assets.bronze.erasures import Erasures
from fitness_assets.bronze.sources import Found
from fitness_assets.definitions import build_defs
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.orchestration.observed import uploads_seen
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import job_of
from fitness_assets_tests.privacy.planted import NEEDLES, PERSON, uploads
from fitness_assets_tests.search import matches


@pytest.fixture(scope="session")
def compose(root) -> dict[str, Any]:
    return yaml.safe_load((root / "deploy" / "compose.yaml").read_text())


def test_nothing_is_published_but_on_loopback(compose):
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"dagster-webserver": ["127.0.0.1:3000:3000"]}
    for service in compose["services"].values():
        assert not {"network_mode", "privileged", "cap_add", "pid", "devices"} & set(service)


def test_no_secret_stands_in_what_is_kept_in_git(compose, root):
    environment = {
        (name, key): value
        for name, service in compose["services"].items()
        for key, value in service["environment"].items()
    }
    secrets = {key: value for key, value in environment.items() if re.search(r"PASS|SECRET|KEY|TOKEN", key[1])}
    assert secrets
    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secrets.values()), "a value instead of a name"
    assert all(service.get("env_file", ".env") == ".env" for service in compose["services"].values())
    assert ".env" in (root / ".gitignore").read_text().splitlines()
    for file in (root / "deploy").iterdir():
        if file.name != ".env":
            assert not re.search(r"AKIA[A-Z0-9]{16}|://[^/\s]*:[^/\s$]+@", file.read_text()), file


def test_the_daemon_and_the_webserver_find_the_code(compose, root):
    (location,) = yaml.safe_load((root / "deploy" / "workspace.yaml").read_text())["load_from"]
    server, laptop = location["grpc_server"], yaml.safe_load((root / "workspace.yaml").read_text())
    command = compose["services"][server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--module-name") + 1] == server["location_name"]
    assert server["location_name"] == laptop["load_from"][0]["python_module"]


def test_the_image_takes_what_it_copies_and_no_more(root):
    copied = {
        source
        for line in (root / "deploy" / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for source in line.split()[1:-1]
    }
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied
    assert all((root / source).exists() for source in copied)


def test_the_image_runs_as_nobody_in_particular_on_a_base_that_is_named(root):
    lines = (root / "deploy" / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM")] == ["FROM python:3.12-slim-bookworm"]
    (user,) = [line.split()[1] for line in lines if line.startswith("USER")]
    assert int(user) > 0


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """A Postgres on loopback that asks for a password; variables that lead to it."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    initdb, server = (
        shutil.which(name, path=os.pathsep.join([*reversed(folders), os.environ["PATH"]]))
        for name in ("initdb", "postgres")
    )
    if not initdb or not server:
        pytest.skip("there is no Postgres on this machine (on Debian or Ubuntu: apt install postgresql)")
    # Postgres refuses to be root; and another user cannot get to where pytest keeps its files.
    user: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    folder, password = Path(tempfile.mkdtemp(prefix="postgres-")), uuid4().hex
    secret, log = folder / "secret", folder / "log"
    secret.write_text(password)
    if user:
        for path in (folder, secret):
            shutil.chown(path, user["user"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    initialise = [initdb, "--pgdata", folder / "data", "--username=dagster", "--auth=scram-sha-256"]
    initialise += ["--pwfile", secret, "--no-sync", "--encoding=UTF8", "--no-locale"]
    subprocess.run(initialise, check=True, capture_output=True, cwd=folder, **user)
    command = [server, "-D", folder / "data", "-F", "-h", "127.0.0.1", "-p", port, "-k", ""]
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, **user)
    try:
        deadline = time.monotonic() + 30
        while "ready to accept connections" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": port,
            "POSTGRES_DB": "postgres",
            "POSTGRES_USER": "dagster",
            "POSTGRES_PASSWORD": password,
        }
    finally:
        process.send_signal(signal.SIGINT)  # at once, but in order
        process.wait(30)
        shutil.rmtree(folder)


def test_runs_are_kept_in_postgres_and_what_they_print_in_the_bucket(root, postgres, bucket, monkeypatch):
    for name, value in {**postgres, "FITNESS_S3_BUCKET": bucket.name}.items():
        monkeypatch.setenv(name, value)

    @dg.op
    def speak():
        print("heard")  # noqa: T201

    @dg.job
    def job():
        speak()

    home = str(root / "deploy")
    with dg.DagsterInstance.from_config(home) as instance:
        result = job.execute_in_process(instance=instance)
    with dg.DagsterInstance.from_config(home) as another:
        run = another.get_run_by_id(result.run_id)
        assert run is not None
        assert run.is_success
        assert 'Finished execution of run for "job".' in [event.message for event in another.all_logs(run.run_id)]
        assert another.run_monitoring_enabled
        assert another.run_monitoring_max_runtime_seconds > 0
    assert not (root / "deploy" / "storage").exists()
    printed = [found.key for found in bucket.list("compute-logs/") if found.key.endswith(".out")]
    assert [bucket.get(key) for key in printed] == [b"heard\n"]


@pytest.mark.deployment
def test_nothing_of_an_erased_person_is_left_in_postgres(root, postgres, bucket, spark, raw, monkeypatch):
    for name, value in {**postgres, "FITNESS_S3_BUCKET": bucket.name}.items():
        monkeypatch.setenv(name, value)
    for name, content in uploads(with_person=True).items():
        (raw / name).parent.mkdir(exist_ok=True)
        (raw / name).write_bytes(content)
    settings, lake = Settings(local_root=raw.parent), Lake(LocalStore(raw.parent), lambda: spark)
    graph, journal = build_defs(settings, lake=lake), Erasures()
    journal.write(lake)
    there = [Found(f"raw/people/{PERSON}/export.zip", 1, datetime.now(UTC), "any")]
    with dg.DagsterInstance.from_config(str(root / "deploy")) as instance:
        first = job_of(graph, "group:bronze").execute_in_process(instance=instance)
        instance.report_runless_asset_event(uploads_seen(there, [there[0].uri]))
        assert PERSON in found_in(postgres)
        assert any(first.run_id in found.key for found in bucket.list("compute-logs/"))
        config = {"ops": {"erase_person": {"config": {"code": journal.code(PERSON)}}}}
        erased = graph.resolve_job_def("erase").execute_in_process(config, instance=instance)
        assert "until VACUUM FULL" in str([event.message for event in instance.all_logs(erased.run_id)])
        assert instance.get_run_by_id(first.run_id) is None
    assert found_in(postgres) == set()
    assert not any(first.run_id in found.key for found in bucket.list("compute-logs/"))


def found_in(postgres: dict[str, str]) -> set[str]:
    """What of the person any cell of any table of a database has, also where it is compressed."""
    url = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@{POSTGRES_HOST}:{POSTGRES_PORT}/{POSTGRES_DB}"
    parts = list[bytes]()
    with closing(psycopg2.connect(url.format(**postgres))) as database:
        cursor = database.cursor()
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            for cell in (cell for row in cursor.fetchall() for cell in row):
                parts.append(zlib.decompress(cell) if isinstance(cell, memoryview) else str(cell).encode())
    return matches(NEEDLES, parts)


def test_containers_queue_runs_as_a_laptop_does(root):
    here, there = (yaml.safe_load((root / path).read_text()) for path in ("dagster.yaml", "deploy/dagster.yaml"))
    assert here["concurrency"] == there["concurrency"]
