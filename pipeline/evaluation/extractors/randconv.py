"""An extractor of fixed random convolutions: it needs no weights, no download and no licence.

Random filters respond to colour, contrast, edges and their coarse arrangement, not to content; docs/evaluation.md has a
table of the changes that they detect. For smoke tests and regressions, not for publication.
"""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygan.sharding.hashing import hashes, key_of

SEED = 0x72616E64  # "rand"
WIDTHS = (32, 64, 64, 32)
SIZE = 64  # pixels; other sizes are resized to it
DIMENSIONS = sum(WIDTHS) + 4 * WIDTHS[-1]
DIGEST = "7994323992bf44eaffbb9d8cb3ebd6c39441aa8ac9cc037692f40bbf3117e155"  # of the filters below; they never change


def _filters(layer: int, outputs: int, inputs: int) -> Tensor:
    """Uniform filters, float32 [outputs, inputs, 3, 3], of variance 2 / fan-in; the same bits on every machine.

    They are whole numbers up to the last operations, which are correctly rounded. Half of the first layer's filters
    have a mean of exactly zero, so that they respond to edges and not to brightness.
    """
    fan = inputs * 9
    words = hashes(key_of(SEED, layer), 0, outputs * fan) >> np.uint64(40)
    weights = (words.astype(np.int64) - 2**23).reshape(outputs, fan) * fan
    if layer == 0:
        half = weights[: outputs // 2]
        half -= half.sum(1, keepdims=True) // fan
    scaled = weights.astype(np.float64) / (2**23 * fan) * np.sqrt(6 / fan)
    return torch.from_numpy(scaled.astype(np.float32)).view(outputs, inputs, 3, 3)


class RandomConvolutions(nn.Module):
    """Features: the mean absolute response of every filter, and the last layer averaged on a 2x2 grid."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *WIDTHS[:-1])
        for layer, (width, depth) in enumerate(zip(WIDTHS, inputs, strict=True)):
            self.register_buffer(f"filters{layer}", _filters(layer, width, depth))

    def digest(self) -> str:
        """SHA-256 of the filters' bytes."""
        digest = hashlib.sha256()
        for filters in self.buffers():
            digest.update(filters.cpu().numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def layers(self, images: Tensor) -> list[Tensor]:
        """[n, 3, H, W] on the scale 0 to 255 to the responses of each layer, float32 [n, width, side, side]."""
        x = images.float()
        if x.shape[-2:] != (SIZE, SIZE):
            x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", antialias=True)
        x = (x - 127.5) / 64
        found = []
        for filters in self.buffers():
            x = F.leaky_relu(F.conv2d(x, filters, stride=2, padding=1), 0.2)
            found.append(x)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """[n, 3, H, W] on the scale 0 to 255 to float32 [n, DIMENSIONS]."""
        layers = self.layers(images)
        features = [x.abs().mean((2, 3)) for x in layers]
        return torch.cat([*features, F.adaptive_avg_pool2d(layers[-1], 2).flatten(1)], 1)
