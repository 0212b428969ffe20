"""What a node finds out about itself: one function per probe.

All run on every node, in one Ray task that asks for no resources.
"""

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

from raygan.jobs.doctor.results import ProbeError, Requirements
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.format.shard import sha256
from raygan.sharding.storage.folder import Folder

GPUS = "import torch; print(torch.cuda.device_count())"
WRITTEN = "driver"  # the file that the driver leaves in the storage for every node to find


class NodeContext(NamedTuple):
    """The node that a probe runs on."""

    number: int
    gpus: float  # that Ray counts on it
    scratch: Folder | None  # beside the runs


def probe(required: Requirements, context: NodeContext) -> dict[str, Any]:
    """The outcome of every probe, by its name: what it returns, or a ProbeError."""
    outcomes: dict[str, Any] = {}
    for run in (versions, gpus, shared_memory, disks, shards, storage, tracking):
        try:
            outcomes[run.__name__] = run(required, context)
        except Exception as error:  # whatever is wrong with a node is for the table
            outcomes[run.__name__] = ProbeError(" ".join(str(error).split())[:300] or type(error).__name__)
    return outcomes


def clock() -> float:
    """Seconds since 1970."""
    return time.time()


def versions(required: Requirements, context: NodeContext) -> dict[str, str]:
    """The versions installed on the node."""
    return installed()


def installed() -> dict[str, str]:
    """The versions that must be the same everywhere, by name."""
    return {"python": platform.python_version()} | {name: _version(name) for name in ("ray", "torch", "raygan")}


def gpus(required: Requirements, context: NodeContext) -> int:
    """How many GPUs torch can use. In a process of its own: Ray hides GPUs from a task that asked for none."""
    if not (required.gpu or context.gpus):
        return 0
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", GPUS], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def shared_memory(required: Requirements, context: NodeContext) -> int:
    """Bytes of /dev/shm, used or not."""
    return shutil.disk_usage("/dev/shm").total


def disks(required: Requirements, context: NodeContext) -> dict[str, tuple[int, int]]:
    """Bytes in total, and free, of the disks with Ray's session and with the copies of remote shards."""
    import ray

    ray_context = ray.get_runtime_context()
    session = Path(ray_context.get_temp_dir(), ray_context.get_session_name())
    return {str(path): shutil.disk_usage(path)[::2] for path in (session, Path.home())}


def shards(required: Requirements, context: NodeContext) -> str:
    """The digest of the data set. All files must be there; one, by the node's number, is read. Raises ValueError."""
    if required.shards is None:
        return ""
    manifest, folder = Manifest.load(required.shards), Folder(required.shards)
    there, _ = folder.list()
    for entry in manifest.shards:
        if there.get(entry.name) != entry.bytes:
            raise ValueError(f"{entry.name} is missing or of another length")
    entry = manifest.shards[context.number % len(manifest.shards)]
    if sha256(folder.read(entry.name)) != entry.sha256:
        raise ValueError(f"{entry.name} is damaged (its SHA-256 is not the manifest's)")
    return manifest.digest


def storage(required: Requirements, context: NodeContext) -> str:
    """Writes a file beside the driver's and returns its name.

    Raises ValueError if the driver's is not there, OSError if this node cannot write.
    """
    if context.scratch is None:
        return ""
    if context.scratch.size(WRITTEN) is None:
        raise ValueError("does not see what the driver wrote there: it is another folder")
    context.scratch.write(name := f"node-{context.number}", b"")
    return name


def tracking(required: Requirements, context: NodeContext) -> None:
    """Asks the MLflow server for an experiment, with this node's credentials. Raises OSError."""
    if required.tracking is None:
        return
    request = urllib.request.Request(f"{required.tracking.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")
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
