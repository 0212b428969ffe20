"""MLflow's web interface on the local store, for this machine only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from raygan.pipeline.tracking.client import ENVIRONMENT, local_uri
from raygan.sharding.errors import UserError

HOST = "127.0.0.1"


def ui(folder: str | Path, port: int = 5000) -> None:
    """Serves the runs in `folder` at `port` of the loopback address until it is interrupted; port 0 is any free one.

    Raises UserError when no run is tracked there or the port is in use.
    """
    if not (Path(folder) / "mlflow.db").is_file():
        raise UserError(
            f"{folder}: no tracked runs here (no mlflow.db); train first, or name another folder with `runs`"
        )
    port = _free(port)
    print(f"MLflow: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    try:
        subprocess.run(command(local_uri(folder), port), env=environment(), check=False)
    except KeyboardInterrupt:
        print("MLflow ended")


def command(uri: str, port: int) -> list[str]:
    """The command that starts an MLflow server on a local store; artifacts are served from where they lie."""
    arguments = ["--host", HOST, "--port", str(port), "--workers", "1", "--backend-store-uri", uri]
    return [sys.executable, "-m", "mlflow", "server", *arguments]


def environment() -> dict[str, str]:
    """The server's environment variables. Without the job executor it takes half the memory."""
    return os.environ | ENVIRONMENT | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"`port` {port}: in use on this machine; choose another, or 0 for any free one") from error
        return int(probe.getsockname()[1])
