"""What the order promises, over random data sets, world sizes, batch sizes, lanes and interruptions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.pipeline.data.order import Order, Samples
from raygan.sharding.errors import UserError

counts_of = st.lists(st.integers(0, 30), min_size=1, max_size=20).filter(any)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    return Order(
        draw(counts_of), seed=draw(st.integers(0, 2**63)), window=draw(st.integers(1, 8)), lanes=draw(st.integers(1, 9))
    )


def pairs(samples: Samples) -> list[tuple[int, int]]:
    shard, row = samples
    assert shard.dtype == row.dtype == np.int32
    return list(zip(shard.tolist(), row.tolist(), strict=True))


def everything(counts: list[int]) -> list[tuple[int, int]]:
    return [(shard, row) for shard, count in enumerate(counts) for row in range(count)]


@given(counts=counts_of, seed=st.integers(0, 2**63), window=st.integers(1, 8), lanes=st.integers(1, 9), data=st.data())
@settings(max_examples=150, deadline=None)
def test_an_epoch_shows_every_sample_once_however_often_batch_and_world_size_change(
    counts: list[int], seed: int, window: int, lanes: int, data: st.DataObject
) -> None:
    samples = sum(counts)
    epoch = data.draw(st.integers(0, 10**9))
    seen, position = [], epoch * samples
    while position < (epoch + 1) * samples:
        # A new Order for every stretch: nothing but the position survives an interruption.
        order = Order(counts, seed, window, lanes)
        world_size = data.draw(st.integers(1, 6))
        size = min(data.draw(st.integers(1, 3 * samples)), (epoch + 1) * samples - position)
        for rank in range(world_size):
            seen += pairs(order.slice(position, size, rank, world_size))
        position += size
    assert sorted(seen) == everything(counts)


@given(order=orders(), position=st.integers(0, 10**12), size=st.integers(1, 300), world_size=st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_the_ranks_slices_joined_are_the_global_batch_for_every_world_size(
    order: Order, position: int, size: int, world_size: int
) -> None:
    ranks = range(world_size)
    joined = [pair for rank in ranks for pair in pairs(order.slice(position, size, rank, world_size))]
    assert joined == pairs(order.batch(position, size))
    assert len(joined) == size
    coins = np.concatenate([order.coins(position, size, rank, world_size) for rank in ranks])
    assert np.array_equal(coins, order.coins(position, size))
    sizes = [len(order.slice(position, size, rank, world_size)[0]) for rank in ranks]
    assert max(sizes) - min(sizes) <= 1


@given(order=orders(), position=st.integers(0, 10**12), sizes=st.lists(st.integers(1, 60), min_size=1, max_size=9))
@settings(max_examples=150, deadline=None)
def test_small_batches_hold_together_what_one_large_batch_holds(order: Order, position: int, sizes: list[int]) -> None:
    def shown(at: int, size: int) -> list[tuple[tuple[int, int], bool]]:
        return list(zip(pairs(order.batch(at, size)), order.coins(at, size).tolist(), strict=True))

    small = []
    for i, size in enumerate(sizes):
        small += shown(position + sum(sizes[:i]), size)
    large = shown(position, sum(sizes))
    assert sorted(small) == sorted(large)
    if order.lanes == 1:
        assert small == large


@given(order=orders(), start=st.integers(0, 10**6), jumps=st.lists(st.integers(0, 10**6), max_size=5))
@settings(max_examples=100, deadline=None)
def test_what_was_asked_before_does_not_matter(order: Order, start: int, jumps: list[int]) -> None:
    expected = pairs(order.batch(start, 50))
    for jump in jumps:
        order.batch(jump, 50)
        order.upcoming(jump, 50, 0, 1)
    assert pairs(order.batch(start, 50)) == expected


@given(count=st.integers(1, 9), window=st.integers(1, 5), turn=st.integers(0, 10**6), lanes=st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_read_ahead_names_the_shards_of_the_present_window_and_of_the_next(
    count: int, window: int, turn: int, lanes: int
) -> None:
    order = Order([count] * window * 3 * lanes, 1, window, lanes)
    whole = count * window * lanes
    turn -= turn % lanes
    start = turn // whole * whole
    shards = order.upcoming(turn, lanes, 0, 1)
    assert len(shards) == len(set(shards))
    assert set(shards) == set(order.batch(start, 2 * whole)[0].tolist())
    assert set(shards[: window * lanes]) == set(order.batch(start, whole)[0].tolist())


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_orders_differ_between_epochs_seeds_and_windows(lanes: int) -> None:
    counts = [50] * 12
    first = pairs(Order(counts, 1, 4, lanes).batch(0, 600))
    assert first != pairs(Order(counts, 1, 4, lanes).batch(600, 600))
    assert first != pairs(Order(counts, 2, 4, lanes).batch(0, 600))
    assert first != pairs(Order(counts, 1, 2, lanes).batch(0, 600))


def test_lanes_keep_a_rank_to_its_share_of_the_shards_in_every_epoch() -> None:
    order = Order([40] * 64, seed=3, window=4, lanes=8)
    for rank in range(8):
        shards: set[int] = set()
        for position in range(0, 3 * order.samples, 64):
            shards |= set(order.slice(position, 64, rank, 8)[0].tolist())
        assert shards == set(range(rank * 8, rank * 8 + 8))


def test_a_window_spans_as_many_shards_as_asked() -> None:
    order = Order([10] * 12, seed=5, window=3)
    for start in range(0, 240, 30):
        shards, rows = order.batch(start, 30)
        assert len(set(shards.tolist())) == 3
        assert sorted(rows.tolist()) == sorted(list(range(10)) * 3)


def test_coins_are_fair() -> None:
    coins = Order([1000] * 4, seed=1).coins(0, 100_000)
    assert abs(coins.mean() - 0.5) < 5 * 0.5 / 100_000**0.5
    again = np.mean(coins[1:] == coins[:-1])
    assert abs(again - 0.5) < 5 * 0.5 / 100_000**0.5


def test_shuffled_like_a_full_permutation_when_the_window_covers_the_split() -> None:
    count = 20_000
    shard, row = Order([500] * 40, seed=7, window=40).batch(0, count)
    travelled = np.abs(shard * 500 + row - np.arange(count)).mean() / count
    # |i - j| of two uniform numbers is 1/3 on average, with deviation 0.236.
    assert abs(travelled - 1 / 3) < 5 * 0.236 / count**0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Order([]), "no samples"),
        (lambda: Order([0, 0]), "no samples"),
        (lambda: Order([4], window=0), "window"),
        (lambda: Order([4], lanes=0), "lanes"),
        (lambda: Order([4]).slice(0, 4, 2, 2), "rank 2 of 2"),
        (lambda: Order([4]).batch(-1, 4), "position -1"),
    ],
)
def test_what_cannot_be_ordered_is_refused(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize(
    ("lanes", "position", "shards", "rows", "coins"),
    [
        (1, 0, [4, 2, 2, 4, 2, 2, 0, 0], [0, 3, 1, 1, 0, 2, 4, 3], [1, 1, 1, 0, 1, 1, 1, 0]),
        (1, 24, [1, 1, 3, 3, 3, 1, 1, 3], [0, 1, 3, 1, 3, 0, 2, 0], [0, 0, 1, 0, 0, 0, 0, 1]),
        (2, 0, [0, 0, 2, 2, 3, 3, 4, 4], [0, 2, 3, 1, 2, 4, 1, 0], [1, 1, 1, 0, 0, 1, 0, 1]),
    ],
)
def test_the_published_vectors(lanes: int, position: int, shards: list[int], rows: list[int], coins: list[int]) -> None:
    """docs/order.md publishes these; a change of them makes every run that is resumed another run."""
    order = Order([5, 3, 4, 6, 2, 7], seed=1, window=2, lanes=lanes)
    assert [part.tolist() for part in order.batch(position, 8)] == [shards, rows]
    assert order.coins(position, 8).astype(int).tolist() == coins


def test_the_published_vector_of_a_large_data_set() -> None:
    order = Order(np.full(100_000, 4_000), seed=0, window=32, lanes=64)
    shards, rows = order.slice(10**12, 1024, 5, 256)
    assert (shards.tolist(), rows.tolist()) == ([3069, 1612, 2135, 2523], [3162, 2257, 3161, 297])
