from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.pipeline.objectives.adversarial.balance import HALF_LIFE, AutoBalance, generator_updates_due


@pytest.mark.parametrize(
    ("balance", "updates"),
    [(1.0, [1, 1, 1, 1, 1, 1]), (0.5, [2, 2, 2, 2, 2, 2]), (1.5, [0, 1, 1, 0, 1, 1]), (5.0, [0, 0, 0, 0, 1, 0])],
)
def test_the_balance_gives_the_promised_sequence(balance: float, updates: list[int]) -> None:
    assert [generator_updates_due(8 * i, 8, balance) for i in range(6)] == updates


@given(st.integers(1, 300), st.floats(0.05, 20), st.integers(1, 200))
def test_generator_updates_add_up_to_the_ratio_whatever_it_is(batch: int, balance: float, steps: int) -> None:
    total = sum(generator_updates_due(batch * i, batch, balance) for i in range(steps))
    assert abs(total - steps / balance) <= 1 + steps / balance * 0.02


@given(st.lists(st.integers(1, 64), min_size=1, max_size=30), st.sampled_from([0.5, 1.0, 1.5, 5.0]))
def test_the_ratio_is_kept_when_the_batch_changes_on_the_way(batches: list[int], balance: float) -> None:
    position, behind = 0, 0.0
    for batch in batches:
        behind += 1 / balance - generator_updates_due(position, batch, balance)
        position += batch
    assert abs(behind) <= 1 + len(list(pairwise(batches)))


def test_auto_balance_begins_with_the_discriminator_until_its_accuracy_passes_the_target() -> None:
    balance = AutoBalance(target=0.8)
    assert not balance.generator_is_due
    balance.observe(1.0, HALF_LIFE)
    assert balance.accuracy == pytest.approx(0.75)
    assert not balance.generator_is_due
    balance.observe(1.0, HALF_LIFE)
    assert balance.accuracy == pytest.approx(0.875)
    assert balance.generator_is_due


def test_the_running_accuracy_does_not_depend_on_how_images_are_batched() -> None:
    one, many = AutoBalance(0.8), AutoBalance(0.8)
    one.observe(0.9, 640)
    for _ in range(10):
        many.observe(0.9, 64)
    assert one.accuracy == pytest.approx(many.accuracy)
