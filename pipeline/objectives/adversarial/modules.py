"""What each network minimises over a micro-batch, as a module with one forward per backward, as DDP asks."""

import torch
from torch import Tensor, nn

from raygan.pipeline.config import Adversarial
from raygan.pipeline.objectives.adversarial.augment import augmented
from raygan.pipeline.objectives.adversarial.losses import Loss
from raygan.pipeline.objectives.adversarial.penalties import gradient_penalty, r1_penalty


def precision(name: str, device: torch.device, exact: bool = False) -> torch.autocast:
    """Within it, convolutions compute in fp32 or bf16, or in float32 in any case if they must be exact."""
    return torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16" and not exact)


class DiscriminatorLoss(nn.Module):
    """Real and fake images to the discriminator's loss."""

    def __init__(self, discriminator: nn.Module, settings: Adversarial, loss: Loss, precision: str) -> None:
        super().__init__()
        self.discriminator, self.settings, self.loss, self.precision = discriminator, settings, loss, precision

    def forward(
        self, real: Tensor, fake: Tensor, attributes: Tensor | None, mixture: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The loss and both logits. With `mixture` [b], penalties are added, weighted by `penalty_every`."""
        settings = self.settings
        # The gradient of a gradient is too small for bfloat16.
        with precision(self.precision, real.device, exact=mixture is not None):
            real = real.requires_grad_(mixture is not None)
            # What torch compiles cannot be differentiated twice, so a penalty calls the network uncompiled.
            discriminate = self.discriminator if mixture is None else self.discriminator.forward
            real_logits = discriminate(real, attributes).float()
            fake_logits = discriminate(fake, attributes).float()
            loss = self.loss.discriminator(real_logits, fake_logits)
            if mixture is not None and settings.r1:
                loss = loss + settings.r1 * settings.penalty_every * r1_penalty(real_logits, real)
            if mixture is not None and settings.gradient_penalty:
                penalty = gradient_penalty(discriminate, real, fake, attributes, mixture)
                loss = loss + settings.gradient_penalty * settings.penalty_every * penalty
        return loss, real_logits.detach(), fake_logits.detach()


class GeneratorLoss(nn.Module):
    """Latents to the generator's loss, by a frozen discriminator, which is not part of this module."""

    def __init__(self, generator: nn.Module, settings: Adversarial, loss: Loss, precision: str) -> None:
        super().__init__()
        self.generator, self.settings, self.loss, self.precision = generator, settings, loss, precision

    def forward(
        self, noise: Tensor, attributes: Tensor | None, chance: Tensor | None, real: Tensor, discriminator: nn.Module
    ) -> Tensor:
        """`chance` [b, DRAWS] decides how fakes are augmented; `real` is used only if the loss compares with it."""
        with precision(self.precision, noise.device):
            fake = augmented(self.generator(noise, attributes).float(), self.settings.augment, chance)
            fake_logits = discriminator(fake, attributes).float()
            real_logits = fake_logits.detach()
            if self.loss.generator_sees_real:
                with torch.no_grad():
                    real_logits = discriminator(real, attributes).float()
            return self.loss.generator(real_logits, fake_logits)
