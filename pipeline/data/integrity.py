"""A run continues with the shards that it began with."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from raygan.pipeline.data.dataset import DataSet
from raygan.sharding.errors import RunError
from raygan.sharding.format.manifest import ShardEntry

MARGIN = 60.0  # seconds that the clocks of two machines may differ by


def check_run_shards(data: DataSet, splits: Iterable[str], since: float) -> None:
    """Raises RunError if a shard of these splits is another one than it was at `since` (seconds since 1970).

    Shards in a store are compared with their digests when they are copied.
    """
    if (folder := data.folder.local) is not None:
        for split in splits:
            check_unchanged(folder, data.manifest.shards_of(split), since)


def check_unchanged(folder: Path, entries: Iterable[ShardEntry], since: float) -> None:
    """Raises RunError for the first shard that was written after `since` (seconds since 1970) and has other content.

    Only shards written since are read whole; the headers and the length of every shard are checked when it is opened.
    """
    for entry in entries:
        path = folder / entry.name
        try:
            touched = path.stat().st_ctime  # unlike the modification time, copying and renaming do not set it back
            if touched < since - MARGIN:
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as e:
            raise RunError(f"{path}: {e.strerror}; put the shard back, and resume") from e
        if found != entry.sha256:
            raise RunError(f"{path}: it is not the shard that the run was started with; put that one back, and resume")
