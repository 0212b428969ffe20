"""What an objective is to the rest of raygan: the contract that the loop, checkpoints, evaluation and tracking know.

An objective stands between a batch of real images and a better generator. A new one is a subclass of Objective in a
file of its own, a subclass of ObjectiveSettings that names it, and a line in config/objectives.py (docs/extending.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from raygan.pipeline.config import Config, Weights
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.sampler import Sampler


class Objective(ABC):
    """Trains a generator. Every rank holds one and calls its methods at the same positions.

    What `step` does must be a function of the state, the batch and the position alone, so that a run which is resumed
    continues bit for bit: noise comes from models/noise.py, not from torch's random state.
    """

    def __init__(self, config: Config, size: int, context: DistributedContext, rows: Tensor | None = None) -> None:
        """`size`: height and width of an image in pixels. `rows`: attributes of real images for a conditional
        generator to pick from, uint8 [ROWS, attributes]. A subclass sets torch's seed before it makes networks.
        """
        self.config, self.size, self.context, self.rows = config, size, context, rows

    @abstractmethod
    def step(self, images: Tensor, position: int, attributes: Tensor | None = None) -> None:
        """Learns from this rank's share of the global batch at `position`.

        `images`: uint8 [b, 3, size, size] on the device; `attributes`: 0 or 1 [b, attributes] there.
        """

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Means over all images of all ranks since the last call; what was not measured is left out.

        A value that is not finite ends the run.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs: tensors, numbers and strings in dictionaries and lists."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores it. Where the configuration sets a value (a learning rate), it wins over the state's."""

    @abstractmethod
    def sampler_state(self) -> dict[str, Any]:
        """The part of `state_dict()` from which `sampler_from` makes the sampler that is scored."""

    @classmethod
    @abstractmethod
    def sampler_from(
        cls, config: Config, size: int, state: dict[str, Any], device: torch.device, weights: Weights = "average"
    ) -> Sampler:
        """What draws images from latents, from a `state_dict()` or a `sampler_state()`, on `device`."""

    def sampler(self) -> Sampler:
        """What draws images now."""
        return self.sampler_from(self.config, self.size, self.sampler_state(), self.context.device)
