"""A run goes on only with the images that it began with, even if somebody replaced a shard while nobody looked."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sharding.errors import RunError
from sharding.manifest import ShardEntry

MARGIN = 60.0  # seconds that the clocks of two machines may differ by


def check_unchanged(folder: Path, entries: Iterable[ShardEntry], since: float) -> None:
    """Raises RunError for the first shard that was touched after `since` (seconds since 1970) and is another one now.

    Only such shards are read through; what was there before the run was checked in other ways when it was opened.
    """
    for entry in entries:
        path = folder / entry.name
        try:
            touched = path.stat().st_ctime  # unlike the modification time, no copying or renaming sets it back
            if touched < since - MARGIN:
                continue
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as e:
            raise RunError(f"{path}: {e.strerror}; put the shard back, and resume") from e
        if found != entry.sha256:
            raise RunError(f"{path}: it is not the shard that the run began with; put that one back, and resume")
