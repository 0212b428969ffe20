"""What objectives share that train one generator: its average, its optimizer, its state, its sampler."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from raygan.pipeline.config import Config, Optimizer, Weights
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.models import build
from raygan.pipeline.models.ema import averaged, recalibrate
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.objectives.metrics import MetricMeans


def new_generator(config: Config, size: int, device: torch.device, rows: Tensor | None = None) -> build.Generator:
    """On `device`; its weights come from torch's random state. `rows`: uint8 [ROWS, attributes], if conditional."""
    generator = build.generator(config, size)
    if rows is not None:
        generator.seed.rows.copy_(rows)
    return generator.to(device).to(memory_format=torch.channels_last)


def generator_sampler(
    config: Config, size: int, state: dict[str, Any], device: torch.device, weights: Weights = "average"
) -> Sampler:
    """The sampler of a state that holds the generator as `generator`, its moving average as `average`, or both.

    The statistics of its batch norm are computed anew, whichever weights are asked for.
    """
    generator: nn.Module = build.generator(config, size)
    if weights == "average":
        average = averaged(generator, config.batch, half_life=0)
        average.load_state_dict(state["average"])
        generator = average.module
    else:
        generator.load_state_dict(state["generator"])
    generator = generator.to(device).to(memory_format=torch.channels_last)
    recalibrate(generator, config.latent_dimensions, device)
    arguments = build.generator_arguments(config, size)
    return Sampler(generator, config.latent_dimensions, device, config.seed, arguments)


class GeneratorObjective(Objective):
    """An objective that trains one generator and scores its moving average.

    A subclass sets `generator`, `average` and `means`, and names in `parts` whatever has a state.
    """

    generator: build.Generator
    average: AveragedModel
    means: MetricMeans

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Networks, optimizers and all else with a state_dict, by name; `generator` and `average` among them."""

    @abstractmethod
    def set_learning_rates(self, position: int) -> None:
        """Gives every optimizer the rates and betas that the configuration has at this position."""

    def metrics(self) -> dict[str, float]:
        """What was added to `means` since the last call."""
        return self.means.collect(self.context)

    def state_dict(self) -> dict[str, Any]:
        """The states of all `parts`, by their names."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores all `parts`, then sets the optimizers to what is configured."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.set_learning_rates(0)

    def sampler_state(self) -> dict[str, Any]:
        """The averaged generator alone."""
        return {"average": self.average.state_dict()}

    @classmethod
    def sampler_from(
        cls, config: Config, size: int, state: dict[str, Any], device: torch.device, weights: Weights = "average"
    ) -> Sampler:
        """See `generator_sampler`."""
        return generator_sampler(config, size, state, device, weights)

    def sampler(self) -> Sampler:
        """The averaged generator itself, in place of a copy."""
        recalibrate(self.average, self.config.latent_dimensions, self.context.device)
        return Sampler(self.average, self.config.latent_dimensions, self.context.device, self.config.seed)


def adam(network: nn.Module, settings: Optimizer) -> torch.optim.Adam:
    """An optimizer of all weights of `network`."""
    return torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=settings.betas, fused=True)


def set_adam(optimizer: torch.optim.Optimizer, settings: Optimizer, factor: float) -> None:
    """Gives it the configured values, with the learning rate times `factor`, whatever a restored state held."""
    for group in optimizer.param_groups:
        group.update(lr=settings.learning_rate * factor, betas=settings.betas)
