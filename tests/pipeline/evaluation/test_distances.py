"""Distances against values that are known exactly."""

import math

import numpy as np
import pytest
import torch

from pipeline.evaluation import distances
from pipeline.evaluation.statistics import Statistics


def normal(count: int, dimensions: int, seed: int, spread: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, spread, (count, dimensions)))


def statistics(x: torch.Tensor) -> Statistics:
    result = Statistics(x.shape[1])
    result.add(x)
    return result


def test_frechet_is_zero_for_identical_sets_of_fewer_samples_than_dimensions() -> None:
    x = normal(20, 64, 0)
    assert distances.frechet(statistics(x), statistics(x)) == pytest.approx(0, abs=1e-6)


def test_frechet_has_the_closed_form_in_one_dimension() -> None:
    x, y = normal(500, 1, 0, 2.0), normal(300, 1, 1, 0.5, 3.0)
    exact = (x.mean() - y.mean()) ** 2 + (x.std() - y.std()) ** 2
    assert distances.frechet(statistics(x), statistics(y)) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("count", [12, 60, 400])
def test_frechet_equals_the_exact_value_with_fewer_and_more_samples_than_dimensions(count: int) -> None:
    """tr (S1 S2)^(1/2) is the sum of the singular values of A^T B, where S1 = A A^T and S2 = B B^T are the samples'."""
    x, y = normal(count, 60, 0), normal(count + 3, 60, 1, 1.5, 0.2)
    a = (x - x.mean(0)).T / math.sqrt(len(x) - 1)
    b = (y - y.mean(0)).T / math.sqrt(len(y) - 1)
    cross = torch.linalg.svdvals(a.T @ b).sum()
    exact = (x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * cross
    assert distances.frechet(statistics(x), statistics(y)) == pytest.approx(float(exact), rel=1e-6)


def test_frechet_is_symmetric() -> None:
    x, y = statistics(normal(100, 30, 0)), statistics(normal(40, 30, 1, 2.0))
    assert distances.frechet(x, y) == pytest.approx(distances.frechet(y, x), rel=1e-9)


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        distances.frechet(statistics(normal(1, 4, 0)), statistics(normal(9, 4, 0)))


def pairwise_kid(x: torch.Tensor, y: torch.Tensor) -> float:
    """The definition, one pair at a time."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_kid_is_its_definition_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(13, 6, 0), normal(9, 6, 1, 1.3, 0.4)
    exact = pairwise_kid(x, y)
    assert distances.kid(x, y) == pytest.approx(exact, rel=1e-12)
    monkeypatch.setattr(distances, "BLOCK", 4)
    assert distances.kid(x, y) == pytest.approx(exact, rel=1e-12)


def test_kid_of_equal_distributions_is_zero_on_average() -> None:
    values = [distances.kid(normal(40, 8, 2 * seed), normal(25, 8, 2 * seed + 1)) for seed in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))
    assert min(values) < 0 < max(values)
