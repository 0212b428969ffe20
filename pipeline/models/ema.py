"""The exponential moving average of the generator, and what happens to its BatchNorm buffers.

The running statistics of the trained weights do not fit the averaged weights. So before the average draws, its
statistics are computed again over fixed latents: they are a pure function of its weights, for any world size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from raygan.pipeline.models.noise import Purpose, latents

CALIBRATION_BATCHES = 8
CALIBRATION_BATCH = 128


def averaged(generator: nn.Module, batch: int, half_life: int) -> AveragedModel:
    """The average of `generator`, to be updated once per `batch` images.

    `half_life` is the number of images after which half of the average is forgotten; 0 turns averaging off.
    """
    decay = 0.5 ** (batch / half_life) if half_life else 0.0
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay)).requires_grad_(False)


def recalibrate(generator: nn.Module, latent: int, device: torch.device) -> None:
    """Sets the BatchNorm statistics of `generator` to those over images drawn from 1,024 fixed latents."""

    def batches() -> Iterator[Tensor]:
        for i in range(CALIBRATION_BATCHES):
            noise = latents(0, Purpose.CALIBRATION, i * CALIBRATION_BATCH, CALIBRATION_BATCH, latent)
            yield noise.to(device)

    update_bn(batches(), generator)
