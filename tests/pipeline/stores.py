"""A remote store for tests: flaky:///path reads the local path, counts the reads, and misbehaves when told to.

What it does is steered by files beside the data, so that other processes see it too: `reads.log` gets a line for each
read, `failures` holds the number of reads that are still to fail, `slow` makes a read hang half-way for its seconds.
"""

import threading
import time
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from raygan.pipeline.data.shard_cache import ShardCache
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder


class FlakyFileSystem(LocalFileSystem):
    protocol = "flaky"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return LocalFileSystem._strip_protocol(str(path).removeprefix("flaky://"))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = Path(self._strip_protocol(path))
        if file.suffix == ".tar":
            with (file.parent / "reads.log").open("a") as log:
                log.write(f"{file.name}\n")
            failures = file.parent / "failures"
            left = int(failures.read_text()) if failures.exists() else 0
            if left:
                failures.write_text(str(left - 1))
                raise ConnectionResetError("the store hung up")
            slow = file.parent / "slow"
            if slow.exists():
                time.sleep(float(slow.read_text()))
        return super()._open(path, mode, **options)


fsspec.register_implementation("flaky", FlakyFileSystem, clobber=True)


def reads(folder: Path) -> list[str]:
    """The names of the shards that were read, in order."""
    log = folder / "reads.log"
    return log.read_text().split() if log.exists() else []


def opened(remote: Path, limit: int = 10**9) -> tuple[ShardCache, Manifest]:
    """A node's cache for the data set in `remote`, beside it, and the manifest."""
    manifest = Manifest.load(remote)
    return ShardCache(Folder(f"flaky://{remote}"), manifest.digest, remote.parent / "copies", limit), manifest


def bring(remote: Path, barrier: threading.Barrier | None = None) -> None:
    """What a worker process does: brings every shard. Here, so that the process imports no more than it needs."""
    shards, manifest = opened(remote)
    if barrier is not None:
        barrier.wait()
    for entry in manifest.shards:
        assert shards.use(entry, Path.read_bytes) == (remote / entry.name).read_bytes()
