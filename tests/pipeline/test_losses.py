import torch
import torch.nn.functional as F

from pipeline.losses import LOSSES, r1_penalty

REAL = torch.tensor([-3.0, 0.5, 2.0], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.0, 4.0], dtype=torch.float64)


def test_bce_is_cross_entropy_with_real_one_and_fake_zero_and_fakes_labelled_one_for_the_generator() -> None:
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(FAKE)
    expected = F.binary_cross_entropy(REAL.sigmoid(), ones) + F.binary_cross_entropy(FAKE.sigmoid(), zeros)
    torch.testing.assert_close(LOSSES["bce"].discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(LOSSES["bce"].generator(FAKE), F.binary_cross_entropy(FAKE.sigmoid(), ones))


def test_hinge_in_closed_form() -> None:
    expected = torch.tensor((4 + 0.5 + 0) / 3 + (0 + 1 + 5) / 3, dtype=torch.float64)
    torch.testing.assert_close(LOSSES["hinge"].discriminator(REAL, FAKE), expected)
    torch.testing.assert_close(LOSSES["hinge"].generator(FAKE), -FAKE.mean())


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights_and_trains_them() -> None:
    weight = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    real = torch.randn(5, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty((real * weight).sum((1, 2, 3)), real)
    torch.testing.assert_close(penalty, weight.square().sum() / 2)
    penalty.backward()
    torch.testing.assert_close(weight.grad, weight.detach())
