import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adversarial import MEASURES, Adversaries, generator_updates_due
from pipeline.config import Config, Discriminator, Generator
from pipeline.place import Place
from tests.pipeline.ranks import trained

IMAGES = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def adversaries(**knobs: object) -> Adversaries:
    networks = {"generator": Generator(width=4), "discriminator": Discriminator(width=4)}
    return Adversaries(Config.model_validate({"batch": 8, "latent": 6, **networks, **knobs}), 32, Place())


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in network.parameters()])


@pytest.mark.parametrize(
    ("balance", "updates"),
    [(1.0, [1, 1, 1, 1, 1, 1]), (0.5, [2, 2, 2, 2, 2, 2]), (1.5, [0, 1, 1, 0, 1, 1]), (5.0, [0, 0, 0, 0, 1, 0])],
)
def test_the_balance_gives_the_promised_rhythm(balance: float, updates: list[int]) -> None:
    assert [generator_updates_due(8 * i, 8, balance) for i in range(6)] == updates


@given(st.integers(1, 300), st.floats(0.05, 20), st.integers(1, 200))
def test_generator_updates_add_up_to_the_ratio_whatever_it_is(batch: int, balance: float, steps: int) -> None:
    total = sum(generator_updates_due(batch * i, batch, balance) for i in range(steps))
    assert abs(total - steps / balance) <= 1 + steps / balance * 0.02


@given(st.lists(st.integers(1, 64), min_size=1, max_size=30), st.sampled_from([0.5, 1.0, 1.5, 5.0]))
def test_the_rhythm_survives_a_batch_that_changes_on_the_way(batches: list[int], balance: float) -> None:
    position, behind = 0, 0.0
    for batch in batches:
        behind += 1 / balance - generator_updates_due(position, batch, balance)
        position += batch
    assert abs(behind) <= 1 + len(list(pairwise(batches)))


def test_a_step_moves_both_networks_and_leaves_the_discriminator_ready() -> None:
    game = adversaries()
    before = weights(game.generator), weights(game.discriminator)
    game.step(IMAGES, 0)
    assert not torch.equal(weights(game.generator), before[0])
    assert not torch.equal(weights(game.discriminator), before[1])
    assert all(p.requires_grad for p in game.discriminator.parameters())


def test_the_frozen_discriminator_receives_no_gradient() -> None:
    game = adversaries()
    game.discriminator_optimizer.zero_grad()
    before = weights(game.discriminator)
    game._update_generator(0, 0)
    assert all(p.grad is None for p in game.discriminator.parameters())
    assert torch.equal(weights(game.discriminator), before)


def test_the_discriminator_update_leaves_the_generator_alone() -> None:
    game = adversaries()
    before = weights(game.generator)
    game._update_discriminator(IMAGES.float(), 0)
    assert torch.equal(weights(game.generator), before)


def test_each_update_draws_fresh_fakes() -> None:
    game = adversaries(balance=0.5)
    drawn: list[torch.Tensor] = []
    game.generator.register_forward_pre_hook(lambda _, args: drawn.append(args[0]))
    game.step(IMAGES, 0)
    assert len({tuple(z.flatten().tolist()) for z in drawn}) == 3


def test_measures_are_means_since_the_last_call_and_omit_what_did_not_happen() -> None:
    game = adversaries(balance=5.0)
    game.step(IMAGES, 0)
    assert set(game.measures()) == set(MEASURES) - {"loss/generator"}
    assert game.measures() == {}
    for step in range(5):
        game.step(IMAGES, 8 * step)
    found = game.measures()
    assert set(found) == set(MEASURES)
    assert 0 <= found["discriminator/accuracy"] <= 1


def test_the_state_is_the_whole_state() -> None:
    whole = adversaries(balance=1.5)
    for step in range(7):
        whole.step(IMAGES, 8 * step)
    first, second = adversaries(balance=1.5), adversaries(balance=1.5, seed=0)
    for step in range(4):
        first.step(IMAGES, 8 * step)
    second.load_state_dict(first.state_dict())
    for step in range(4, 7):
        second.step(IMAGES, 8 * step)
    for network in ("generator", "discriminator", "average"):
        assert torch.equal(weights(getattr(whole, network)), weights(getattr(second, network)))


def test_learning_rates_asked_for_win_over_those_of_the_restored_state() -> None:
    before = adversaries()
    before.step(IMAGES, 0)
    after = adversaries(generator=Generator(width=4, learning_rate=1e-5, betas=(0.0, 0.9)))
    after.load_state_dict(before.state_dict())
    (group,) = after.generator_optimizer.param_groups
    assert (group["lr"], group["betas"]) == (1e-5, (0.0, 0.9))
    (group,) = after.discriminator_optimizer.param_groups
    assert group["lr"] == 2e-4


def test_two_ranks_equal_one_process_with_even_and_uneven_shares(tmp_path: Path) -> None:
    """Promise 3, with batch-independent normalisation, a lazy penalty and a balance of 1.5."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(Path(__file__).with_name("ranks.py")), str(tmp_path / "results.pt"), "8", "5"]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    for batch in (8, 5):
        measures, parameters = results[batch]
        expected_measures, expected = trained(batch, Place())
        assert measures == pytest.approx(expected_measures, rel=1e-4)
        for found, wanted in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
