"""Layers that the networks share."""

import math

import torch
from torch import Tensor, nn

MOST_GROUPS = 16
ROWS = 1024  # rows of attributes that a conditional generator keeps


def normalise(kind: str, channels: int) -> list[nn.Module]:
    """The layers that normalise `channels` channels: "batch", "group" or "none" (no layer).

    All but "batch" treat each image alone.
    """
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels)]
    return []


def doubling(kind: str, before: int, after: int, bias: bool) -> list[nn.Module]:
    """Layers that double height and width and turn `before` channels into `after`.

    "transposed": Radford's transposed convolution. "nearest": every pixel repeated, then a convolution, which leaves no
    checkerboard pattern (Odena, Dumoulin, Olah, "Deconvolution and checkerboard artifacts", Distill 2016) and costs
    2.25 times the multiplications.
    """
    if kind == "nearest":
        return [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=bias)]
    return [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)]


class LatentInput(nn.Module):
    """The input of a generator: standard normal latents, float32 [b, self.latent], to features [b, self.features].

    `uniform` maps each normal number to one that is uniform in [-1, 1], through the normal distribution function. With
    `attributes` above 0 the generator is conditional: attributes, 0 or 1 [b, attributes], are appended as -1 or 1.
    Where none are given, one more latent dimension selects them from `rows`, the attributes of real images. So a
    conditional generator draws from latents alone, too.
    """

    rows: Tensor

    def __init__(self, latent: int, uniform: bool, attributes: int) -> None:
        super().__init__()
        self.latent, self.features = latent + bool(attributes), latent + attributes
        self._uniform, self._conditional = uniform, attributes > 0
        self._appended = latent  # latents that become features as they are
        if attributes:
            self.register_buffer("rows", torch.zeros(ROWS, attributes, dtype=torch.uint8))

    def forward(self, latents: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Features, float32 [b, self.features]."""
        features = latents[:, : self._appended]
        if self._uniform:
            features = torch.erf(features / math.sqrt(2))
        if not self._conditional:
            return features
        if attributes is None:
            attributes = self.attributes_from(latents)
        return torch.cat([features, 2 * attributes.to(features.dtype) - 1], 1)

    def attributes_from(self, latents: Tensor) -> Tensor:
        """The rows of attributes, uint8 [b, attributes], that the last latent dimension selects."""
        share = (1 + torch.erf(latents[:, -1] / math.sqrt(2))) / 2
        return self.rows[(share * ROWS).long().clamp(0, ROWS - 1)]


class Projection(nn.Linear):
    """What attributes add to a logit: Miyato and Koyama, arXiv 1802.05637, equation 3."""

    def __init__(self, attributes: int, channels: int) -> None:
        super().__init__(attributes, channels, bias=False)

    def forward(self, features: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        """Features, float32 [b, channels, h, w], and attributes, 0 or 1 [b, n], to float32 [b, 1]."""
        embedded = super().forward(2 * attributes.to(features.dtype) - 1)
        return (embedded * features.sum((2, 3))).sum(1, keepdim=True)
