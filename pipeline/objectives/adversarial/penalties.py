"""Gradient penalties on the discriminator. It must treat each image alone: no batch normalisation."""

from collections.abc import Callable

import torch
from torch import Tensor


def r1_penalty(logits: Tensor, real: Tensor) -> Tensor:
    """Half the squared gradient per real image, averaged: R1 of Mescheder et al., arXiv 1801.04406, equation 9.

    `real` [b, 3, h, w] must require gradients, and `logits` [b] must be computed from it.
    """
    return _squared_gradients(logits, real).mean() / 2


def gradient_penalty(
    discriminator: Callable[..., Tensor], real: Tensor, fake: Tensor, attributes: Tensor | None, mixture: Tensor
) -> Tensor:
    """How far the gradient between real images and fakes is from length 1: Gulrajani et al., arXiv 1704.00028.

    Equation 3, without its weight. `mixture`: the share of the real image in each point, float32 [b], uniform.
    """
    share = mixture[:, None, None, None]
    between = (share * real.detach() + (1 - share) * fake).requires_grad_(True)
    lengths = _squared_gradients(discriminator(between, attributes), between).clamp_min(1e-12).sqrt()
    return (lengths - 1).square().mean()


def _squared_gradients(logits: Tensor, images: Tensor) -> Tensor:
    """Per image, float32 [b], in a form that can be differentiated once more."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))
