import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from raygan.pipeline.config import Config, Discriminator, Generator
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.objectives.adversarial.objective import METRICS, AdversarialObjective
from tests.pipeline.objectives.adversarial.ranks import trained

IMAGES = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)


def adversarial(**settings: object) -> AdversarialObjective:
    networks = {"generator": Generator(width=4), "discriminator": Discriminator(width=4)}
    return AdversarialObjective(
        Config.model_validate({"batch": 8, "latent": 6, **networks, **settings}), 32, DistributedContext()
    )


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in network.parameters()])


def test_a_step_moves_both_networks_and_leaves_the_discriminator_ready() -> None:
    objective = adversarial()
    before = weights(objective.generator), weights(objective.discriminator)
    objective.step(IMAGES, 0)
    assert not torch.equal(weights(objective.generator), before[0])
    assert not torch.equal(weights(objective.discriminator), before[1])
    assert all(p.requires_grad for p in objective.discriminator.parameters())


def test_the_frozen_discriminator_receives_no_gradient() -> None:
    objective = adversarial()
    before = weights(objective.discriminator)
    objective._update_generator(objective._micro_batches(IMAGES, None, 0), 0)
    assert all(p.grad is None for p in objective.discriminator.parameters())
    assert torch.equal(weights(objective.discriminator), before)


def test_the_discriminator_update_leaves_the_generator_alone() -> None:
    objective = adversarial()
    before = weights(objective.generator)
    objective._update_discriminator(objective._micro_batches(IMAGES, None, 0), 0)
    assert torch.equal(weights(objective.generator), before)


def test_each_update_draws_fresh_fakes() -> None:
    objective = adversarial(balance=0.5)
    drawn: list[torch.Tensor] = []
    objective.generator.register_forward_pre_hook(lambda _, args: drawn.append(args[0]))
    objective.step(IMAGES, 0)
    assert len({tuple(z.flatten().tolist()) for z in drawn}) == 3


def test_metrics_are_means_since_the_last_call_and_omit_what_did_not_happen() -> None:
    objective = adversarial(balance=5.0)
    objective.step(IMAGES, 0)
    assert set(objective.metrics()) == set(METRICS) - {"loss/generator"}
    assert objective.metrics() == {}
    for step in range(5):
        objective.step(IMAGES, 8 * step)
    found = objective.metrics()
    assert set(found) == set(METRICS)
    assert 0 <= found["discriminator/accuracy"] <= 1


def test_the_state_is_the_whole_state() -> None:
    whole = adversarial(balance=1.5)
    for step in range(7):
        whole.step(IMAGES, 8 * step)
    first, second = adversarial(balance=1.5), adversarial(balance=1.5, seed=0)
    for step in range(4):
        first.step(IMAGES, 8 * step)
    second.load_state_dict(first.state_dict())
    for step in range(4, 7):
        second.step(IMAGES, 8 * step)
    for network in ("generator", "discriminator", "average"):
        assert torch.equal(weights(getattr(whole, network)), weights(getattr(second, network)))


def test_learning_rates_asked_for_win_over_those_of_the_restored_state() -> None:
    before = adversarial()
    before.step(IMAGES, 0)
    after = adversarial(generator=Generator(width=4, learning_rate=1e-5, betas=(0.0, 0.9)))
    after.load_state_dict(before.state_dict())
    (group,) = after.generator_optimizer.param_groups
    assert (group["lr"], group["betas"]) == (1e-5, (0.0, 0.9))
    (group,) = after.discriminator_optimizer.param_groups
    assert group["lr"] == 2e-4


def test_two_ranks_equal_one_process_with_even_and_uneven_shares(tmp_path: Path) -> None:
    """Promise 3, with batch-independent normalisation, a lazy penalty and a balance of 1.5."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.pipeline.objectives.adversarial.ranks", str(tmp_path / "results.pt"), "8", "5"]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    for batch in (8, 5):
        metrics, parameters = results[batch]
        expected_metrics, expected = trained(batch, DistributedContext())
        assert metrics == pytest.approx(expected_metrics, rel=1e-4)
        for found, wanted in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", ["bce", "hinge", "least-squares", "relativistic", "wasserstein", "mmd"])
def test_every_loss_trains_both_networks_and_is_measured(loss: str) -> None:
    discriminator = Discriminator(width=4, normalisation="none", spectral_gain=16)
    objective = adversarial(loss=loss, discriminator=discriminator, augment=("colour", "translation", "cutout"))
    before = weights(objective.generator), weights(objective.discriminator)
    for step in range(3):
        objective.step(IMAGES, 8 * step)
    assert not torch.equal(weights(objective.generator), before[0])
    assert not torch.equal(weights(objective.discriminator), before[1])
    found = objective.metrics()
    assert set(found) == set(METRICS)
    assert all(abs(value) < 100 for value in found.values())


def test_a_share_computed_in_micro_batches_gives_the_same_weights_as_at_once() -> None:
    """With batch-independent normalisation; penalties and an uneven last micro-batch included."""
    settings: dict[str, object] = {
        "generator": Generator(width=4, normalisation="group"),
        "discriminator": Discriminator(width=4, normalisation="none"),
        "r1": 0.5,
    }
    whole, split = adversarial(**settings), adversarial(accumulate=3, **settings)
    for step in range(10):
        whole.step(IMAGES, 8 * step)
        split.step(IMAGES, 8 * step)
    for network in ("generator", "discriminator", "average"):
        torch.testing.assert_close(
            weights(getattr(whole, network)), weights(getattr(split, network)), rtol=1e-5, atol=1e-5
        )
    assert whole.metrics() == pytest.approx(split.metrics(), rel=1e-4)


def test_learning_rates_follow_the_schedule_at_every_step_and_after_a_restore() -> None:
    settings = {"decay": "linear", "warm_up": 16, "images": 80}
    objective = adversarial(**settings)
    rates = []
    for step in range(10):
        objective.step(IMAGES, 8 * step)
        rates.append(objective.generator_optimizer.param_groups[0]["lr"] / 2e-4)
    assert rates == pytest.approx([0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    resumed = adversarial(**settings)
    resumed.load_state_dict(objective.state_dict())
    resumed.step(IMAGES, 8 * 5)
    assert resumed.discriminator_optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_auto_balance_updates_one_network_per_step_by_the_discriminators_accuracy() -> None:
    objective = adversarial(balance="auto", balance_target=0.75)
    for accuracy, moves, stays in ((0.7, "discriminator", "generator"), (0.8, "generator", "discriminator")):
        objective.auto_balance.accuracy = accuracy
        before = {name: weights(getattr(objective, name)) for name in (moves, stays)}
        objective.step(IMAGES, 0)
        assert not torch.equal(weights(getattr(objective, moves)), before[moves])
        assert torch.equal(weights(getattr(objective, stays)), before[stays])
        assert objective.auto_balance.accuracy != accuracy


def test_auto_balance_holds_the_accuracy_near_its_target_and_survives_a_restore() -> None:
    torch.manual_seed(0)
    rates = {"learning_rate": 2e-3, "width": 4}
    settings = {"balance": "auto", "balance_target": 0.8, "generator": rates, "discriminator": rates}
    objective, seen = adversarial(**settings), []
    for step in range(500):
        objective.step(IMAGES, 8 * step)
        if step >= 250:
            seen.append(objective.metrics()["discriminator/accuracy"])
    assert sum(seen) / len(seen) == pytest.approx(0.8, abs=0.1)
    resumed = adversarial(**settings)
    resumed.load_state_dict(objective.state_dict())
    assert resumed.auto_balance.accuracy == objective.auto_balance.accuracy


def test_bf16_follows_fp32_closely_and_keeps_its_weights_in_fp32() -> None:
    networks = {"discriminator": Discriminator(width=4, normalisation="none"), "r1": 0.5}
    exact, rough = adversarial(**networks), adversarial(precision="bf16", **networks)
    for step in range(4):
        exact.step(IMAGES, 8 * step)
        rough.step(IMAGES, 8 * step)
    found, expected = rough.metrics(), exact.metrics()
    assert found != expected
    assert found == pytest.approx(expected, rel=0.05)
    assert all(p.dtype == torch.float32 for p in rough.generator.parameters())


def test_uniform_latents_lie_between_minus_one_and_one() -> None:
    objective = adversarial(latent_distribution="uniform")
    seen = objective.generator.seed(torch.randn(10_000, 6))
    assert seen.abs().max() <= 1
    assert seen.var().item() == pytest.approx(1 / 3, rel=0.02)


def test_a_conditional_pair_draws_the_attributes_given_and_else_picks_from_real_rows() -> None:
    rows = torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8).repeat(512, 1)
    config = {"batch": 8, "latent": 6, "attributes": ("Smiling", "Male"), "generator": {"width": 4}}
    objective = AdversarialObjective(
        Config.model_validate(config | {"discriminator": {"width": 4}}), 32, DistributedContext(), rows
    )
    wanted = torch.tensor([[1, 1]] * 8, dtype=torch.uint8)
    for step in range(3):
        objective.step(IMAGES, 8 * step, wanted)
    noise = torch.randn(64, 7)
    picked = objective.generator.seed.attributes_from(noise)
    assert {tuple(row) for row in picked.tolist()} == {(1, 0), (0, 1)}
    objective.generator.eval()
    torch.testing.assert_close(objective.generator(noise), objective.generator(noise, picked))
    assert not torch.equal(objective.generator(noise), objective.generator(noise, 1 - picked))
    logits = objective.discriminator(IMAGES.float(), wanted)
    assert not torch.equal(logits, objective.discriminator(IMAGES.float(), 1 - wanted))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_follow_the_others_penalty_included_and_share_their_checkpoints() -> None:
    settings = {"discriminator": Discriminator(width=4, normalisation="none"), "r1": 0.5, "penalty_every": 2}
    plain, compiled = adversarial(**settings), adversarial(compile=True, **settings)
    for step in range(2):
        plain.step(IMAGES, 8 * step)
        compiled.step(IMAGES, 8 * step)
    assert compiled.metrics() == pytest.approx(plain.metrics(), rel=1e-3)
    plain.load_state_dict(compiled.state_dict())
    assert torch.equal(weights(plain.generator), weights(compiled.generator))
