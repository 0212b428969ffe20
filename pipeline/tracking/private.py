"""What raygan uses of MLflow that is not part of its public API, and the versions for which it was checked.

MLflow may change these without notice. tests/pipeline/tracking/test_private.py compares each with the installed version
and fails for a version outside [FIRST, BEYOND): check them again then, and change the range.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import time
import zlib
from collections.abc import Mapping
from typing import Any

FIRST, BEYOND = (3, 17), (3, 18)  # releases of MLflow: checked from the first, up to but without the second

# The text of the exception for an HTTP status of 500 to 504: it has no attribute for the status. A server that starts
# up, or whose SQLite is locked, answers 503.
BUSY = r"(?s).*too many 50\d error responses"

# A tag of an experiment: it shows the pages for training, not those for agents.
KIND = {"mlflow.experimentKind": "custom_model_development"}

# A tag of a run: it has images for the slider. MlflowClient.log_image sets it, too, but gives files random names.
LOGGED_IMAGES = "mlflow.loggedImages"
IMAGES = "images"  # their folder among the artifacts
THUMBNAIL_PIXELS = 256  # the longer side
_TIME, _THUMBNAIL = "+timestamp+", "+compressed.webp"


def image_series(key: str, position: int) -> str:
    """The first part of the file names of an image of the slider: its key and its position."""
    return f"{key.replace('/', '~')}+step+{position}"


def image_files(series: str, milliseconds: int, unique: str) -> tuple[str, str]:
    """The file names of the image and its thumbnail. `milliseconds` since 1970; `unique` is a UUID."""
    name = f"{series}{_TIME}{milliseconds}+{unique}"
    return f"{name}.png", f"{name}{_THUMBNAIL}"


def series_of_thumbnail(path: str) -> str | None:
    """The inverse of `image_files` for the path of an artifact; None for a file that is no thumbnail."""
    if not path.endswith(_THUMBNAIL):
        return None
    return path.removeprefix(f"{IMAGES}/").partition(_TIME)[0]


def saved_view(key: str, name: str, state: Mapping[str, Any]) -> dict[str, str]:
    """A tag of an experiment: a saved view of its runs table, shown at #/experiments/ID/runs?viewStateShareKey=KEY.

    There is no API for saved views. The layout is that of the tag that MLflow's page writes.
    """
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"}
    return {f"mlflow.sharedViewState.{key}": json.dumps(view)}


def system_monitors() -> list[Any]:
    """The monitors of MLflow's system page, each with collect_metrics, aggregate_metrics and clear_metrics.

    The public way, mlflow.enable_system_metrics_logging, writes to the server by itself, with the number of the reading
    as the step; raygan's steps are positions, and its writes go through the spool.
    """
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(ImportError, RuntimeError):  # no NVIDIA library, or no GPU
        monitors.append(GPUMonitor())
    return monitors


def silence_the_store() -> None:
    """Keeps MLflow's store from printing a traceback of what it also raises, as when SQLite's disk is full."""
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
