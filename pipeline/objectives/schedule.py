"""How learning rates change over a run, counted in images.

torch's schedulers count their own steps and keep state. This is a function of the position instead: it needs no state,
so a resumed run, with another batch too, is where it should be.
"""

import math

from raygan.pipeline.config import Config


def learning_rate_factor(config: Config, position: int) -> float:
    """What both learning rates are multiplied by for the update that starts at `position` (images)."""
    warm = min(1.0, (position + config.batch) / config.warm_up) if config.warm_up else 1.0
    done = min(1.0, position / config.images)
    decay = {"none": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}
    return warm * decay[config.decay]
