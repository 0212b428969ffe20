"""One discriminator update, one generator update, and the schedule between them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from raygan.pipeline.config import Adversarial, Config
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.models import build
from raygan.pipeline.models.ema import averaged
from raygan.pipeline.models.noise import Purpose, latents, uniforms
from raygan.pipeline.objectives.adversarial.augment import DRAWS, augmented
from raygan.pipeline.objectives.adversarial.balance import AutoBalance, generator_updates_due
from raygan.pipeline.objectives.adversarial.losses import chosen
from raygan.pipeline.objectives.adversarial.modules import DiscriminatorLoss, GeneratorLoss, precision
from raygan.pipeline.objectives.generator import GeneratorObjective, adam, new_generator, set_adam
from raygan.pipeline.objectives.metrics import MetricMeans
from raygan.pipeline.objectives.schedule import learning_rate_factor

METRICS = (
    "loss/discriminator",
    "discriminator/real",
    "discriminator/fake",
    "discriminator/accuracy",
    "loss/generator",
)


class MicroBatch(NamedTuple):
    """Images whose gradients are computed at once: this rank's share of a global batch, or a piece of it."""

    first: int  # where it begins in the global batch
    real: Tensor  # float32 [b, 3, size, size] in [-1, 1], augmented
    attributes: Tensor | None  # 0 or 1 [b, attributes]
    last: bool = False  # of this rank's: ranks exchange gradients after it


class AdversarialObjective(GeneratorObjective):
    """Trains a generator against a discriminator: the two networks, their optimizers and the averaged generator."""

    def __init__(self, config: Config, size: int, context: DistributedContext, rows: Tensor | None = None) -> None:
        super().__init__(config, size, context, rows)
        assert isinstance(config.objective, Adversarial)
        self.settings = config.objective
        self.loss = chosen(self.settings)
        torch.manual_seed(config.seed)
        self.generator = new_generator(config, size, context.device, rows)
        self.discriminator = build.discriminator(config, self.settings.discriminator, size, self.loss.outputs)
        self.discriminator.to(context.device).to(memory_format=torch.channels_last)
        self.average = averaged(self.generator, config.batch, config.ema_half_life)
        self.generator_optimizer = adam(self.generator, config.generator)
        self.discriminator_optimizer = adam(self.discriminator, self.settings.discriminator)
        self.auto_balance = AutoBalance(self.settings.balance_target)
        if config.compile:
            self.generator.compile()
            self.discriminator.compile()
        self._discriminator_loss = context.averaging_gradients(
            DiscriminatorLoss(self.discriminator, self.settings, self.loss, config.precision)
        )
        self._generator_loss = context.averaging_gradients(
            GeneratorLoss(self.generator, self.settings, self.loss, config.precision)
        )
        self.means = MetricMeans(METRICS, context.device)

    def step(self, images: Tensor, position: int, attributes: Tensor | None = None) -> None:
        """Shows the discriminator the batch, and updates what is due."""
        self.set_learning_rates(position)
        batches = self._micro_batches(images, attributes, position)
        if self.settings.balance == "auto":
            self._update_one(batches, position)
        else:
            self._update_discriminator(batches, position)
            for repeat in range(generator_updates_due(position, self.config.batch, self.settings.balance)):
                self._update_generator(batches, position, repeat)
        self.average.update_parameters(self.generator)

    def _update_one(self, batches: list[MicroBatch], position: int) -> None:
        """balance auto: one network, by the discriminator's accuracy, which is then measured on this batch."""
        if self.auto_balance.generator_is_due:
            with torch.no_grad():
                right = sum(self._discriminate(batch, position, penalise=False)[1] for batch in batches)
            self._update_generator(batches, position)
        else:
            right = self._update_discriminator(batches, position)
        total = self.context.sum(torch.as_tensor(right, device=self.context.device))
        self.auto_balance.observe(float(total) / self.config.batch, self.config.batch)

    # ---- the two updates

    def _update_discriminator(self, batches: list[MicroBatch], position: int) -> Tensor:
        """Returns this rank's share of the accuracy: accuracy times images, a scalar."""
        self.discriminator_optimizer.zero_grad(set_to_none=False)
        penalised = self.settings.r1 > 0 or self.settings.gradient_penalty > 0
        penalise = penalised and position // self.config.batch % self.settings.penalty_every == 0
        right = torch.zeros((), device=self.context.device)
        for batch in batches:
            with self.context.exchanging(self._discriminator_loss, batch.last):
                loss, found = self._discriminate(batch, position, penalise)
                (loss * self._weight(batch)).backward()
            right += found
        self.discriminator_optimizer.step()
        return right

    def _discriminate(self, batch: MicroBatch, position: int, penalise: bool) -> tuple[Tensor, Tensor]:
        """The discriminator's loss on real images and as many fresh fakes, and its accuracy times images."""
        noise = self._latents(Purpose.DISCRIMINATOR, batch, position)
        with torch.no_grad(), precision(self.config.precision, self.context.device):
            fake = self.generator(noise, batch.attributes).float()
        fake = augmented(fake, self.settings.augment, self._chance(Purpose.AUGMENT_FAKE, batch, position))
        mixture = self._uniforms(Purpose.MIXTURE, batch, position, 1)[:, 0] if penalise else None
        loss, *logits = self._discriminator_loss(batch.real, fake, batch.attributes, mixture)
        called_real, called_fake = self.loss.decision(*logits)
        accuracy = ((called_real > 0).float().mean() + (called_fake < 0).float().mean()) / 2
        means = (loss, called_real.sigmoid().mean(), called_fake.sigmoid().mean(), accuracy)
        for name, mean in zip(METRICS[:4], means, strict=True):
            self.means.add(name, mean, len(batch.real))
        return loss, accuracy * len(batch.real)

    def _update_generator(self, batches: list[MicroBatch], position: int, repeat: int = 0) -> None:
        self.generator_optimizer.zero_grad(set_to_none=False)
        self.discriminator.requires_grad_(False)
        for batch in batches:
            noise = self._latents(Purpose.GENERATOR, batch, position, repeat)
            chance = self._chance(Purpose.AUGMENT_DRAWN, batch, position, repeat)
            with self.context.exchanging(self._generator_loss, batch.last):
                loss = self._generator_loss(noise, batch.attributes, chance, batch.real, self.discriminator)
                (loss * self._weight(batch)).backward()
            self.means.add("loss/generator", loss, len(batch.real))
        self.discriminator.requires_grad_(True)
        self.generator_optimizer.step()

    # ---- what the updates are made of

    def _micro_batches(self, images: Tensor, attributes: Tensor | None, position: int) -> list[MicroBatch]:
        edges = self.context.micro_batches(self.config.batch, self.config.accumulate)
        first_of_rank = edges[0][0]
        batches = []
        for first, count in edges:
            own = slice(first - first_of_rank, first - first_of_rank + count)
            real = images[own].float().div_(127.5).sub_(1)
            batch = MicroBatch(first, real, None if attributes is None else attributes[own])
            chance = self._chance(Purpose.AUGMENT_REAL, batch, position)
            batches.append(batch._replace(real=augmented(batch.real, self.settings.augment, chance)))
        batches[-1] = batches[-1]._replace(last=True)
        return batches

    def _latents(self, purpose: Purpose, batch: MicroBatch, position: int, repeat: int = 0) -> Tensor:
        dimensions = self.config.latent_dimensions
        noise = latents(self.config.seed, purpose, position + batch.first, len(batch.real), dimensions, repeat)
        return noise.to(self.context.device, non_blocking=True)

    def _chance(self, purpose: Purpose, batch: MicroBatch, position: int, repeat: int = 0) -> Tensor | None:
        """The numbers that decide how images are augmented, if they are."""
        return self._uniforms(purpose, batch, position, DRAWS, repeat) if self.settings.augment else None

    def _uniforms(self, purpose: Purpose, batch: MicroBatch, position: int, numbers: int, repeat: int = 0) -> Tensor:
        found = uniforms(self.config.seed, purpose, position + batch.first, len(batch.real), numbers, repeat)
        return found.to(self.context.device, non_blocking=True)

    def _weight(self, batch: MicroBatch) -> float:
        """Of the micro-batch's mean in the mean over the global batch, once DDP has divided by the world size."""
        return len(batch.real) * self.context.world_size / self.config.batch

    def set_learning_rates(self, position: int) -> None:
        """Gives both optimizers their configured values, scaled by the schedule at this position."""
        factor = learning_rate_factor(self.config, position)
        set_adam(self.generator_optimizer, self.config.generator, factor)
        set_adam(self.discriminator_optimizer, self.settings.discriminator, factor)

    # ---- the state

    def parts(self) -> dict[str, Any]:
        """Both networks, the average, both optimizers, and the running mean of `balance` auto."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
            "equilibrium": self.auto_balance,  # the name that version 0.1 wrote
        }
