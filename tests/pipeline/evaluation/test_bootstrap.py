"""The bootstrap's deviation against the spread that fresh samples really have."""

import numpy as np
import pytest
import torch

from raygan.pipeline.evaluation import bootstrap, distances
from raygan.pipeline.evaluation.cache import Measurement
from raygan.pipeline.evaluation.statistics import Statistics

RESAMPLE = [2, 4, 5, 9, 5, 1, 8, 2, 3, 6]


def measured(count: int, seed: int, spread: float = 1.0, shift: float = 0.0) -> Measurement:
    features = torch.from_numpy(np.random.default_rng(seed).normal(shift, spread, (count, 4)))
    statistics = Statistics(4)
    statistics.add(features)
    return Measurement(statistics, features)


def test_deviations_are_those_of_fresh_samples() -> None:
    real = measured(500, 0)
    fresh = [measured(300, seed, 1.2, 0.5) for seed in range(1, 121)]
    frechet = np.std([distances.frechet(real.statistics, fake.statistics) for fake in fresh])
    kid = np.std([distances.kid(real.features, fake.features) for fake in fresh])
    found = [bootstrap.frechet_deviation(real, fake, 40) for fake in fresh[:10]]
    assert np.mean(found) == pytest.approx(frechet, rel=0.25)
    found = [bootstrap.kid_deviation(real, fake, 40) for fake in fresh[:10]]
    assert np.mean(found) == pytest.approx(kid, rel=0.25)


def test_kid_of_a_resample_is_its_definition_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = measured(30, 0), measured(20, 1, 1.3)
    values = []
    for number in range(6):
        rows = bootstrap.resample(number, 20)
        other = rows[:, None] != rows[None, :]
        kernel = distances.kernel(fake.features[rows], fake.features[rows])
        across = distances.kernel(fake.features[rows], real.features).mean()
        values.append(float(kernel[other].mean() - 2 * across))
    expected = np.std(values, ddof=1)
    assert bootstrap.kid_deviation(real, fake, 6) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(distances, "BLOCK", 7)
    assert bootstrap.kid_deviation(real, fake, 6) == pytest.approx(expected, rel=1e-9)


def test_resamples_are_the_same_for_ever_and_differ_from_each_other() -> None:
    assert bootstrap.resample(0, 10).tolist() == RESAMPLE
    assert not torch.equal(bootstrap.resample(0, 1000), bootstrap.resample(1, 1000))
    drawn = bootstrap.resample(3, 100_000).unique()
    assert len(drawn) / 100_000 == pytest.approx(1 - np.exp(-1), abs=0.01)


def test_features_that_were_not_kept_cannot_be_resampled() -> None:
    fake = measured(20, 1)
    fake.features = fake.features[:10]
    with pytest.raises(ValueError, match="only 10 features kept"):
        bootstrap.frechet_deviation(measured(30, 0), fake, 5)
