"""The networks: shapes at every size they declare, and the layers of the publications they come from."""

from typing import get_args

import pytest
import torch

from raygan.pipeline import config as settings
from raygan.pipeline.config import Config, smoke
from raygan.pipeline.config.models import SIZES
from raygan.pipeline.models import article, build
from raygan.pipeline.models.dcgan import Discriminator, Generator
from raygan.pipeline.models.layers import doubling

KINDS = ("transposed", "nearest")


@pytest.mark.parametrize("kind", ["batch", "group", "none"])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_networks_fit_each_other_at_every_size(size: int, kind: str) -> None:
    generator, discriminator = Generator(size, 7, 4, kind), Discriminator(size, 4, kind)
    images = generator(torch.randn(2, 7))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)


@pytest.mark.parametrize("architecture", get_args(Config.model_fields["architecture"].annotation))
def test_every_declared_size_is_drawn_and_taken(architecture: str) -> None:
    config = smoke().model_copy(update={"architecture": architecture})
    assert SIZES[config.architecture] == build.ARCHITECTURES[architecture].Generator.sizes
    for size in SIZES[config.architecture]:
        images = build.generator(config, size)(torch.randn(2, config.latent))
        assert images.shape == (2, 3, size, size)
        assert build.discriminator(config, settings.Discriminator(width=4), size, 1)(images).shape == (2,)


def test_the_layers_are_those_of_the_paper_at_64_pixels() -> None:
    """Figure 1: 100 -> 1024 x 4 x 4 -> 512 -> 256 -> 128 -> 3 x 64 x 64."""
    generator = Generator(64, latent=100, width=128, normalisation="batch")
    channels = [m.out_channels for m in generator.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert channels == [1024, 512, 256, 128, 3]
    discriminator = Discriminator(64, width=128, normalisation="batch")
    channels = [m.out_channels for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert channels == [128, 256, 512, 1024, 1]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in discriminator.modules()) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_of_upsampling_double_each_side(kind: str) -> None:
    (image,) = torch.nn.Sequential(*doubling(kind, 5, 3, bias=True))(torch.randn(1, 5, 6, 6))
    assert image.shape == (3, 12, 12)
    assert Generator(64, 7, 4, "batch", upsampling=kind)(torch.randn(2, 7)).shape == (2, 3, 64, 64)


def test_nearest_upsampling_of_a_flat_image_has_no_checkerboard_inside() -> None:
    """A transposed convolution draws one: its pixels get different shares of the kernel."""
    flat = torch.ones(1, 5, 6, 6)
    torch.manual_seed(0)
    with torch.no_grad():
        spread = {k: torch.nn.Sequential(*doubling(k, 5, 3, False))(flat)[..., 2:-2, 2:-2].std((2, 3)) for k in KINDS}
    assert spread["nearest"].max() < 1e-6
    assert spread["transposed"].min() > 1e-3


@pytest.mark.parametrize("kind", ["group", "none"])
def test_without_batch_normalisation_each_image_is_evaluated_alone(kind: str) -> None:
    discriminator, images = Discriminator(32, 4, kind), torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(discriminator(images)[:1], discriminator(images[:1]))


def test_weights_start_with_the_deviation_of_the_paper() -> None:
    torch.manual_seed(0)
    weights = torch.cat([p.flatten() for n, p in Discriminator(64, 32, "none").named_parameters() if "weight" in n])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_articles_networks_fit_each_other_at_every_size(size: int) -> None:
    generator, discriminator = (
        article.Generator(size, 7, 4, "batch", uniform=True),
        article.Discriminator(size, 4, "batch"),
    )
    images = generator(torch.randn(2, 7))
    assert images.shape == (2, 3, size, size)
    assert discriminator(images).shape == (2,)


def test_the_articles_layers_are_as_it_describes_them_at_64_pixels() -> None:
    """Four blocks of two convolutions with batch norm after each; 4 x 4 times the last block's filters."""
    discriminator, generator = article.Discriminator(64, 16, "batch"), article.Generator(64, 100, 16, "batch")
    convolutions = [m for m in discriminator.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.stride[0] for m in convolutions] == [1, 2] * 4
    assert [m.out_channels for m in convolutions] == [16, 16, 32, 32, 64, 64, 128, 128]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in discriminator.modules()) == 8
    assert generator.dense.out_features == 4 * 4 * 128
    assert sum(isinstance(m, torch.nn.ConvTranspose2d) for m in generator.modules()) == 4
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in generator.modules()) == 4
