"""How much a score varies between samples of images from the same generator: the bootstrap (Efron, 1979)."""

import torch
from torch import Tensor

from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.cache import Measurement
from raygan.pipeline.evaluation.statistics import Statistics
from raygan.sharding.hashing import hashes, key_of

SEED = 0x626F6F74  # "boot"


def resample(number: int, count: int) -> Tensor:
    """Rows, int64 [count], that resample `number` draws with replacement from `count` rows."""
    drawn = hashes(key_of(SEED, number), 0, count) % count
    return torch.from_numpy(drawn.astype("int64"))


def frechet_deviation(real: Measurement, fake: Measurement, resamples: int) -> float:
    """Standard deviation of the Fréchet distance over resamples of the generated images.

    All their features must be kept. A resample repeats images, which biases its distance upwards; to first order this
    does not affect the deviation.
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
    """Standard deviation of KID over resamples of the generated images, without pairs of an image with itself."""
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
