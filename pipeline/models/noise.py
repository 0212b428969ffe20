"""Noise as a pure function of (seed, purpose, index): it depends on no random state and on no world size."""

from enum import IntEnum

import numpy as np
import torch

from raygan.sharding.hashing import hashes, key_of


class Purpose(IntEnum):
    """The streams of noise, one for each use. The numbers are frozen: results and checkpoints depend on them."""

    DISCRIMINATOR = 1
    GENERATOR = 2
    FACES = 3
    EVALUATION = 4
    CALIBRATION = 5
    AUGMENT_REAL = 6
    AUGMENT_FAKE = 7
    AUGMENT_DRAWN = 8
    MIXTURE = 9


def latents(seed: int, purpose: Purpose, first: int, count: int, dimensions: int, repeat: int = 0) -> torch.Tensor:
    """Standard normal latents of the indices first, ..., first + count - 1, as float32 [count, dimensions].

    `repeat` tells apart several draws for one index, as for several updates of a network at one position.
    Two normals come from one 64-bit hash (Box and Muller, 1958).
    """
    pairs = (dimensions + 1) // 2
    bits = hashes(key_of(seed, purpose, repeat), first * pairs, count * pairs)
    radius = np.sqrt(-2 * np.log(((bits >> np.uint64(32)).astype(np.float64) + 0.5) / 2**32))
    angle = 2 * np.pi * ((bits & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2**32)
    normals = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1, dtype=np.float32)
    return torch.from_numpy(normals.reshape(count, 2 * pairs)[:, :dimensions])


def uniforms(seed: int, purpose: Purpose, first: int, count: int, dimensions: int, repeat: int = 0) -> torch.Tensor:
    """Numbers uniform in [0, 1), as float32 [count, dimensions]; the arguments are those of `latents`."""
    bits = hashes(key_of(seed, purpose, repeat), first * dimensions, count * dimensions)
    return torch.from_numpy((bits >> np.uint64(40)).astype(np.float32).reshape(count, dimensions) / 2**24)
