"""A Session in one plain process: the loop without Ray and MLflow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training import checkpoint
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.sharding.storage.folder import Folder


class KilledError(Exception):
    """What a test raises to end the loop where a SIGKILL would."""


class PlainSession:
    """Keeps checkpoints in a folder and all else in memory; `killed_at` ends the loop after that checkpoint."""

    def __init__(self, folder: Path, earlier: Sequence[Path] = (), killed_at: int | None = None) -> None:
        self.folder, self.earlier, self.killed_at = folder, earlier, killed_at
        self.stopping = self.preempted = False
        self.points: list[tuple[int, dict[str, float]]] = []
        self.images: list[tuple[int, np.ndarray]] = []
        self.background: list[tuple[int, Tensor]] = []
        self.warnings: list[tuple[int, str]] = []

    def checkpoint(self, position: int) -> Path:
        return self.folder / f"checkpoint_{position:012d}"

    def checkpoints(self) -> Sequence[Folder]:
        return [Folder(str(path)) for path in self.earlier]

    def metrics(self, values: dict[str, float], position: int) -> None:
        self.points.append((position, values))

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        self.images.append((position, image))

    def warn(self, message: str, position: int) -> None:
        self.warnings.append((position, message))

    def evaluate_in_background(self, objective: Objective, position: int) -> None:
        self.background.append((position, objective.sampler().draw(0, 2)))

    def save(self, taken: Snapshot) -> None:
        checkpoint.write(self.checkpoint(taken.header.position), taken)
        if taken.header.position == self.killed_at:
            raise KilledError
