"""Distances against values that are known exactly."""

import math

import numpy as np
import pytest
import torch

from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.statistics import Statistics


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


def test_kid_over_subsets_is_repeatable_and_leaves_the_random_state_alone() -> None:
    x, y = normal(30, 6, 0), normal(40, 6, 1, 1.3)
    np.random.seed(1)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    mean, deviation = distances.kid_subsets(x, y, subsets=50, size=20)
    assert (mean, deviation) == distances.kid_subsets(x, y, subsets=50, size=20)
    assert np.array_equal(before, np.random.get_state(legacy=False)["state"]["key"])
    assert mean == pytest.approx(distances.kid(x, y), abs=4 * deviation / math.sqrt(50))


def test_one_subset_of_everything_is_the_whole() -> None:
    x, y = normal(20, 6, 0), normal(20, 6, 1, 1.3)
    assert distances.kid_subsets(x, y, subsets=1) == pytest.approx((distances.kid(x, y), 0))


def brute_radii(x: torch.Tensor, k: int) -> torch.Tensor:
    return torch.stack([(x - row).norm(dim=1).sort().values[k] for row in x])


@pytest.mark.parametrize("block", [4096, 7])
def test_precision_recall_density_and_coverage_are_their_definitions(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "BLOCK", block)
    real, fake = normal(40, 3, 0), normal(30, 3, 1, 0.8, 0.7)
    apart = torch.stack([(real - row).norm(dim=1) for row in fake])  # [fakes, reals]
    precision = (apart <= brute_radii(real, 3)).any(1).double().mean()
    recall = (brute_radii(fake, 3) >= apart.T).any(1).double().mean()
    assert distances.precision_recall(real, fake) == pytest.approx((float(precision), float(recall)))
    inside = apart < brute_radii(real, 5)
    density, coverage = inside.double().sum() / (5 * len(fake)), inside.any(0).double().mean()
    assert distances.density_coverage(real, fake) == pytest.approx((float(density), float(coverage)))


def test_precision_and_recall_tell_bad_images_from_missing_ones() -> None:
    real = normal(400, 4, 0)
    far_too_wide, only_one_kind = normal(400, 4, 1, 4.0), normal(400, 4, 1, 0.1)
    wide, narrow = distances.precision_recall(real, far_too_wide), distances.precision_recall(real, only_one_kind)
    assert wide[0] < 0.3
    assert narrow[0] > 0.9
    assert narrow[1] < 0.1


def test_too_few_neighbours_are_an_error() -> None:
    with pytest.raises(ValueError, match="nearest neighbours"):
        distances.precision_recall(normal(3, 2, 0), normal(9, 2, 0))


def test_torch_fidelity_finds_the_same_precision_and_recall() -> None:
    peer = pytest.importorskip("torch_fidelity.metric_prc")
    real, fake = normal(60, 5, 0), normal(50, 5, 1, 0.9, 0.5)
    theirs = peer.prc_features_to_metric(fake, real, verbose=False)
    assert distances.precision_recall(real, fake) == pytest.approx((theirs["precision"], theirs["recall"]), abs=1e-6)
