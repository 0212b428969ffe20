"""The two networks that a configuration asks for."""

from typing import Any, TypeVar

from torch import nn

from raygan.pipeline.config import Config
from raygan.pipeline.models import article, dcgan
from raygan.pipeline.models.spectral import constrain

N = TypeVar("N", bound=nn.Module)

ARCHITECTURES: dict[str, Any] = {"dcgan": dcgan, "article": article}


Generator = dcgan.Generator | article.Generator


def generator(config: Config, size: int) -> Generator:
    """`size` pixels high and wide; its weights come from torch's random state."""
    network = ARCHITECTURES[config.architecture].Generator(**generator_arguments(config, size))
    return _synchronised(network, config)


def generator_arguments(config: Config, size: int) -> dict[str, Any]:
    return {
        "size": size,
        "latent": config.latent,
        "width": config.generator.width,
        "normalisation": config.generator.normalisation,
        "uniform": config.latent_distribution == "uniform",
        "attributes": len(config.attributes),
        "upsampling": config.generator.upsampling,
    }


def discriminator(config: Config, size: int, outputs: int) -> nn.Module:
    """Gives `outputs` numbers per image."""
    knobs = config.discriminator
    network = ARCHITECTURES[config.architecture].Discriminator(
        size, knobs.width, knobs.normalisation, outputs, len(config.attributes)
    )
    if knobs.spectral_gain:
        constrain(network, knobs.spectral_gain)
    return _synchronised(network, config)


def _synchronised(network: N, config: Config) -> N:
    if config.sync_batch_norm:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # in place, but for a network that is one layer
    return network
