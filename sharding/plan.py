"""Plans which image is in which shard: a pure function of the counts, the seed and the options, in O(shards) memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.format.manifest import SPLITS, Split
from raygan.sharding.hashing import key_of, splitmix64

_ROUNDS = 4


@dataclass(frozen=True)
class PlannedShard:
    """Images `first` to `first + count - 1` of the write order of a split that has `total` images in the source."""

    name: str
    split: Split
    first: int
    count: int
    total: int


def plan(
    counts: Mapping[str, int], totals: Mapping[str, int], samples_per_shard: int, lanes: int
) -> Iterator[PlannedShard]:
    """The shards of a data set, split by split, each of about the same size; at least one for each lane.

    `counts` are the images to write of each split, `totals` those that the source has.
    """
    for split in SPLITS:
        count = counts.get(split, 0)
        shards = min(max(-(-count // samples_per_shard), lanes), count)
        for number in range(shards):
            first, end = count * number // shards, count * (number + 1) // shards
            name = f"{split}-{number:06d}.tar"
            yield PlannedShard(name, split, first, end - first, totals[split])


def limited(totals: Mapping[str, int], splits: tuple[str, ...], limit: int | None) -> dict[str, int]:
    """How many images of each split to write: all, or `limit` in total, distributed over the splits in proportion."""
    chosen: dict[str, int] = {split: totals.get(split, 0) if split in splits else 0 for split in SPLITS}
    total = sum(chosen.values())
    if limit is None or limit >= total:
        return chosen
    ends = np.cumsum([0, *chosen.values()])
    shares = np.diff([limit * int(end) // total for end in ends])
    return {split: int(share) for split, share in zip(SPLITS, shares, strict=True)}


def rows_of(shard: PlannedShard, seed: int, block: int = 1) -> NDArray[np.int64]:
    """The rows of the split, int64 [count], that a shard holds, in order.

    Rows are scattered over the shards in blocks of `block` rows, which a source that is read in groups (parquet)
    sets to the rows of a group; inside a shard they are scattered once more. The last, shorter block stays last.
    """
    key = key_of(seed, SPLITS.index(shard.split))
    positions = np.arange(shard.first, shard.first + shard.count, dtype=np.int64)
    blocks = shard.total // block
    whole = positions < blocks * block
    rows = positions.copy()
    rows[whole] = scatter(key, blocks, positions[whole] // block) * block + positions[whole] % block
    if block == 1:
        return rows
    return rows[scatter(key_of(key, shard.first), shard.count, np.arange(shard.count, dtype=np.int64))]


def scatter(key: int, count: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values of a keyed permutation of range(count) at `positions`, int64, without holding the permutation.

    A balanced Feistel network of four rounds (Luby and Rackoff, How to Construct Pseudorandom Permutations, 1988) on
    the smallest even number of bits that holds `count`; what falls outside is permuted again until it is
    inside (Black and Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
    """
    if count < 2:
        return positions.copy()
    half = np.uint64((int(count - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << int(half)) - 1)
    keys = [np.uint64(key_of(key, turn)) for turn in range(_ROUNDS)]

    def feistel(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = x >> half, x & mask
        for turn in keys:
            left, right = right, left ^ (splitmix64(right ^ turn) & mask)
        return (left << half) | right

    result = feistel(positions.astype(np.uint64))
    outside = np.flatnonzero(result >= count)
    while len(outside):
        result[outside] = feistel(result[outside])
        outside = outside[result[outside] >= count]
    return result.astype(np.int64)
