"""A Session for loops that are timed: it keeps the throughput and the last checkpoint in memory, and nothing else."""

from collections.abc import Sequence

import numpy as np

from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.session import Session
from raygan.sharding.storage.folder import Folder


class QuietSession(Session):
    """`throughputs`: images per second, one for each time that metrics were written."""

    stopping = preempted = False

    def __init__(self) -> None:
        self.throughputs: list[float] = []
        self.last: Snapshot | None = None

    def checkpoints(self) -> Sequence[Folder]:
        return ()

    def metrics(self, values: dict[str, float], position: int) -> None:
        if "speed/images_per_second" in values:
            self.throughputs.append(values["speed/images_per_second"])

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        pass

    def warn(self, message: str, position: int) -> None:
        pass

    def evaluate_in_background(self, objective: Objective, position: int) -> None:
        pass

    def save(self, snapshot: Snapshot) -> None:
        self.last = snapshot
