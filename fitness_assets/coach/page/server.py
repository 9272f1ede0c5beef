"""Serves the page on loopback until it is interrupted."""

import socket
from collections.abc import Callable

import uvicorn

from fitness_assets.coach.page.app import make_app
from fitness_assets.coach.page.guard import Guard
from fitness_assets.lake.lake import Lake

HOST = "127.0.0.1"


def serve(lake: Lake, goals: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page; returns when the process is interrupted.

    Args:
        lake: where tables are read.
        goals: folder or S3 prefix of goals.
        port: of 127.0.0.1; 0 takes a free one.
        ready: gets the address with its token.

    Raises:
        OSError: if the port cannot be used, in one sentence.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        raise OSError(f"Port {port} cannot be used ({error.strerror}): choose another one with --port.") from None
    with listening:
        port = listening.getsockname()[1]
        guard = Guard(make_app(lake, goals), port)
        ready(f"http://{HOST}:{port}/?token={guard.token}")
        config = uvicorn.Config(guard, log_level="warning", access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listening])
