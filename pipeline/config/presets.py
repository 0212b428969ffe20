"""Presets: each is a function that returns a whole configuration."""

from collections.abc import Callable

from raygan.pipeline.config.adversarial import Adversarial
from raygan.pipeline.config.evaluation import Evaluation
from raygan.pipeline.config.models import Discriminator, Generator
from raygan.pipeline.config.run import Config
from raygan.pipeline.config.training import Checkpoints


def article() -> Config:
    """The tutorial's networks and uniform latents, with as many updates of one network as of the other."""
    return Config(preset="article", architecture="article", latent_distribution="uniform")


def radford() -> Config:
    """DCGAN as published: Radford, Metz, Chintala, arXiv 1511.06434."""
    return Config()


def celeba64() -> Config:
    """The best settings known for networks of DCGAN's size; docs/recipes.md has its scores."""
    return Config(
        preset="celeba64",
        batch=64,
        generator=Generator(learning_rate=4e-4, upsampling="nearest"),
        objective=Adversarial(discriminator=Discriminator(learning_rate=4e-4, normalisation="none"), r1=0.1),
        flip=True,
        precision="bf16",
    )


def wide() -> Config:
    """celeba64 for a big GPU: twice the width, eight times the batch."""
    return celeba64().with_settings(
        {
            "preset": "wide",
            "images": 20_000_000,
            "batch": 512,
            "generator.width": 128,
            "discriminator.width": 128,
        }
    )


def demo() -> Config:
    """Recognisable faces of the synthetic data set after three minutes on two CPU cores."""
    adam = {"learning_rate": 4e-4, "width": 24}
    return Config(
        preset="demo",
        images=60_000,
        batch=32,
        latent=64,
        generator=Generator(**adam),
        objective=Adversarial(discriminator=Discriminator(**adam, normalisation="none"), r1=1.0),
        flip=True,
        ema_half_life=4_000,
        log_every=1_000,
        evaluation=Evaluation(every=10_000, count=1_000),
        checkpoints=Checkpoints(every=10_000),
    )


def smoke() -> Config:
    """The smallest run that still does everything; for tests."""
    return Config(
        preset="smoke",
        images=256,
        batch=16,
        latent=8,
        generator=Generator(width=4),
        objective=Adversarial(discriminator=Discriminator(width=4)),
        ema_half_life=64,
        log_every=64,
        evaluation=Evaluation(every=128, count=32),
        checkpoints=Checkpoints(every=64),
    )


PRESETS: dict[str, Callable[[], Config]] = {f.__name__: f for f in (article, radford, celeba64, wide, demo, smoke)}
