"""What the networks share. Copies of this file travel with registered models, so it imports nothing of raygan."""

import math

import torch
from torch import Tensor, nn

MOST_GROUPS = 16
ROWS = 1024  # of attributes, kept in a conditional generator


def normalise(kind: str, channels: int) -> list[nn.Module]:
    """Batch normalisation, or what stands in its place; all but "batch" treat each image alone."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels)]
    return []


def doubling(kind: str, before: int, after: int, bias: bool) -> list[nn.Module]:
    """Twice the height and width, and `after` channels.

    "transposed": Radford's transposed convolution. "nearest": every pixel doubled, then a convolution, which leaves no
    checkerboard: Odena, Dumoulin, Olah, "Deconvolution and checkerboard artifacts", Distill 2016. It costs 2.25 times
    the multiplications.
    """
    if kind == "nearest":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=bias)]
    return [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)]


class Seed(nn.Module):
    """Latents, standard normal float32 [b, self.latent], to what a generator grows from, [b, self.features].

    `uniform` turns each normal number into one that is uniform in [-1, 1], through its distribution function. With
    `attributes` the chosen ones, 0 or 1 [b, attributes], are appended as -1 or 1. Where none are given, one more latent
    dimension picks them from `rows`, which are real faces': so a conditional generator, too, draws from latents alone.
    """

    rows: Tensor

    def __init__(self, latent: int, uniform: bool, attributes: int) -> None:
        super().__init__()
        self.latent, self.features = latent + bool(attributes), latent + attributes
        self._own, self._uniform, self._conditional = latent, uniform, attributes > 0
        if attributes:
            self.register_buffer("rows", torch.zeros(ROWS, attributes, dtype=torch.uint8))

    def forward(self, latents: Tensor, attributes: Tensor | None = None) -> Tensor:
        own = latents[:, : self._own]
        if self._uniform:
            own = torch.erf(own / math.sqrt(2))
        if not self._conditional:
            return own
        if attributes is None:
            attributes = self.picked(latents)
        return torch.cat([own, 2 * attributes.to(own.dtype) - 1], 1)

    def picked(self, latents: Tensor) -> Tensor:
        """The rows of attributes, uint8 [b, attributes], that the last latent dimension stands for."""
        share = (1 + torch.erf(latents[:, -1] / math.sqrt(2))) / 2
        return self.rows[(share * ROWS).long().clamp(0, ROWS - 1)]


class Projection(nn.Linear):
    """What attributes add to a logit: Miyato and Koyama, arXiv 1802.05637, equation 3.

    Features, float32 [b, channels, h, w], and attributes, 0 or 1 [b, n], to [b, 1].
    """

    def __init__(self, attributes: int, channels: int) -> None:
        super().__init__(attributes, channels, bias=False)

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        embedded = super().forward(2 * attributes.to(features.dtype) - 1)
        return (embedded * features.sum((2, 3))).sum(1, keepdim=True)
