"""GAN losses and regularisers. Logits are float32 [b], above zero for real; every loss is a mean over images."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Loss(NamedTuple):
    """What each network minimises."""

    discriminator: Callable[[Tensor, Tensor], Tensor]  # logits of real images, logits of fakes
    generator: Callable[[Tensor], Tensor]  # logits of fakes


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy with real = 1 and fake = 0: Goodfellow et al., arXiv 1406.2661, equation 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def bce_generator(fake: Tensor) -> Tensor:
    """Binary cross-entropy of fakes labelled 1, the non-saturating form: arXiv 1406.2661, section 3."""
    return F.softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Lim and Ye, arXiv 1705.02894; Miyato et al., arXiv 1802.05957, equation 16."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """Miyato et al., arXiv 1802.05957, equation 17."""
    return -fake.mean()


LOSSES = {"bce": Loss(bce_discriminator, bce_generator), "hinge": Loss(hinge_discriminator, hinge_generator)}


def r1_penalty(logits: Tensor, real: Tensor) -> Tensor:
    """Half the squared gradient per real image, averaged: R1 of Mescheder et al., arXiv 1801.04406, equation 9.

    `real` [b, 3, h, w] must require gradients, and `logits` [b] must be computed from it image by image.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean() / 2
