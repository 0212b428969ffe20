import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raygan.pipeline.objectives.adversarial.augment import DRAWS, augmented

IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
POLICIES = ["colour", "translation", "cutout"]


def chance(value: float, count: int = 3) -> torch.Tensor:
    return torch.full((count, DRAWS), value)


def test_without_chance_images_are_left_alone() -> None:
    assert augmented(IMAGES, ("colour",), None) is IMAGES


@pytest.mark.parametrize("policy", ["colour", "translation"])
def test_the_middle_of_what_may_happen_changes_nothing(policy: str) -> None:
    torch.testing.assert_close(augmented(IMAGES, (policy,), chance(0.5)), IMAGES)


def test_colour_in_closed_form() -> None:
    found = augmented(IMAGES, ("colour",), torch.tensor([[0.75, 0.0, 0.0, 0, 0, 0, 0]] * 3))
    grey = (IMAGES + 0.25).mean(1, keepdim=True).expand_as(IMAGES)
    mean = grey.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(found, mean + (grey - mean) * 0.5)


@given(st.integers(0, 4), st.integers(0, 4))
def test_translation_moves_by_whole_pixels_and_fills_with_grey(x: int, y: int) -> None:
    draw = torch.zeros(3, DRAWS)
    draw[:, 3], draw[:, 4] = (x + 0.5) / 5, (y + 0.5) / 5
    padded = torch.nn.functional.pad(IMAGES, (2, 2, 2, 2))
    torch.testing.assert_close(augmented(IMAGES, ("translation",), draw), padded[:, :, y : y + 16, x : x + 16])


def test_cutout_sets_one_square_to_grey() -> None:
    found = augmented(IMAGES, ("cutout",), chance(0.5))
    cut = (found == 0).all(1)
    assert cut.sum((1, 2)).tolist() == [81, 81, 81]
    assert cut[:, 4:13, 4:13].all()
    torch.testing.assert_close(found[:, :, :4], IMAGES[:, :, :4])


@pytest.mark.parametrize("policy", POLICIES)
def test_every_change_lets_gradients_through_to_what_is_still_seen(policy: str) -> None:
    images = IMAGES.clone().requires_grad_(True)
    augmented(images, (policy,), chance(0.9)).sum().backward()
    assert images.grad is not None
    assert (images.grad != 0).float().mean() > 0
