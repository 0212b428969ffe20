"""Access to an MLflow server: its address, how long to wait for it, its errors, and secrets that it must not be sent.

MLflow is imported inside functions: its import takes three seconds.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from raygan.pipeline.tracking import private
from raygan.sharding.errors import UserError
from raygan.sharding.storage.retries import while_busy

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
T = TypeVar("T")

# MLflow's own defaults block a call to a server that is down for about four minutes. `retried` tries again instead.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|SECRET|ACCESS_KEY|API_KEY|CREDENTIAL|MLFLOW_TRACKING_USERNAME", re.IGNORECASE)
USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
SHORTEST_SECRET = 6  # characters; a shorter value would blank out ordinary words
LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, for driver and workers"


def local_uri(folder: str | Path) -> str:
    """The address of the SQLite store in `folder`, absolute because Ray's workers run in another directory."""
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def local_folder(uri: str) -> Path | None:
    """The folder of a `local_uri`; None for a server."""
    return Path(uri.removeprefix("sqlite:///")).parent if uri.startswith("sqlite:///") else None


def client(uri: str) -> MlflowClient:
    """A client of the server or store at `uri`. It sends no request yet.

    Raises UserError for an address that holds a user or a password: addresses are written down, credentials are not.
    """
    if USER_INFO.search(uri):
        raise UserError(
            "the tracking address holds a user or password: leave them out of it and set"
            " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)"
        )
    before_import()
    from mlflow import MlflowClient

    private.silence_the_store()
    return MlflowClient(uri)


def before_import() -> None:
    """Sets what MLflow reads from the environment when it is imported; a variable that is set already stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def answering(uri: str) -> Iterator[MlflowClient]:
    """A client whose errors (no answer, a refusal) become UserError."""
    server = client(uri)
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield server
    except (MlflowException, RequestException) as error:
        if isinstance(error, MlflowException) and error.get_http_status_code() == 401:
            raise UserError(f"MLflow at {redact(uri)} refuses the login: {LOGIN}") from error
        raise UserError(f"MLflow at {redact(uri)} does not do what was asked ({first_line(error)})") from error


def retried(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls again, for BUSY_SECONDS at most, while the server is busy; not when it cannot be reached at all."""
    return while_busy(_busy)(call, *args, **kwargs)


def retried_while_away(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls again, for BUSY_SECONDS at most, whatever is wrong with the server."""
    return while_busy(lambda error: not isinstance(error, UserError))(call, *args, **kwargs)


def _busy(error: BaseException) -> bool:
    return re.match(private.BUSY, str(error)) is not None


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
