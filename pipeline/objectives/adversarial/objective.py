"""One discriminator update, one generator update, and the schedule between them.

The training loop knows only `step`, `measures` and the state; another objective can stand in this one's place.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from raygan.pipeline.config import Config, Optimizer
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.models import build
from raygan.pipeline.models.ema import averaged
from raygan.pipeline.models.noise import Purpose, latents, uniforms
from raygan.pipeline.objectives.adversarial.augment import DRAWS, augmented
from raygan.pipeline.objectives.adversarial.balance import AutoBalance, generator_updates_due
from raygan.pipeline.objectives.adversarial.losses import chosen
from raygan.pipeline.objectives.adversarial.modules import DiscriminatorObjective, GeneratorObjective, precision
from raygan.pipeline.objectives.schedule import learning_rate_factor

MEASURES = (
    "loss/discriminator",
    "discriminator/real",
    "discriminator/fake",
    "discriminator/accuracy",
    "loss/generator",
)
ACCURACY = MEASURES.index("discriminator/accuracy")


class Part(NamedTuple):
    """Images whose gradients are computed at once: this rank's share of a global batch, or one piece of it."""

    first: int  # where the part begins in the global batch
    real: Tensor  # float32 [b, 3, size, size] in [-1, 1], augmented
    attributes: Tensor | None  # 0 or 1 [b, attributes]
    last: bool = False  # of this rank's parts: ranks exchange gradients after it


class AdversarialObjective:
    """The two networks, their optimizers and the averaged generator, trained by `step`."""

    def __init__(self, config: Config, size: int, place: DistributedContext, rows: Tensor | None = None) -> None:
        """`rows`: attributes of real faces for a conditional generator to pick from, uint8 [ROWS, attributes]."""
        self.config, self.size, self.place = config, size, place
        self.loss = chosen(config)
        torch.manual_seed(config.seed)
        self.generator = build.generator(config, size)
        self.discriminator = build.discriminator(config, size, self.loss.outputs)
        if rows is not None:
            self.generator.seed.rows.copy_(rows)
        for network in (self.generator, self.discriminator):
            network.to(place.device).to(memory_format=torch.channels_last)
        self.average = averaged(self.generator, config.batch, config.ema_half_life)
        self.generator_optimizer = _adam(self.generator, config.generator)
        self.discriminator_optimizer = _adam(self.discriminator, config.discriminator)
        self.equilibrium = AutoBalance(config.balance_target)
        if config.compile:
            self.generator.compile()
            self.discriminator.compile()
        self._discriminator_objective = place.averaging_gradients(
            DiscriminatorObjective(self.discriminator, config, self.loss)
        )
        self._generator_objective = place.averaging_gradients(GeneratorObjective(self.generator, config, self.loss))
        self._sums = torch.zeros(len(MEASURES), device=place.device)
        self._images = torch.zeros(len(MEASURES), device=place.device)

    def step(self, real: Tensor, position: int, attributes: Tensor | None = None) -> None:
        """Shows the discriminator this rank's share of the global batch at `position`, and updates what is due.

        `real`: uint8 [b, 3, size, size] on the device; `attributes`: 0 or 1 [b, attributes] there.
        """
        self._set_learning_rates(position)
        parts = self._parts(real, attributes, position)
        if self.config.balance == "auto":
            self._update_one(parts, position)
        else:
            self._update_discriminator(parts, position)
            for repeat in range(generator_updates_due(position, self.config.batch, self.config.balance)):
                self._update_generator(parts, position, repeat)
        self.average.update_parameters(self.generator)

    def _update_one(self, parts: list[Part], position: int) -> None:
        right_before = self._sums[ACCURACY].clone()
        if self.equilibrium.generator_is_due:
            with torch.no_grad():
                for part in parts:
                    self._judge(part, position, penalise=False)
            self._update_generator(parts, position)
        else:
            self._update_discriminator(parts, position)
        right = self.place.sum(self._sums[ACCURACY] - right_before)
        self.equilibrium.observe(float(right) / self.config.batch, self.config.batch)

    # ---- the two updates

    def _update_discriminator(self, parts: list[Part], position: int) -> None:
        self.discriminator_optimizer.zero_grad(set_to_none=False)
        penalised = self.config.r1 > 0 or self.config.gradient_penalty > 0
        penalise = penalised and position // self.config.batch % self.config.penalty_every == 0
        for part in parts:
            with self.place.exchanging(self._discriminator_objective, part.last):
                loss = self._judge(part, position, penalise)
                (loss * self._weight(part)).backward()
        self.discriminator_optimizer.step()

    def _judge(self, part: Part, position: int, penalise: bool) -> Tensor:
        """The discriminator's loss on the part's real images and as many fresh fakes."""
        noise = self._latents(Purpose.DISCRIMINATOR, part, position)
        with torch.no_grad(), precision(self.config, self.place.device):
            fake = self.generator(noise, part.attributes).float()
        fake = augmented(fake, self.config.augment, self._chance(Purpose.AUGMENT_FAKE, part, position))
        mixture = self._uniforms(Purpose.MIXTURE, part, position, 1)[:, 0] if penalise else None
        loss, *logits = self._discriminator_objective(part.real, fake, part.attributes, mixture)
        called_real, called_fake = self.loss.verdict(*logits)
        accuracy = ((called_real > 0).float().mean() + (called_fake < 0).float().mean()) / 2
        means = (loss.detach(), called_real.sigmoid().mean(), called_fake.sigmoid().mean(), accuracy)
        self._measure(slice(0, 4), torch.stack(means), part)
        return loss

    def _update_generator(self, parts: list[Part], position: int, repeat: int = 0) -> None:
        self.generator_optimizer.zero_grad(set_to_none=False)
        self.discriminator.requires_grad_(False)
        for part in parts:
            noise = self._latents(Purpose.GENERATOR, part, position, repeat)
            chance = self._chance(Purpose.AUGMENT_DRAWN, part, position, repeat)
            with self.place.exchanging(self._generator_objective, part.last):
                loss = self._generator_objective(noise, part.attributes, chance, part.real, self.discriminator)
                (loss * self._weight(part)).backward()
            self._measure(slice(4, 5), loss.detach(), part)
        self.discriminator.requires_grad_(True)
        self.generator_optimizer.step()

    # ---- what the updates are made of

    def _parts(self, real: Tensor, attributes: Tensor | None, position: int) -> list[Part]:
        edges = self.place.parts(self.config.batch, self.config.accumulate)
        first_of_rank = edges[0][0]
        parts = []
        for first, count in edges:
            own = slice(first - first_of_rank, first - first_of_rank + count)
            part = Part(first, real[own].float().div_(127.5).sub_(1), None if attributes is None else attributes[own])
            chance = self._chance(Purpose.AUGMENT_REAL, part, position)
            parts.append(part._replace(real=augmented(part.real, self.config.augment, chance)))
        parts[-1] = parts[-1]._replace(last=True)
        return parts

    def _latents(self, purpose: Purpose, part: Part, position: int, repeat: int = 0) -> Tensor:
        dimensions = self.config.latent_dimensions
        noise = latents(self.config.seed, purpose, position + part.first, len(part.real), dimensions, repeat)
        return noise.to(self.place.device, non_blocking=True)

    def _chance(self, purpose: Purpose, part: Part, position: int, repeat: int = 0) -> Tensor | None:
        """What decides how images are augmented, if they are."""
        return self._uniforms(purpose, part, position, DRAWS, repeat) if self.config.augment else None

    def _uniforms(self, purpose: Purpose, part: Part, position: int, numbers: int, repeat: int = 0) -> Tensor:
        found = uniforms(self.config.seed, purpose, position + part.first, len(part.real), numbers, repeat)
        return found.to(self.place.device, non_blocking=True)

    def _weight(self, part: Part) -> float:
        """Of the part's mean in the mean over the global batch, once DDP has divided by the world size."""
        return len(part.real) * self.place.world_size / self.config.batch

    def _set_learning_rates(self, position: int) -> None:
        factor = learning_rate_factor(self.config, position)
        _set_adam(self.generator_optimizer, self.config.generator, factor)
        _set_adam(self.discriminator_optimizer, self.config.discriminator, factor)

    def _measure(self, which: slice, means: Tensor, part: Part) -> None:
        self._sums[which] += means * len(part.real)
        self._images[which] += len(part.real)

    def measures(self) -> dict[str, float]:
        """The means, over all images of all ranks since the last call, of what MEASURES names. Every rank calls it."""
        totals = self.place.sum(torch.cat([self._sums, self._images]))
        sums, images = totals.double().cpu().chunk(2)
        self._sums.zero_()
        self._images.zero_()
        return {name: float(s / n) for name, s, n in zip(MEASURES, sums, images, strict=True) if n > 0}

    # ---- the state

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._state().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores everything but what the configuration sets: its learning rates and betas win over the state's."""
        for name, part in self._state().items():
            part.load_state_dict(state[name])
        self._set_learning_rates(0)

    def _state(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "equilibrium": self.equilibrium,
        }


def _adam(network: nn.Module, knobs: Optimizer) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=knobs.learning_rate, betas=knobs.betas, fused=True)


def _set_adam(optimizer: torch.optim.Optimizer, knobs: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group.update(lr=knobs.learning_rate * factor, betas=knobs.betas)
