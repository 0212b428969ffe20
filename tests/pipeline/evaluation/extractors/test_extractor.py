"""Extractors: what they are called, and what they may not be called."""

import numpy as np
import pytest
import torch

from raygan.pipeline.evaluation.extractors import randconv
from raygan.pipeline.evaluation.extractors.extractor import load_extractor
from raygan.sharding.errors import RunError

FEATURES = [0.778045, 0.814042, 1.132865, 1.568832, 0.867045, 0.274025, 0.728543]


def pictures(count: int = 6, size: int = 64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def test_randconv_has_the_filters_it_always_had() -> None:
    extractor = load_extractor("randconv")
    assert extractor.digest == randconv.RandomConvolutions().digest() == randconv.DIGEST
    assert not extractor.is_fid


def test_randconv_gives_the_features_it_always_gave() -> None:
    features = load_extractor("randconv")(pictures())
    assert features.shape == (6, randconv.DIMENSIONS)
    assert features.dtype == torch.float32
    found = [*features[0, [0, 40, 100, 180, 250, 319]].tolist(), float(features.double().mean())]
    assert found == pytest.approx(FEATURES, rel=1e-4)


def test_changed_filters_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randconv, "SEED", 1)
    with pytest.raises(RunError, match="randconv"):
        load_extractor("randconv")


def test_an_image_has_the_same_features_in_any_batch() -> None:
    extractor, images = load_extractor("randconv"), pictures()
    alone = torch.cat([extractor(image[None]) for image in images])
    torch.testing.assert_close(extractor(images), alone, rtol=1e-4, atol=1e-5)


def test_no_images_have_no_features() -> None:
    assert load_extractor("randconv")(pictures(0)).shape == (0, randconv.DIMENSIONS)


def test_autocast_does_not_reach_the_features() -> None:
    extractor = load_extractor("randconv")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = extractor(pictures())
    assert torch.equal(inside, extractor(pictures()))


@pytest.mark.parametrize("images", [pictures().float(), pictures()[0], pictures().permute(0, 2, 3, 1)])
def test_anything_but_uint8_images_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        load_extractor("randconv")(images)
