"""The averaged generator: its weights, and the BatchNorm buffers without which its scores are random."""

from typing import Any

import torch

from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.models.ema import CALIBRATION_BATCH, CALIBRATION_BATCHES, averaged, recalibrate
from raygan.pipeline.models.noise import Purpose, latents


def drifting_generator(steps: int, half_life: int) -> tuple[Any, Any, list[torch.Tensor]]:
    """A generator whose weights changed at random `steps` times, its average, and the first layer's weights by step."""
    torch.manual_seed(0)
    generator: Any = Generator(32, latent=6, width=4, normalisation="batch")
    average = averaged(generator, batch=8, half_life=half_life)
    history = []
    for _ in range(steps):
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            generator(torch.randn(8, 6))
        average.update_parameters(generator)
        history.append(generator.layers[0].weight.detach().clone())
    return generator, average, history


def test_the_average_is_the_exponential_one_with_its_half_life_in_images() -> None:
    _, average, history = drifting_generator(steps=12, half_life=16)
    expected = history[0]
    for weight in history[1:]:
        expected = 0.5**0.5 * expected + (1 - 0.5**0.5) * weight
    torch.testing.assert_close(average.module.layers[0].weight, expected)


def test_a_half_life_of_zero_is_no_average() -> None:
    generator, average, _ = drifting_generator(steps=3, half_life=0)
    assert torch.equal(average.module.layers[0].weight, generator.layers[0].weight)


def test_recalibrated_buffers_equal_the_statistics_computed_directly() -> None:
    _, average, _ = drifting_generator(steps=5, half_life=64)
    recalibrate(average, 6, torch.device("cpu"))
    first = average.module.layers[0]
    noise = latents(0, Purpose.CALIBRATION, 0, CALIBRATION_BATCHES * CALIBRATION_BATCH, 6)
    expected = first(noise[:, :, None, None]).mean((0, 2, 3))
    torch.testing.assert_close(average.module.layers[1].running_mean, expected)


def test_buffers_of_the_live_generator_would_spoil_the_averaged_images() -> None:
    """What goes wrong without recalibration: copied buffers are far from the statistics of the averaged weights."""
    generator, average, _ = drifting_generator(steps=60, half_life=400)
    recalibrate(average, 6, torch.device("cpu"))
    right = average.module.layers[1].running_var.clone()
    average.update_parameters(generator)  # copies the live buffers, as torch documents
    copied = average.module.layers[1].running_var
    assert ((copied - right).abs() / right).median() > 0.5


def test_recalibration_does_not_depend_on_what_was_drawn_before() -> None:
    _, average, _ = drifting_generator(steps=4, half_life=64)
    recalibrate(average, 6, torch.device("cpu"))
    before = average.module.layers[1].running_var.clone()
    average.train()(torch.randn(16, 6))
    recalibrate(average, 6, torch.device("cpu"))
    assert torch.equal(average.module.layers[1].running_var, before)
