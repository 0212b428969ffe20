import pytest
import torch
from torch import nn

from raygan.pipeline.models.dcgan import Discriminator
from raygan.pipeline.models.spectral import constrain


def settled(gain: float) -> nn.Module:
    torch.manual_seed(0)
    discriminator = Discriminator(32, 4, "none")
    constrain(discriminator, gain)
    images = torch.randn(2, 3, 32, 32)
    for _ in range(100):
        discriminator(images)
    return discriminator.eval()


@pytest.mark.parametrize("gain", [1.0, 64.0])
def test_every_layers_largest_singular_value_is_its_share_of_the_gain(gain: float) -> None:
    layers = [m for m in settled(gain).modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 4
    for layer in layers:
        largest = torch.linalg.svdvals(layer.weight.flatten(1))[0]
        assert float(largest) == pytest.approx(gain**0.25, rel=1e-3)


def test_the_gain_scales_the_logits() -> None:
    images = torch.randn(8, 3, 32, 32)
    assert settled(64.0)(images).std() > 8 * settled(1.0)(images).std()


def test_the_state_of_the_power_iteration_is_saved_with_the_weights() -> None:
    before, after = settled(4.0), Discriminator(32, 4, "none")
    constrain(after, 4.0)
    after.load_state_dict(before.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(before(images), after.eval()(images))
