"""The networks of DCGAN: Radford, Metz, Chintala, arXiv 1511.06434, figure 1, for any power of two from 32 pixels."""

import math

from torch import Tensor, nn

MOST_GROUPS = 16


class Generator(nn.Module):
    """Latents, float32 [b, latent], to images, float32 [b, 3, size, size] in [-1, 1]."""

    def __init__(self, size: int, latent: int, width: int, normalisation: str) -> None:
        super().__init__()
        channels, bias = width * size // 8, normalisation == "none"
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, channels, 4, bias=bias)]
        while channels > width:
            layers += [*_normalise(normalisation, channels), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1, bias=bias)]
            channels //= 2
        layers += [*_normalise(normalisation, width), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, latents: Tensor) -> Tensor:
        return self.layers(latents[:, :, None, None])


class Discriminator(nn.Module):
    """Images, float32 [b, 3, size, size] in [-1, 1], to logits, float32 [b]: above zero is called real."""

    def __init__(self, size: int, width: int, normalisation: str) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        channels, bias = width, normalisation == "none"
        while channels < width * size // 8:
            layers += [nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=bias)]
            layers += [*_normalise(normalisation, 2 * channels), nn.LeakyReLU(0.2, inplace=True)]
            channels *= 2
        layers += [nn.Conv2d(channels, 1, 4)]
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten()


def _normalise(kind: str, channels: int) -> list[nn.Module]:
    """The paper's batch normalisation, or what stands in its place; all but "batch" treat each image alone."""
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(channels, MOST_GROUPS), channels)]
    return []


def _initialise(module: nn.Module) -> None:
    """Section 4 of the paper: weights from a normal distribution of deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
