"""How far a score would move had other images been drawn from the same generator: the bootstrap (Efron, 1979)."""

import torch
from torch import Tensor

from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.cache import Measurement
from raygan.pipeline.evaluation.statistics import Statistics
from raygan.sharding.hashing import hashes, key_of

SEED = 0x626F6F74  # "boot"


def resample(number: int, count: int) -> Tensor:
    """The row numbers, int64 [count], that the resample of this number draws with replacement from `count`."""
    drawn = hashes(key_of(SEED, number), 0, count) % count
    return torch.from_numpy(drawn.astype("int64"))


def frechet_deviation(real: Measurement, fake: Measurement, resamples: int) -> float:
    """Standard deviation of the Fréchet distance over resamples of the fakes, whose features must all be kept.

    A resample repeats images, which biases its distance upwards; the deviation is not affected by that in first order.
    """
    features = _all_features(fake)
    distance = distances.frechet_from(real.statistics)
    found = []
    for number in range(resamples):
        statistics = Statistics(features.shape[1], features.device)
        for rows in resample(number, len(features)).to(features.device).split(distances.BLOCK):
            statistics.add(features[rows])
        found.append(distance(statistics))
    return float(torch.tensor(found, dtype=torch.float64).std())


def kid_deviation(real: Measurement, fake: Measurement, resamples: int) -> float:
    """Standard deviation of KID over resamples of the fakes; pairs of one image with itself are left out."""
    x, y = real.features.double(), _all_features(fake).double()
    n = len(y)
    times = torch.stack([resample(number, n).bincount(minlength=n) for number in range(resamples)], 1)
    times = times.to(y.device, torch.float64)  # [n, resamples]: how often each image was drawn
    within, across = y.new_zeros(resamples), y.new_zeros(resamples)
    for rows, drawn in zip(y.split(distances.BLOCK), times.split(distances.BLOCK), strict=True):
        within += (drawn * (distances.kernel(rows, y) @ times)).sum(0)
        across += drawn.T @ distances.kernel(rows, x).mean(1)
    squares = times.square()
    within -= squares.T @ distances.kernel_diagonal(y)
    found = within / (n * n - squares.sum(0)) - 2 * across / n
    return float(found.std())


def _all_features(measurement: Measurement) -> Tensor:
    if len(measurement.features) != measurement.statistics.count:
        raise ValueError(f"{measurement.statistics.count} images, but only {len(measurement.features)} features kept")
    return measurement.features
