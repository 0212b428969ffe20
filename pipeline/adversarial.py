"""One discriminator update, one generator update, and the schedule between them.

The training loop knows only `step`, `measures` and the state; another objective can stand in this one's place.
"""

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.averaging import averaged
from pipeline.config import Config, Optimizer
from pipeline.losses import LOSSES, r1_penalty
from pipeline.networks import dcgan
from pipeline.noise import Purpose, latents
from pipeline.place import Place

MEASURES = (
    "loss/discriminator",
    "discriminator/real",
    "discriminator/fake",
    "discriminator/accuracy",
    "loss/generator",
)


def generator_updates_due(position: int, batch: int, balance: float) -> int:
    """How many generator updates follow the discriminator update that starts at `position`.

    A pure function of the position, so a resumed run keeps the rhythm: after n discriminator updates there have been
    floor(n / balance) generator updates.
    """
    images_per_update = batch * Fraction(balance).limit_denominator(1000)
    return (position + batch) // images_per_update - position // images_per_update


class DiscriminatorObjective(nn.Module):
    """Real and fake images to the discriminator's loss: one forward per backward, as DDP asks."""

    def __init__(self, discriminator: nn.Module, config: Config) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.loss = LOSSES[config.loss].discriminator
        self.penalty = config.r1 * config.r1_every

    def forward(self, real: Tensor, fake: Tensor, penalise: bool) -> tuple[Tensor, Tensor, Tensor]:
        real = real.requires_grad_(penalise)
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        loss = self.loss(real_logits, fake_logits)
        if penalise:
            loss = loss + self.penalty * r1_penalty(real_logits, real)
        return loss, real_logits.detach(), fake_logits.detach()


class GeneratorObjective(nn.Module):
    """Latents to the generator's loss before a frozen discriminator, which is no part of this module."""

    def __init__(self, generator: nn.Module, config: Config) -> None:
        super().__init__()
        self.generator = generator
        self.loss = LOSSES[config.loss].generator

    def forward(self, noise: Tensor, discriminator: nn.Module) -> Tensor:
        return self.loss(discriminator(self.generator(noise)))


class Adversaries:
    """The two networks, their optimizers and the averaged generator, trained by `step`."""

    def __init__(self, config: Config, size: int, place: Place) -> None:
        self.config, self.size, self.place = config, size, place
        torch.manual_seed(config.seed)
        self.generator = dcgan.Generator(size, config.latent, config.generator.width, config.generator.normalisation)
        self.discriminator = dcgan.Discriminator(size, config.discriminator.width, config.discriminator.normalisation)
        for network in (self.generator, self.discriminator):
            network.to(place.device).to(memory_format=torch.channels_last)
        self.average = averaged(self.generator, config.batch, config.ema_half_life)
        self.generator_optimizer = _adam(self.generator, config.generator)
        self.discriminator_optimizer = _adam(self.discriminator, config.discriminator)
        self._discriminator_objective = place.averaging_gradients(DiscriminatorObjective(self.discriminator, config))
        self._generator_objective = place.averaging_gradients(GeneratorObjective(self.generator, config))
        self._sums = torch.zeros(len(MEASURES), device=place.device)
        self._images = torch.zeros(len(MEASURES), device=place.device)

    def step(self, real: Tensor, position: int) -> None:
        """One discriminator update on this rank's share of the global batch at `position`, then the generator's.

        `real`: uint8 [b, 3, size, size] on the device.
        """
        self._update_discriminator(real.float().div_(127.5).sub_(1), position)
        for repeat in range(generator_updates_due(position, self.config.batch, self.config.balance)):
            self._update_generator(position, repeat)
        self.average.update_parameters(self.generator)

    def _update_discriminator(self, real: Tensor, position: int) -> None:
        with torch.no_grad():
            fake = self.generator(self._latents(Purpose.DISCRIMINATOR, position))
        penalise = self.config.r1 > 0 and position // self.config.batch % self.config.r1_every == 0
        loss, real_logits, fake_logits = self._discriminator_objective(real, fake, penalise)
        self._descend(self.discriminator_optimizer, loss)
        accuracy = ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2
        means = (loss.detach(), real_logits.sigmoid().mean(), fake_logits.sigmoid().mean(), accuracy)
        self._measure(slice(0, 4), torch.stack(means))

    def _update_generator(self, position: int, repeat: int) -> None:
        self.discriminator.requires_grad_(False)
        loss = self._generator_objective(self._latents(Purpose.GENERATOR, position, repeat), self.discriminator)
        self._descend(self.generator_optimizer, loss)
        self.discriminator.requires_grad_(True)
        self._measure(slice(4, 5), loss.detach())

    def _latents(self, purpose: Purpose, position: int, repeat: int = 0) -> Tensor:
        first, count = self.place.share(self.config.batch)
        noise = latents(self.config.seed, purpose, position + first, count, self.config.latent, repeat)
        return noise.to(self.place.device, non_blocking=True)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        _, count = self.place.share(self.config.batch)
        optimizer.zero_grad(set_to_none=False)
        (loss * (count * self.place.world_size / self.config.batch)).backward()
        optimizer.step()

    def _measure(self, which: slice, means: Tensor) -> None:
        _, count = self.place.share(self.config.batch)
        self._sums[which] += means * count
        self._images[which] += count

    def measures(self) -> dict[str, float]:
        """The means, over all images of all ranks since the last call, of what MEASURES names. Every rank calls it."""
        totals = self.place.sum(torch.cat([self._sums, self._images]))
        sums, images = totals.double().cpu().chunk(2)
        self._sums.zero_()
        self._images.zero_()
        return {name: float(s / n) for name, s, n in zip(MEASURES, sums, images, strict=True) if n > 0}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores everything but what the configuration sets: its learning rates and betas win over the state's."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        _set_adam(self.generator_optimizer, self.config.generator)
        _set_adam(self.discriminator_optimizer, self.config.discriminator)

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }


def _adam(network: nn.Module, knobs: Optimizer) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=knobs.learning_rate, betas=knobs.betas, fused=True)


def _set_adam(optimizer: torch.optim.Optimizer, knobs: Optimizer) -> None:
    for group in optimizer.param_groups:
        group.update(lr=knobs.learning_rate, betas=knobs.betas)
