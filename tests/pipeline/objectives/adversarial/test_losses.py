import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from raygan.pipeline.config import Adversarial
from raygan.pipeline.objectives.adversarial.losses import (
    bce,
    chosen,
    hinge,
    least_squares,
    relativistic,
    repulsive_mmd,
    wasserstein,
)

REAL = torch.tensor([-3.0, 0.5, 2.0], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.0, 4.0], dtype=torch.float64)


def test_bce_is_cross_entropy_with_real_one_and_fake_zero_and_fakes_labelled_one_for_the_generator() -> None:
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(FAKE)
    expected = F.binary_cross_entropy(REAL.sigmoid(), ones) + F.binary_cross_entropy(FAKE.sigmoid(), zeros)
    torch.testing.assert_close(bce().discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(bce().generator(REAL, FAKE), F.binary_cross_entropy(FAKE.sigmoid(), ones))


def test_label_smoothing_lowers_the_label_of_real_images_alone() -> None:
    expected = F.binary_cross_entropy(REAL.sigmoid(), torch.full_like(REAL, 0.9))
    expected += F.binary_cross_entropy(FAKE.sigmoid(), torch.zeros_like(FAKE))
    torch.testing.assert_close(bce(smoothing=0.1).discriminator(REAL, FAKE), expected)


def test_hinge_in_closed_form() -> None:
    expected = torch.tensor((4 + 0.5 + 0) / 3 + (0 + 1 + 5) / 3, dtype=torch.float64)
    torch.testing.assert_close(hinge().discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(hinge().generator(REAL, FAKE), -FAKE.mean())


def test_least_squares_in_closed_form() -> None:
    expected = torch.tensor(((16 + 0.25 + 1) / 3 + (2.25 + 0 + 16) / 3) / 2, dtype=torch.float64)
    torch.testing.assert_close(least_squares().discriminator(REAL, FAKE), expected)
    generator = torch.tensor((6.25 + 1 + 9) / 3 / 2, dtype=torch.float64)
    torch.testing.assert_close(least_squares().generator(REAL, FAKE), generator)


def test_wasserstein_in_closed_form() -> None:
    torch.testing.assert_close(wasserstein().discriminator(REAL, FAKE), FAKE.mean() - REAL.mean())
    torch.testing.assert_close(wasserstein().generator(REAL, FAKE), -FAKE.mean())


def test_relativistic_is_cross_entropy_of_each_against_the_mean_of_the_others() -> None:
    above, below = (REAL - FAKE.mean()).sigmoid(), (FAKE - REAL.mean()).sigmoid()
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(FAKE)
    expected = F.binary_cross_entropy(above, ones) + F.binary_cross_entropy(below, zeros)
    torch.testing.assert_close(relativistic().discriminator(REAL, FAKE), expected)
    swapped = F.binary_cross_entropy(above, zeros) + F.binary_cross_entropy(below, ones)
    torch.testing.assert_close(relativistic().generator(REAL, FAKE), swapped)


def kernel(a: Tensor, b: Tensor, least: float = 0.0, most: float = float("inf")) -> float:
    """The mean over pairs of different images, one pair after the other."""
    values = [
        torch.exp(-(x - y).square().sum().clamp(least, most) / 2)
        for i, x in enumerate(a)
        for j, y in enumerate(b)
        if a is not b or i != j
    ]
    return float(torch.stack(values).mean())


def test_repulsive_mmd_pushes_real_images_apart_and_draws_fakes_together_within_its_bounds() -> None:
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, 16, generator=random, dtype=torch.float64) * 0.4 for n in (4, 5))
    loss = repulsive_mmd()
    expected = kernel(real, real, most=4.0) - kernel(fake, fake, least=0.25)
    assert float(loss.discriminator(real, fake)) == pytest.approx(expected, rel=1e-9)
    expected = kernel(real, real) - 2 * kernel(real, fake) + kernel(fake, fake)
    assert float(loss.generator(real, fake)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["bce", "hinge", "least-squares", "relativistic", "wasserstein"])
def test_a_perfect_discriminator_is_always_right_and_a_wrong_one_never(name: str) -> None:
    loss = chosen(Adversarial.model_validate({"loss": name, "discriminator": {"spectral_gain": 1}}))
    apart = torch.linspace(3, 5, 6)
    for sign in (1, -1):
        real, fake = loss.decision(sign * apart, -sign * apart)
        assert ((sign * real > 0).all(), (sign * fake < 0).all()) == (True, True)


def test_mmd_calls_images_real_that_lie_among_the_real_ones() -> None:
    loss = repulsive_mmd()
    near, far = torch.randn(6, 16) * 0.1, torch.randn(5, 16) * 0.1 + 3
    real, fake = loss.decision(near, far)
    assert (real > 0).all()
    assert (fake < 0).all()


@pytest.mark.parametrize("name", ["bce", "hinge", "least-squares", "relativistic", "wasserstein", "mmd"])
def test_the_generators_loss_falls_when_fakes_are_moved_to_where_real_images_are(name: str) -> None:
    """Gradients by autograd in float64 agree with finite differences, and point to the real images."""
    loss = chosen(Adversarial.model_validate({"loss": name, "discriminator": {"spectral_gain": 1}}))
    random = torch.Generator().manual_seed(1)
    shape = (6, loss.outputs) if loss.outputs > 1 else (6,)
    real = torch.rand(shape, generator=random, dtype=torch.float64) * 0.1 + 0.3
    fake = torch.rand(shape, generator=random, dtype=torch.float64) * 0.1
    assert torch.autograd.gradcheck(lambda f: loss.generator(real, f), (fake.requires_grad_(True),))
    assert torch.autograd.gradcheck(loss.discriminator, (real.requires_grad_(True), fake))
    (slope,) = torch.autograd.grad(loss.generator(real.detach(), fake), fake)
    assert (slope * (real - fake).detach()).sum() < 0
