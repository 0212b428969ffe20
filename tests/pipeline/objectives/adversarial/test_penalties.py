import torch
from torch import Tensor, nn

from raygan.pipeline.objectives.adversarial.penalties import gradient_penalty, r1_penalty


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4, 4, dtype=torch.float64))

    def forward(self, images: Tensor, attributes: Tensor | None = None) -> Tensor:
        return (images * self.weight).sum((1, 2, 3))


class Squared(Linear):
    """Its gradient at x is 2x, so that it matters where it is taken."""

    def forward(self, images: Tensor, attributes: Tensor | None = None) -> Tensor:
        return images.square().sum((1, 2, 3))


def images(seed: int) -> Tensor:
    return torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights_and_trains_them() -> None:
    discriminator, real = Linear(), images(0).requires_grad_(True)
    penalty = r1_penalty(discriminator(real), real)
    torch.testing.assert_close(penalty, discriminator.weight.square().sum() / 2)
    penalty.backward()
    torch.testing.assert_close(discriminator.weight.grad, discriminator.weight.detach())


def test_the_gradient_penalty_of_a_linear_discriminator_is_its_length_less_one_squared() -> None:
    discriminator = Linear()
    penalty = gradient_penalty(discriminator, images(0), images(1), None, torch.rand(5, dtype=torch.float64))
    torch.testing.assert_close(penalty, (discriminator.weight.square().sum().sqrt() - 1) ** 2)
    penalty.backward()
    assert discriminator.weight.grad is not None


def test_the_gradient_penalty_is_taken_between_each_real_image_and_its_fake() -> None:
    real, fake, share = images(0), images(1), torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
    points = share[:, None, None, None] * real + (1 - share)[:, None, None, None] * fake
    expected = (2 * points.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(gradient_penalty(Squared(), real, fake, None, share), expected)
