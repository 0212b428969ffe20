"""Settings of networks and of their optimizers."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from raygan.pipeline.config.base import Settings

Normalisation = Literal["batch", "group", "none"]
Architecture = Literal["dcgan", "article"]

# Height and width of an image, in pixels, that an architecture's networks support, as they declare them themselves.
# They are repeated here so that a command refuses other sizes without importing torch.
SIZES: Mapping[Architecture, tuple[int, ...]] = {"dcgan": (32, 64, 128, 256), "article": (32, 64, 128, 256)}

Weights = Literal["average", "last"]  # of a generator: the moving average that is scored, or the last


class Optimizer(Settings):
    """One network's Adam."""

    learning_rate: float = Field(2e-4, gt=0, le=1, description="Adam's step size.")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.5, 0.999), description="Adam's decay rates of the first and second moment."
    )


class Generator(Optimizer):
    """The network that draws."""

    width: int = Field(64, ge=4, le=1024, description="Channels of the last hidden layer; each earlier one doubles.")
    normalisation: Normalisation = Field("batch", description="What follows each convolution but the last.")
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed", description="transposed: Radford's convolution; nearest: pixels doubled, then a convolution."
    )


class Discriminator(Optimizer):
    """The network that tells real images from fakes."""

    width: int = Field(64, ge=4, le=1024, description="Channels of the first layer; each later one doubles.")
    normalisation: Normalisation = Field("batch", description="What follows each convolution but the first.")
    spectral_gain: float = Field(
        0.0,
        ge=0,
        le=10_000,
        description="Most that the network may amplify differences, by spectral normalisation; 0 is off.",
    )
