"""Mean and covariance of features, accumulated batch by batch on any number of ranks in O(dimensions^2) memory."""

import torch
from torch import Tensor

from raygan.pipeline.distributed import DistributedContext


class Statistics:
    """Sums over features in float64, shifted by a reference mean so that the covariance loses no digits.

    A covariance from raw sums loses digits when the mean is large compared with the deviation; sums shifted by a value
    near the mean do not (Chan, Golub, LeVeque: Algorithms for Computing the Sample Variance, 1983). The reference is
    the mean of the first batch and, after `reduce`, the mean over all ranks.

    count: number of features added; reference, sum: float64 [d]; outer: float64 [d, d].
    """

    def __init__(self, dimensions: int, device: str | torch.device = "cpu") -> None:
        self.count = 0
        self.reference = torch.zeros(dimensions, dtype=torch.float64, device=device)
        self.sum = torch.zeros_like(self.reference)
        self.outer = self.sum.new_zeros(dimensions, dimensions)

    def add(self, features: Tensor) -> None:
        """Adds a batch of features [n, d]; n may be zero."""
        if not len(features):
            return
        features = features.double()
        if not self.count:
            self.reference = features.mean(0)
        shifted = features - self.reference
        self.count += len(features)
        self.sum += shifted.sum(0)
        self.outer.addmm_(shifted.T, shifted)

    def reduce(self, context: DistributedContext) -> None:
        """Sums over the ranks: each then has the statistics of all. Every rank calls it, one without features, too."""
        count = self.sum.new_full((1,), self.count)
        total = self.sum + self.count * self.reference
        context.sum(count)
        context.sum(total)
        self._move(total / count.clamp(min=1))
        context.sum(self.sum)
        context.sum(self.outer)
        self.count = int(count)

    def _move(self, reference: Tensor) -> None:
        shift = self.reference - reference
        cross = torch.outer(self.sum, shift)
        self.outer += cross + cross.T + self.count * torch.outer(shift, shift)
        self.sum += self.count * shift
        self.reference = reference

    @property
    def mean(self) -> Tensor:
        """The mean, float64 [d]; at least one feature is needed."""
        if self.count < 1:
            raise ValueError("a mean needs at least 1 feature")
        return self.reference + self.sum / self.count

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (divided by N - 1), float64 [d, d]; at least two features are needed."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 features, this one has {self.count}")
        mean = self.sum / self.count
        return (self.outer - self.count * torch.outer(mean, mean)) / (self.count - 1)
