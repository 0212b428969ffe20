"""Real processes over gloo: however many share the work, they find what one finds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.evaluation.statistics import Statistics
from raygan.sharding.errors import RunError

COUNTS = (2, 7, 40)  # with 3 ranks and batches of 4: two empty shares, one empty share, several batches each


def features() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(3, 1, (50, 6)))


def gathered(parts: list[torch.Tensor]) -> Statistics:
    statistics = Statistics(6)
    for part in parts:
        statistics.add(part)
    statistics.reduce(DistributedContext.current())
    return statistics


def results(folder: Path, rank: int, world_size: int) -> dict[str, Any]:
    """What this rank computes: statistics of its features, scores of its share, and how a failure of rank 1 looks."""
    shares = {1: [50], 2: [50, 0], 3: [13, 0, 37]}[world_size]
    found: dict[str, Any] = {}
    statistics = gathered([*features().split(shares)[rank].split(5)])
    found["mean"], found["covariance"] = statistics.mean.tolist(), statistics.covariance.tolist()
    fakes = torch.from_numpy(np.load(folder / "fakes.npy")).permute(0, 3, 1, 2)
    for count in COUNTS:
        # each rank has a cache of its own, as workers without a shared file system do
        settings = {"count": count, "cache": folder / f"cache-{rank}", "batch": 4, "kept": 6}
        evaluator = Evaluator(folder / "reals.npy", **settings)  # type: ignore[arg-type]
        found[f"scores of {count}"] = evaluator.score(lambda first, n: fakes[first : first + n])

    def fails(first: int, count: int) -> torch.Tensor:
        if rank == world_size - 1:
            raise ValueError("no images today")
        return fakes[first : first + count]

    try:
        evaluator.score(fails)
    except (ValueError, RunError) as error:
        found["failure"] = f"{type(error).__name__}: {error}"
    return found


def in_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    for world_size in (3, 2):
        if rank < world_size:
            store = f"file://{folder}/store-{world_size}"
            dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
            found = results(Path(folder), rank, world_size)
            Path(folder, f"found-{world_size}-{rank}.json").write_text(json.dumps(found))
            dist.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    rng = np.random.default_rng(1)
    np.save(folder / "reals.npy", rng.integers(0, 256, (45, 16, 16, 3), dtype=np.uint8))
    np.save(folder / "fakes.npy", rng.integers(0, 200, (45, 16, 16, 3), dtype=np.uint8))
    multiprocessing.spawn(in_process, (str(folder),), nprocs=3)
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> dict[str, Any]:
    return results(folder, 0, 1)


@pytest.mark.parametrize(("world_size", "rank"), [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
def test_every_rank_finds_what_one_process_finds(
    folder: Path, alone: dict[str, Any], world_size: int, rank: int
) -> None:
    found = json.loads((folder / f"found-{world_size}-{rank}.json").read_text())
    np.testing.assert_allclose(found["mean"], alone["mean"], rtol=1e-9)
    np.testing.assert_allclose(found["covariance"], alone["covariance"], rtol=1e-9, atol=1e-12)
    for count in COUNTS:
        assert found[f"scores of {count}"] == pytest.approx(alone[f"scores of {count}"], rel=1e-9)


@pytest.mark.parametrize("world_size", [2, 3])
def test_all_ranks_get_the_same_scores_to_the_bit(folder: Path, world_size: int) -> None:
    found = [json.loads((folder / f"found-{world_size}-{rank}.json").read_text()) for rank in range(world_size)]
    for count in COUNTS:
        assert all(one[f"scores of {count}"] == found[0][f"scores of {count}"] for one in found)


def test_a_failure_on_one_rank_ends_the_evaluation_on_all(folder: Path) -> None:
    failures = [json.loads((folder / f"found-3-{rank}.json").read_text())["failure"] for rank in range(3)]
    assert failures[2] == "ValueError: no images today"
    assert all(
        failure == "OthersFailedError: evaluation failed on 1 of 3 workers; their logs say why"
        for failure in failures[:2]
    )
