"""Checks before a run is resumed: its networks, objective, order and images are those that it was started with."""

import hashlib
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

from raygan.pipeline.config import Config
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import ShardEntry

MARGIN = 60.0  # seconds that the clocks of two machines may differ by

# The identity of a run: the networks, what they minimise, and the order of the images.
FIXED = (
    "seed",
    "architecture",
    "attributes",
    "latent",
    "latent_distribution",
    "loss",
    "window",
    "generator.width",
    "generator.normalisation",
    "generator.upsampling",
    "discriminator.width",
    "discriminator.normalisation",
    "discriminator.spectral_gain",
)


def refuse_changes(before: Config, after: Config) -> None:
    """Raises UserError if a setting of FIXED differs between the run `before` and its continuation `after`."""
    for field in FIXED:
        old, new = attrgetter(field)(before), attrgetter(field)(after)
        if old != new:
            raise UserError(f"`{field}` {new}: the run was started with {old}, which a resumed run keeps; leave it out")


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
