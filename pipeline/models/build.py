"""The networks that a configuration asks for."""

from typing import Any, TypeVar

from torch import nn

from raygan.pipeline.config import Config, Discriminator
from raygan.pipeline.models import article, dcgan
from raygan.pipeline.models.spectral import constrain

N = TypeVar("N", bound=nn.Module)

ARCHITECTURES: dict[str, Any] = {"dcgan": dcgan, "article": article}  # modules with a Generator and a Discriminator
Generator = dcgan.Generator | article.Generator


def generator(config: Config, size: int) -> Generator:
    """A generator of images `size` pixels high and wide; its first weights come from torch's random state."""
    network = ARCHITECTURES[config.architecture].Generator(**generator_arguments(config, size))
    return _synchronised(network, config)


def generator_arguments(config: Config, size: int) -> dict[str, Any]:
    """The arguments of the generator's class, as they are kept in a registered model."""
    return {
        "size": size,
        "latent": config.latent,
        "width": config.generator.width,
        "normalisation": config.generator.normalisation,
        "uniform": config.latent_distribution == "uniform",
        "attributes": len(config.attributes),
        "upsampling": config.generator.upsampling,
    }


def discriminator(config: Config, settings: Discriminator, size: int, outputs: int) -> nn.Module:
    """A discriminator of images `size` pixels high and wide, with `outputs` numbers per image."""
    network = ARCHITECTURES[config.architecture].Discriminator(
        size, settings.width, settings.normalisation, outputs, len(config.attributes)
    )
    if settings.spectral_gain:
        constrain(network, settings.spectral_gain)
    return _synchronised(network, config)


def _synchronised(network: N, config: Config) -> N:
    if config.sync_batch_norm:
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # in place; only a network of a single layer would be replaced
    return network
