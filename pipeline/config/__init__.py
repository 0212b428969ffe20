"""Every setting: typed, bounded, with its unit. It imports nothing of raygan.

Each part owns its own settings; `run` puts them together, and a preset is a function that returns all of them.
"""

from raygan.pipeline.config.adversarial import Adversarial
from raygan.pipeline.config.base import Settings
from raygan.pipeline.config.evaluation import Evaluation
from raygan.pipeline.config.launch import Launch
from raygan.pipeline.config.models import Discriminator, Generator, Optimizer, Weights
from raygan.pipeline.config.objective import ObjectiveSettings
from raygan.pipeline.config.presets import PRESETS, article, celeba64, demo, radford, smoke, wide
from raygan.pipeline.config.run import Config
from raygan.pipeline.config.training import Checkpoints

__all__ = [
    "PRESETS",
    "Adversarial",
    "Checkpoints",
    "Config",
    "Discriminator",
    "Evaluation",
    "Generator",
    "Launch",
    "ObjectiveSettings",
    "Optimizer",
    "Settings",
    "Weights",
    "article",
    "celeba64",
    "demo",
    "radford",
    "smoke",
    "wide",
]
