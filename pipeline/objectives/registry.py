"""From a configuration to its objective."""

import pkgutil
from typing import Any

import torch
from torch import Tensor

from raygan.pipeline.config import Config, ObjectiveSettings, Weights
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.objectives.base import Objective


def implementation(settings: ObjectiveSettings) -> type[Objective]:
    """The class that these settings are of."""
    found: type[Objective] = pkgutil.resolve_name(settings.implementation)
    return found


def build(config: Config, size: int, context: DistributedContext, rows: Tensor | None = None) -> Objective:
    """The objective that `config` chooses; the arguments are those of Objective."""
    return implementation(config.objective)(config, size, context, rows)


def sampler_from(
    config: Config, size: int, state: dict[str, Any], device: torch.device, weights: Weights = "average"
) -> Sampler:
    """The sampler of the objective that `config` chooses, from its state."""
    return implementation(config.objective).sampler_from(config, size, state, device, weights)
