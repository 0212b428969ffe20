"""The evaluator: what it writes, under which names, and what it leaves alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.pipeline.evaluation.scores import Evaluator, Generate
from raygan.sharding.errors import RunError, UserError
from tests.pipeline.evaluation.pictures import pictures


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = tmp_path / "real.npy"
    np.save(path, pictures(300, seed=1))
    return path


def evaluator(real: Path, **settings: object) -> Evaluator:
    return Evaluator(real, **({"count": 100, "cache": real.parent / "cache"} | settings))  # type: ignore[arg-type]


def drawn(seed: int, size: int = 32) -> Generate:
    images = torch.from_numpy(pictures(300, seed, size)).permute(0, 3, 1, 2)
    return lambda first, count: images[first : first + count]


def test_scores_are_named_after_an_extractor_that_is_not_the_fid_network(real: Path) -> None:
    scores = evaluator(real).score(drawn(2))
    assert set(scores) == {"fd_randconv", "kid_randconv"}


def test_other_images_of_the_same_kind_score_better_than_noisy_ones(real: Path) -> None:
    judge, same = evaluator(real, count=300), drawn(2)
    noise = torch.from_numpy(np.random.default_rng(3).normal(0, 60, (300, 3, 32, 32)))

    def noisy(first: int, count: int) -> torch.Tensor:
        return (same(first, count) + noise[first : first + count]).clamp(0, 255).byte()

    clean, dirty = judge.score(same), judge.score(noisy)
    assert dirty["fd_randconv"] > clean["fd_randconv"]
    assert dirty["kid_randconv"] > 3 * abs(clean["kid_randconv"])


def test_the_real_images_themselves_score_zero(real: Path) -> None:
    themselves = torch.from_numpy(np.load(real)).permute(0, 3, 1, 2)
    scores = evaluator(real).score(lambda first, count: themselves[first : first + count])
    assert scores["fd_randconv"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("batch", [7, 100, 1000])
def test_scores_do_not_depend_on_the_batch(real: Path, batch: int) -> None:
    expected = evaluator(real).score(drawn(2))
    found = evaluator(real, batch=batch, cache=real.parent / "other").score(drawn(2))
    assert found == pytest.approx(expected, rel=1e-4)


def test_evaluation_leaves_the_random_state_and_the_gradient_mode_alone(real: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    evaluator(real).score(drawn(2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # type: ignore[index]
    assert torch.is_grad_enabled()


def test_the_real_statistics_are_computed_once_for_all_evaluators(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = evaluator(real).score(drawn(2))
    monkeypatch.setattr(Evaluator, "_compute", lambda self: pytest.fail("the cache was missed"))
    assert evaluator(real).score(drawn(2)) == expected


@pytest.mark.parametrize("change", [{"real_count": 99}, {"kept": 50}, {"split": "valid"}])
def test_changed_settings_miss_the_cache(real: Path, change: dict[str, object]) -> None:
    folder = real.parent / "cache"
    evaluator(real).real()
    evaluator(real, **change).real()
    changed = 2 if "split" not in change else 1  # an .npy file has one split
    assert len(list(folder.iterdir())) == changed


def test_changed_images_miss_the_cache(real: Path) -> None:
    evaluator(real).real()
    pixels = np.load(real)
    pixels[-1, -1, -1, -1] ^= 1
    np.save(real, pixels)
    evaluator(real).real()
    assert len(list((real.parent / "cache").iterdir())) == 2


def test_images_of_another_size_are_refused(real: Path) -> None:
    with pytest.raises(UserError, match="64x64, real ones 32x32"):
        evaluator(real).score(drawn(2, size=64))


def test_too_few_generated_images_are_an_error_and_not_a_score(real: Path) -> None:
    with pytest.raises(RunError, match="100 images were asked for"):
        evaluator(real).score(lambda first, count: drawn(2)(first, count - 1))


def test_an_unknown_metric_or_extractor_is_a_mistake(real: Path) -> None:
    with pytest.raises(UserError, match="metric 'fld'"):
        evaluator(real, metrics=["fld"])
    with pytest.raises(UserError, match="extractor 'resnet'"):
        evaluator(real, extractor="resnet")


def test_the_identity_says_what_a_score_depends_on(real: Path) -> None:
    identity = evaluator(real).identity
    names = {"data", "size", "crop", "resize", "split", "extractor", "extractor_digest", "protocol"}
    assert set(identity) == names | {"real_count", "count", "kept", "generator"}
    assert identity["size"] == "32x32"
    assert identity["generator"] == "ema"
