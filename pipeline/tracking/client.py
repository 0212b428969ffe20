"""The way to an MLflow server: which one, how long to wait for it, and what it must never be told.

MLflow is imported inside functions: its import takes three seconds.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.sharding.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's own defaults block a call to a dead server for about four minutes. We try again ourselves.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|SECRET|ACCESS_KEY|API_KEY|CREDENTIAL|MLFLOW_TRACKING_USERNAME", re.IGNORECASE)
USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
SHORTEST_SECRET = 6  # characters; a shorter value would blank out ordinary words


def local_uri(folder: str | Path) -> str:
    """The address of the SQLite store in `folder`, absolute because Ray's workers run in another directory."""
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def local_folder(uri: str) -> Path | None:
    """The folder of a `local_uri`; None for a server."""
    return Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else None


def client(uri: str) -> MlflowClient:
    """A client of the server or store at `uri`. Nothing is asked of the server yet.

    Raises UserError for an address that holds a user or a password: addresses are written down, credentials are not.
    """
    if USER_INFO.search(uri):
        raise UserError(
            "the tracking address holds a user or password: leave them out of it and set"
            " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
        )
    before_import()
    from mlflow import MlflowClient

    # It prints a traceback of what it also raises, as when SQLite's disk is full, at each attempt.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient(uri)


def before_import() -> None:
    """Sets what MLflow reads from the environment when it is imported; what the user has set stays."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)


def redact(text: str) -> str:
    """`text` with the value of every environment variable that names a secret, and users in addresses, blanked out."""
    secrets = {
        value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    }
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[redacted]")
    return USER_INFO.sub("[redacted]", text)


def first_line(error: Exception) -> str:
    """An exception in one line that may be shown; of a failed request, its cause."""
    line = str(error).partition("\n")[0]
    cause = line.rpartition("(Caused by ")[2].rstrip(")")
    return redact(cause[:200] or type(error).__name__)
