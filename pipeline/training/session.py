"""What the loop asks of whoever runs it: on a cluster launch/session.py answers, in a test a plain object."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.sharding.storage.folder import Folder


class Session(Protocol):
    """The run around the loop."""

    stopping: bool  # whether the run is to end with a checkpoint, as far as this rank knows
    preempted: bool  # whether a node will be taken away soon, so that a checkpoint is due whenever metrics are written

    def checkpoints(self) -> Sequence[Folder]:
        """The folders of the run's checkpoints, newest first."""

    def metrics(self, values: dict[str, float], position: int) -> None:
        """Every rank calls it at the same positions, and all have the same values."""

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        """A picture, uint8 [height, width, 3]."""

    def warn(self, message: str, position: int) -> None:
        """Tells the user of something that went wrong and did not end the run."""

    def evaluate_in_background(self, objective: Objective, position: int) -> None:
        """Starts to score the generator as it is now, while training continues. Only rank 0 calls it."""

    def save(self, snapshot: Snapshot) -> None:
        """Writes it as the run's newest checkpoint, while training continues. Only rank 0 calls it."""
