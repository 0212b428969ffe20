"""The plan: every image in exactly one shard, from the counts and the seed alone, in little memory."""

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.plan import limited, plan, rows_of, scatter

UNHURRIED = settings(deadline=None)
TOTALS = st.fixed_dictionaries({split: st.integers(0, 300) for split in SPLITS})


@UNHURRIED
@given(TOTALS, st.integers(1, 64), st.integers(1, 5), st.integers(0, 2**64 - 1), st.integers(1, 50))
def test_every_row_is_in_exactly_one_shard(
    totals: dict[str, int], per_shard: int, lanes: int, seed: int, block: int
) -> None:
    planned = list(plan(totals, totals, per_shard, lanes))
    assert len({shard.name for shard in planned}) == len(planned)
    for split in SPLITS:
        shards = [shard for shard in planned if shard.split == split]
        rows = [rows_of(shard, seed, block) for shard in shards]
        assert sorted(np.concatenate(rows).tolist() if rows else []) == list(range(totals[split]))
        assert all(0 < len(part) <= per_shard for part in rows)
        assert len(shards) >= min(lanes, totals[split])
        assert len({len(part) for part in rows}) <= 2, "shards are of about the same size"


@UNHURRIED
@given(TOTALS, st.integers(1, 1000), st.sampled_from([SPLITS, ("train",), ("valid", "test")]))
def test_a_limit_is_distributed_over_the_splits_in_proportion(
    totals: dict[str, int], limit: int, splits: tuple[str, ...]
) -> None:
    counts = limited(totals, splits, limit)
    total = sum(totals[split] for split in splits)
    assert sum(counts.values()) == min(limit, total)
    for split in SPLITS:
        share = limit * totals[split] / max(total, limit, 1) if limit < total else totals[split]
        assert abs(counts[split] - (share if split in splits else 0)) < 1.0001


@UNHURRIED
@given(st.integers(0, 2**64 - 1), st.integers(0, 5000))
def test_scatter_is_a_permutation(key: int, count: int) -> None:
    places = scatter(key, count, np.arange(count, dtype=np.int64))
    assert sorted(places.tolist()) == list(range(count))


def test_scatter_keeps_no_order_and_is_frozen() -> None:
    places = scatter(7, 202_599, np.arange(202_599, dtype=np.int64))
    assert abs(np.corrcoef(places, np.arange(202_599))[0, 1]) < 0.01
    assert abs((np.diff(places) == 1).sum() - 1) < 10
    assert scatter(7, 202_599, np.arange(4, dtype=np.int64)).tolist() == places[:4].tolist()


def test_neighbours_stay_together_where_a_source_is_read_in_groups() -> None:
    totals = {"train": 10_000, "valid": 0, "test": 0}
    for shard in plan(totals, totals, 500, 1):
        groups = np.unique(rows_of(shard, 3, block=100) // 100)
        assert len(groups) <= 6, "a shard of 500 rows touches 5 groups of 100, or one more"


def test_planning_400_million_images_takes_under_300_mb() -> None:
    code = """
import resource
import numpy as np
from raygan.sharding.plan import plan, rows_of
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = {"train": 400_000_000, "valid": 0, "test": 0}
planned = list(plan(counts, counts, 4096, 64))
last = rows_of(planned[-1], 5)
assert len(planned) == 97_657 and len(np.unique(last)) == planned[-1].count and last.max() < 400_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    used = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(used) < 300 * 1024  # KiB
