import torch
from hypothesis import given
from hypothesis import strategies as st

from raygan.pipeline.models.noise import Purpose, latents


def test_latents_are_frozen() -> None:
    found = latents(seed=1, purpose=Purpose.GENERATOR, first=10, count=1, dimensions=4)
    torch.testing.assert_close(found, torch.tensor([[-0.333048, 0.251913, -0.017309, 0.791771]]), atol=1e-6, rtol=0)


@given(st.integers(0, 10**6), st.integers(0, 10**9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 9))
def test_latents_do_not_depend_on_how_a_batch_is_shared(seed: int, first: int, a: int, b: int, dimensions: int) -> None:
    whole = latents(seed, Purpose.DISCRIMINATOR, first, a + b, dimensions)
    left = latents(seed, Purpose.DISCRIMINATOR, first, a, dimensions)
    right = latents(seed, Purpose.DISCRIMINATOR, first + a, b, dimensions)
    assert torch.equal(whole, torch.cat([left, right]))


def test_latents_are_standard_normal_and_uncorrelated() -> None:
    z = latents(0, Purpose.GENERATOR, 0, 20_000, 8)
    assert z.mean(0).abs().max() < 0.03
    assert (torch.cov(z.T) - torch.eye(8)).abs().max() < 0.04
    assert abs(float((z**4).mean()) - 3) < 0.1


def test_seeds_purposes_and_repeats_have_streams_of_their_own() -> None:
    draws = [
        latents(seed, purpose, 0, 4, 4, repeat)
        for seed in (0, 1)
        for purpose in (Purpose.DISCRIMINATOR, Purpose.GENERATOR)
        for repeat in (0, 1)
    ]
    assert len({tuple(z.flatten().tolist()) for z in draws}) == len(draws)
