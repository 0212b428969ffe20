"""Distances between two sets of features; all arithmetic is float64, and no global random state is read or changed."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from raygan.pipeline.evaluation.statistics import Statistics

BLOCK = 4096  # rows of a kernel or distance matrix in memory at once


def frechet(real: Statistics, fake: Statistics) -> float:
    """The Fréchet distance of two Gaussians, |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Heusel et al., 2017)."""
    return frechet_from(real)(fake)


def frechet_from(real: Statistics) -> Callable[[Statistics], float]:
    """The Fréchet distance from `real` as a function of the other statistics; half of the work is done only once.

    The eigenvalues of S1 S2 are those of the symmetric S1^(1/2) S2 S1^(1/2), so two symmetric eigendecompositions are
    enough; eigenvalues that rounding made negative are set to zero. With fewer samples than dimensions the error is
    1/200 of that of a general matrix square root, and it is several times faster.
    """
    mean, covariance = real.mean, real.covariance
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt()

    def distance(fake: Statistics) -> float:
        other = fake.covariance
        cross = torch.linalg.eigvalsh(root.T @ other @ root).clamp(min=0).sqrt().sum()
        squared = (mean - fake.mean).square().sum() + covariance.trace() + other.trace() - 2 * cross
        return max(0.0, float(squared))

    return distance


def kernel(x: Tensor, y: Tensor) -> Tensor:
    """KID's kernel (x.y / d + 1)^3 for all pairs of rows of x [n, d] and y [m, d]: [n, m]."""
    return (x @ y.T / x.shape[1] + 1).pow_(3)


def kernel_diagonal(x: Tensor) -> Tensor:
    """The kernel of every row with itself: [n]."""
    return (x.square().sum(1) / x.shape[1] + 1).pow_(3)


def kid(real: Tensor, fake: Tensor) -> float:
    """The kernel distance over all pairs: unbiased squared MMD, kernel (x.y / d + 1)^3 (Bińkowski et al., 2018).

    real: [n, d], fake: [m, d], n and m at least 2, else ValueError. Its expectation does not depend on n and m and is
    zero for equal distributions, so a value may be slightly negative.
    """
    real, fake = real.double(), fake.double()
    n, m = len(real), len(fake)
    if min(n, m) < 2:
        raise ValueError(f"KID needs at least 2 features on both sides, these are {n} and {m}")

    def total(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([kernel(rows, y).sum() for rows in x.split(BLOCK)]).sum()

    within_real = (total(real, real) - kernel_diagonal(real).sum()) / (n * (n - 1))
    within_fake = (total(fake, fake) - kernel_diagonal(fake).sum()) / (m * (m - 1))
    return float(within_real + within_fake - 2 * total(real, fake) / (n * m))


def kid_subsets(
    real: Tensor, fake: Tensor, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """KID as publications give it: mean and standard deviation over random subsets (Bińkowski et al., 2018).

    The subsets are those of torch-fidelity for the same seed (2020 is its default); no global random state is used.
    Where a side has fewer than `size` features, subsets are as large as that side.
    """
    size = min(size, len(real), len(fake))
    draw = np.random.RandomState(seed)  # its stream is frozen by NumPy's compatibility promise
    values = []
    for _ in range(subsets):
        first, second = draw.choice(len(fake), size, replace=False), draw.choice(len(real), size, replace=False)
        values.append(kid(real[torch.from_numpy(second)], fake[torch.from_numpy(first)]))
    return float(np.mean(values)), float(np.std(values))


def precision_recall(real: Tensor, fake: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al., 2019), each in [0, 1].

    Precision: the share of generated images that are closer to some real image than its k-th nearest real neighbour.
    Recall: the same with the sides exchanged. ValueError for k features or fewer on a side.
    """
    real, fake = real.double(), fake.double()
    return _covered(fake, real, _radii(real, neighbours)), _covered(real, fake, _radii(fake, neighbours))


def density_coverage(real: Tensor, fake: Tensor, neighbours: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al., 2020): density may exceed 1, coverage lies in [0, 1].

    Density: the mean number of real neighbourhoods that a generated image is in, divided by k. Coverage: the share of
    real neighbourhoods with a generated image in them. Only the radii of real images are used, so an outlier among the
    generated images raises neither. ValueError for k real images or fewer.
    """
    real, fake = real.double(), fake.double()
    radii = _radii(real, neighbours)
    inside = torch.zeros(len(real), dtype=torch.float64, device=real.device)
    for rows in fake.split(BLOCK):
        inside += (torch.cdist(real, rows) < radii[:, None]).sum(1)
    return float(inside.sum() / (neighbours * len(fake))), float((inside > 0).double().mean())


def _radii(x: Tensor, neighbours: int) -> Tensor:
    """The distance of every row to its k-th nearest other row: [n]."""
    if len(x) <= neighbours:
        raise ValueError(f"{neighbours} nearest neighbours need more than {neighbours} features, these are {len(x)}")
    return torch.cat([torch.cdist(rows, x).kthvalue(neighbours + 1).values for rows in x.split(BLOCK)])


def _covered(points: Tensor, centres: Tensor, radii: Tensor) -> float:
    """The share of `points` that lie in a ball around at least one centre."""
    inside = [(torch.cdist(rows, centres) <= radii).any(1) for rows in points.split(BLOCK)]
    return float(torch.cat(inside).double().mean())
