"""The networks of the tutorial that raygan grew out of (GANs on celebrity faces, in Keras).

Discriminator, as the tutorial describes it: blocks of a convolution, batch norm, a second convolution that halves the
image, batch norm, down to 4x4 (four blocks at 64 pixels); then average pooling and one dense output. That output is a
logit here, without the tutorial's sigmoid. Generator: a dense layer to 4x4 with the channels of the discriminator's
last block, as many blocks of transposed convolution and batch norm, a last convolution to 3 channels. Kernels and
activations, which the tutorial does not give, are those of dcgan.py.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from raygan.pipeline.models.layers import LatentInput, Projection, doubling, normalise


class Generator(nn.Module):
    """Has the arguments, inputs and outputs of dcgan.Generator."""

    sizes: ClassVar[tuple[int, ...]] = (32, 64, 128, 256)  # pixels that this pair of networks supports

    def __init__(
        self,
        size: int,
        latent: int,
        width: int,
        normalisation: str,
        uniform: bool = False,
        attributes: int = 0,
        upsampling: str = "transposed",
    ) -> None:
        super().__init__()
        self.seed = LatentInput(latent, uniform, attributes)
        channels, bias = width * size // 8, normalisation == "none"
        self.dense = nn.Linear(self.seed.features, channels * 16)
        layers: list[nn.Module] = []
        for _ in range(_blocks(size)):
            after = max(channels // 2, width)
            layers += doubling(upsampling, channels, after, bias)
            layers += [*normalise(normalisation, after), nn.ReLU(inplace=True)]
            channels = after
        layers += [nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Images, float32 [b, 3, size, size] in [-1, 1]."""
        smallest = self.dense(self.seed(latents, attributes)).unflatten(1, (-1, 4, 4))
        return self.layers(smallest.contiguous(memory_format=torch.channels_last))


class Discriminator(nn.Module):
    """Has the arguments, inputs and outputs of dcgan.Discriminator."""

    def __init__(self, size: int, width: int, normalisation: str, outputs: int = 1, attributes: int = 0) -> None:
        super().__init__()
        bias = normalisation == "none"
        layers: list[nn.Module] = []
        before, channels = 3, width
        for _ in range(_blocks(size)):
            for convolution in (
                nn.Conv2d(before, channels, 3, padding=1, bias=bias),
                nn.Conv2d(channels, channels, 4, stride=2, padding=1, bias=bias),
            ):
                layers += [convolution, *normalise(normalisation, channels), nn.LeakyReLU(0.2, inplace=True)]
            before, channels = channels, 2 * channels
        self.layers = nn.Sequential(*layers)
        self.dense = nn.Linear(before, outputs)
        self.projection = Projection(attributes, before) if attributes else None

    def forward(self, images: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Logits, float32 [b] or [b, outputs]."""
        features = self.layers(images)
        logits = self.dense(features.mean((2, 3)))
        if self.projection is not None and attributes is not None:
            logits = logits + self.projection(features, attributes)
        return logits.squeeze(1)


def _blocks(size: int) -> int:
    """How often `size` pixels are halved to reach 4."""
    return size.bit_length() - 3
