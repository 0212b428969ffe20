"""GAN losses: what each network minimises, from the discriminator's logits of one batch.

Logits are float32 [b], or [b, outputs] where a loss says so. Every loss is a mean over images. A new one is a function
that returns a Loss, and a line in `chosen`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from raygan.pipeline.config import Adversarial

Decision = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _as_they_are(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return real, fake


class Loss(NamedTuple):
    """One loss. Both functions take the logits of real images and of fakes."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    generator_sees_real: bool = False  # else the generator's function does not use the real logits
    outputs: int = 1  # numbers that the discriminator gives per image
    decision: Decision = _as_they_are  # both logits to numbers [b], above zero where an image is classified as real


def chosen(settings: Adversarial) -> Loss:
    """The loss that the settings name."""
    losses = {
        "bce": lambda: bce(settings.label_smoothing),
        "hinge": hinge,
        "least-squares": least_squares,
        "relativistic": relativistic,
        "wasserstein": wasserstein,
        "mmd": repulsive_mmd,
    }
    return losses[settings.loss]()


def bce(smoothing: float = 0.0) -> Loss:
    """Binary cross-entropy with real = 1 and fake = 0, non-saturating: Goodfellow et al., arXiv 1406.2661, section 3.

    `smoothing` takes that much from the label of real images alone: Salimans et al., arXiv 1606.03498, section 3.4.
    """

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(-real).mean() + smoothing * real.mean() + F.softplus(fake).mean()

    return Loss(discriminator, lambda real, fake: F.softplus(-fake).mean())


def hinge() -> Loss:
    """Lim and Ye, arXiv 1705.02894; Miyato et al., arXiv 1802.05957, equations 16 and 17."""
    return Loss(
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda real, fake: -fake.mean(),
    )


def least_squares() -> Loss:
    """LSGAN: Mao et al., arXiv 1611.04076, equation 9 (real = 1, fake = 0)."""
    return Loss(
        lambda real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2,
        lambda real, fake: (fake - 1).square().mean() / 2,
        decision=lambda real, fake: (real - 0.5, fake - 0.5),
    )


def relativistic() -> Loss:
    """Relativistic average GAN: Jolicoeur-Martineau, arXiv 1807.00734, equations 9 and 10, with cross-entropy."""

    def apart(higher: Tensor, lower: Tensor) -> Tensor:
        return F.softplus(lower.mean() - higher).mean() + F.softplus(lower - higher.mean()).mean()

    return Loss(
        apart,
        lambda real, fake: apart(fake, real),
        generator_sees_real=True,
        decision=lambda real, fake: (real - fake.mean(), fake - real.mean()),
    )


def wasserstein() -> Loss:
    """Arjovsky et al., arXiv 1701.07875; it needs `gradient_penalty` (arXiv 1704.00028) or spectral normalisation."""

    def decision(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        middle = (real.mean() + fake.mean()) / 2
        return real - middle, fake - middle

    return Loss(lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean(), decision=decision)


MMD_OUTPUTS = 16
MMD_BOUNDS = 0.25, 4.0  # squared distances: fakes are not moved nearer, real images not further apart


def repulsive_mmd() -> Loss:
    """MMD-GAN with repulsive loss and bounded Gaussian kernel: Wang et al., arXiv 1812.09916, equations 4, 5 and 6.

    The discriminator gives a vector of 16 numbers per image; at least two images of each kind are needed.
    """
    near, far = MMD_BOUNDS

    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return _mean_kernel(real, real, most=far) - _mean_kernel(fake, fake, least=near)

    def generator(real: Tensor, fake: Tensor) -> Tensor:
        return _mean_kernel(real, real) - 2 * _mean_kernel(real, fake) + _mean_kernel(fake, fake)

    return Loss(discriminator, generator, generator_sees_real=True, outputs=MMD_OUTPUTS, decision=_nearer)


def _kernel(a: Tensor, b: Tensor, least: float = 0.0, most: float = float("inf")) -> Tensor:
    """exp(-|a - b|^2 / 2), [m, n], with the squared distances held between two bounds."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return torch.exp(-squared.clamp(least, most) / 2)


def _mean_kernel(a: Tensor, b: Tensor, least: float = 0.0, most: float = float("inf")) -> Tensor:
    kernel = _kernel(a, b, least, most)
    if a is not b:
        return kernel.mean()
    return (kernel.sum() - kernel.diagonal().sum()) / (len(a) * (len(a) - 1))


def _nearer(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Whether an image lies nearer to the real ones or to the fakes, itself left out: the witness function."""

    def to_others(images: Tensor) -> Tensor:
        kernel = _kernel(images, images)
        return (kernel.sum(1) - kernel.diagonal()) / (len(images) - 1)

    across = _kernel(real, fake)
    return to_others(real) - across.mean(1), across.mean(0) - to_others(fake)
