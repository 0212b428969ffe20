"""A run goes on only as the run that it was: with its networks and order, and with the images that it began with."""

import hashlib
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

from raygan.pipeline.config import Config
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import ShardEntry

MARGIN = 60.0  # seconds that the clocks of two machines may differ by

# What makes a run the run it is: the networks and what they minimise, and which image is shown when.
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
    """Raises UserError if a resumed run would no longer be the same run."""
    for field in FIXED:
        old, new = attrgetter(field)(before), attrgetter(field)(after)
        if old != new:
            flag = f"--{field.replace('_', '-')}"
            raise UserError(f"{flag} {new}: the run was started with {old}, which a resumed run keeps; leave it out")


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
