"""Flips images horizontally, each where its coin is True."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def flipped(images: Tensor, coins: NDArray[np.bool_]) -> Tensor:
    """`images`, uint8 [n, height, width, 3], with those flipped whose coin, bool [n], is True; in place on a CPU."""
    if images.device.type != "cpu":
        return torch.where(torch.from_numpy(coins).to(images.device)[:, None, None, None], images.flip(2), images)
    host = images.numpy()
    chosen = host[coins]
    for channel in range(3):  # three strided copies take a quarter of the time of one copy of 3-byte pixels
        host[coins, ..., channel] = chosen[:, :, ::-1, channel]
    return images
