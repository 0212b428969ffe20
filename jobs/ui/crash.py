"""An error that nobody foresaw: its traceback goes to a file, and the person gets one line."""

import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

from raygan.pipeline.tracking.client import redact

PACKAGES = ("raygan", "torch", "ray", "mlflow", "numpy")
LONGEST = 300  # characters of an error's own words in the line


def explain(error: BaseException, command: Sequence[str], name: str) -> str:
    """One line that names the command and the file with the traceback. Secrets are blanked in both.

    command: the words after `raygan`, as typed. name: of the command, such as "data synthesize".
    """
    said = redact(" ".join(str(error).split()))[:LONGEST]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    try:
        where = f"the traceback is in {_write(error, command)}; please report it with that file"
    except OSError as e:
        where = f"its traceback could not be written ({e.strerror})"
    return f"raygan {name} stopped at an unforeseen error: {what}; {where}"


def _write(error: BaseException, command: Sequence[str]) -> Path:
    lines = [
        f"command: {shlex.join(['raygan', *command])}",
        f"time: {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}",
        f"python {platform.python_version()} on {platform.platform()}",
        *(f"{package} {_version(package)}" for package in PACKAGES),
        "",
        *traceback.format_exception(error),
    ]
    with tempfile.NamedTemporaryFile(
        "w", dir=_folder(), prefix=f"crash-{datetime.now():%Y%m%d-%H%M%S}-", suffix=".txt", delete=False
    ) as file:
        file.write(redact("\n".join(lines)))
    return Path(file.name)


def _folder() -> Path:
    """The user's folder for logs, or the system's for temporary files where that cannot be written."""
    folder = platformdirs.user_log_path("raygan", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return Path(tempfile.gettempdir())
    return folder


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"
