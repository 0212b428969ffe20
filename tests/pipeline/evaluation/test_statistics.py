"""Statistics of features: exact, and the same however the features are dealt out."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.statistics import Statistics


def features(count: int, dimensions: int = 5, offset: float = 0.0, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(count, dimensions)) @ rng.normal(size=(dimensions, dimensions)) + offset)


def gathered(batches: list[torch.Tensor]) -> Statistics:
    statistics = Statistics(batches[0].shape[1])
    for batch in batches:
        statistics.add(batch)
    return statistics


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_mean_and_covariance_do_not_depend_on_the_batches(sizes: list[int]) -> None:
    x = features(sum(sizes) + 2)
    statistics = gathered([*x.split([*sizes, 2])])
    assert statistics.count == len(x)
    torch.testing.assert_close(statistics.mean, x.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(statistics.covariance, torch.cov(x.T), rtol=1e-11, atol=1e-11)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    x = features(1000)
    near, far = gathered([*x.split(100)]), gathered([*(x + 1e7).split(100)])
    rounding = 1e7 * torch.finfo(torch.float64).eps
    torch.testing.assert_close(far.covariance, near.covariance, rtol=0, atol=1e3 * rounding)


def test_reduce_in_one_process_changes_nothing_but_the_reference() -> None:
    x = features(50)
    statistics = gathered([*x.split(7)])
    statistics.reduce(DistributedContext())
    torch.testing.assert_close(statistics.mean, x.mean(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(statistics.covariance, torch.cov(x.T), rtol=1e-11, atol=1e-11)
