"""What a node finds out about itself. It runs on every node as a Ray task that asks for no resources."""

import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from raygan.jobs.doctor.finding import Asked, Trouble
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.format.shard import sha256
from raygan.sharding.storage.folder import Folder

GPUS = "import torch; print(torch.cuda.device_count())"
WRITTEN = "driver"  # what the driver has left in the storage for all to see


class NodeContext(NamedTuple):
    """Which node looks."""

    number: int
    gpus: float  # that Ray counts on it
    scratch: Folder | None  # beside the runs


def look(asked: Asked, place: NodeContext) -> dict[str, Any]:
    """All looks by name."""
    outcomes: dict[str, Any] = {}
    for glance in (versions, gpus, shared_memory, disks, shards, storage, tracking):
        try:
            outcomes[glance.__name__] = glance(asked, place)
        except Exception as error:
            outcomes[glance.__name__] = Trouble(" ".join(str(error).split())[:300] or type(error).__name__)
    return outcomes


def clock() -> float:
    """Seconds since 1970."""
    return time.time()


def versions(asked: Asked, place: NodeContext) -> dict[str, str]:
    return installed()


def installed() -> dict[str, str]:
    """The versions that must be the same everywhere, by name."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("ray", "torch", "raygan")}


def gpus(asked: Asked, place: NodeContext) -> int:
    """How many torch can use. In a process of its own: Ray hides GPUs from a task that asked for none."""
    if not (asked.gpu or place.gpus):
        return 0
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", GPUS], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def shared_memory(asked: Asked, place: NodeContext) -> int:
    """Bytes of /dev/shm, used or not."""
    return shutil.disk_usage("/dev/shm").total


def disks(asked: Asked, place: NodeContext) -> dict[str, tuple[int, int]]:
    """Bytes in total, and free, of the disks with Ray's session and with the copies of remote shards."""
    import ray

    context = ray.get_runtime_context()
    session = Path(context.get_temp_dir(), context.get_session_name())
    return {str(path): shutil.disk_usage(path)[::2] for path in (session, Path.home())}


def shards(asked: Asked, place: NodeContext) -> str:
    """The digest of the data set. All files are looked for and one, by the number, is read. Raises ValueError."""
    if asked.shards is None:
        return ""
    manifest, folder = Manifest.load(asked.shards), Folder(asked.shards)
    there, _ = folder.list()
    for entry in manifest.shards:
        if there.get(entry.name) != entry.bytes:
            raise ValueError(f"{entry.name} is missing or of another length")
    entry = manifest.shards[place.number % len(manifest.shards)]
    if sha256(folder.read(entry.name)) != entry.sha256:
        raise ValueError(f"{entry.name} is damaged (its SHA-256 is not the manifest's)")
    return manifest.digest


def storage(asked: Asked, place: NodeContext) -> str:
    """Leaves a file beside the driver's; its name. Raises ValueError if there is none, OSError if it cannot write."""
    if place.scratch is None:
        return ""
    if place.scratch.size(WRITTEN) is None:
        raise ValueError("does not see what the driver wrote there: it is another folder")
    place.scratch.write(name := f"node-{place.number}", b"")
    return name


def tracking(asked: Asked, place: NodeContext) -> None:
    """Asks the MLflow server for an experiment, with this node's credentials. Raises OSError."""
    if asked.tracking is None:
        return
    request = urllib.request.Request(f"{asked.tracking.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        login = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    urllib.request.urlopen(request, timeout=20).close()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
