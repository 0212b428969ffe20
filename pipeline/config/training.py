"""Settings of what the training loop keeps."""

from pydantic import Field

from raygan.pipeline.config.base import Settings


class Checkpoints(Settings):
    """When the whole state is written, and how much of it is kept."""

    every: int = Field(50_000, gt=0, description="Images between checkpoints.")
    keep: int = Field(2, ge=1, description="Newest checkpoints kept.")
