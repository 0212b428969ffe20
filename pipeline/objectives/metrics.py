"""Means of what is measured while training, over the images of all ranks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from raygan.pipeline.distributed import DistributedContext


class MetricMeans:
    """Sums on the device, so that measuring waits for nothing; ranks add up when the means are asked for."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        self._sums = {name: torch.zeros((), device=device) for name in names}
        self._images = dict.fromkeys(names, 0)

    def add(self, name: str, mean: Tensor, images: int) -> None:
        """Notes a mean, a scalar tensor, over so many images."""
        self._sums[name] += mean.detach() * images
        self._images[name] += images

    def collect(self, context: DistributedContext) -> dict[str, float]:
        """The means since the last call, by name; those of which nothing was added are left out. All ranks call it."""
        images = torch.tensor([self._images[name] for name in self.names], device=context.device, dtype=torch.float32)
        totals = context.sum(torch.cat([torch.stack([self._sums[name] for name in self.names]), images]))
        sums, counts = totals.double().cpu().chunk(2)
        for name in self.names:
            self._sums[name].zero_()
            self._images[name] = 0
        return {name: float(s / n) for name, s, n in zip(self.names, sums, counts, strict=True) if n > 0}
