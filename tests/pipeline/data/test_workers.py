"""Real Ray Train workers show what one process shows, and one that cannot read brings the others down."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader
from tests.pipeline.small_datasets import write_dataset

COUNTS, BATCH, BATCHES = [30, 31, 30, 29], 16, 5


def run_workers(settings: dict[str, Any], world_size: int, storage: Path) -> None:
    """Reads `BATCHES` global batches on real workers; each logs its keys, a line per batch, to a file of its own."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    def work(settings: dict[str, Any]) -> None:
        from itertools import islice
        from pathlib import Path

        import ray.train
        import torch

        from raygan.pipeline.data.dataset import DataSet
        from raygan.pipeline.data.reader import Reader

        rank, world_size = ray.train.get_context().get_world_rank(), ray.train.get_context().get_world_size()
        reader = Reader(
            DataSet.open(settings["folder"]),
            "train",
            settings["batch"],
            rank,
            world_size,
            7,
            settings["position"],
            keys=True,
        )
        with reader, Path(settings["log"], f"{rank}.txt").open("w") as log:
            for batch in islice(reader, settings["batches"]):
                assert batch.keys is not None
                log.write(b" ".join(batch.keys).decode() + "\n")
        if world_size > 1:
            torch.distributed.barrier()  # the rank that fails takes the others down: first let all write their logs
        if rank == settings["fails"]:
            with Reader(DataSet.open(settings["damaged"]), "train", settings["batch"]) as reader:
                list(reader)
        if world_size > 1:
            torch.distributed.barrier()

    TorchTrainer(
        work,
        train_loop_config=settings,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(num_workers=world_size, resources_per_worker={"CPU": 0.5}),
        run_config=RunConfig(name=f"workers-{world_size}", storage_path=str(storage)),
    ).fit()


def logged(folder: Path) -> list[str]:
    """The global batches: the ranks' lines joined in the order of the ranks."""
    ranks = [path.read_text().splitlines() for path in sorted(folder.iterdir())]
    return [" ".join(lines) for lines in zip(*ranks, strict=True)]


def shown_by(folder: Path, world_size: int, position: int) -> list[str]:
    """The global batches that as many readers in this process show."""
    data = DataSet.open(str(folder))
    readers = [Reader(data, "train", BATCH, rank, world_size, 7, position, keys=True) for rank in range(world_size)]
    lines = []
    for batches in islice(zip(*readers, strict=True), BATCHES):
        lines.append(" ".join(b" ".join(batch.keys).decode() for batch in batches))
    for reader in readers:
        reader.close()
    return lines


@pytest.mark.ray_cluster
def test_one_worker_and_two_then_three_show_what_five_do_and_a_failing_rank_ends_the_run(
    ray_cluster: str, tmp_path: Path
) -> None:
    folder = write_dataset(tmp_path / "faces", COUNTS)
    damaged = write_dataset(tmp_path / "damaged", COUNTS)
    path = damaged / "train-000002.tar"
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    settings = {"folder": str(folder), "damaged": str(damaged), "batch": BATCH, "batches": BATCHES, "fails": None}

    for name, world_size in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        run_workers(settings | {"position": 0, "log": str(tmp_path / name)}, world_size, tmp_path / "runs")
        assert logged(tmp_path / name) == shown_by(folder, 1, 0) == shown_by(folder, 5, 0)

    # Resumed with another number of workers; then rank 1 fails while the others wait in a collective for 30 minutes.
    position = BATCH * BATCHES
    (tmp_path / "three").mkdir()
    resumed = settings | {"position": position, "log": str(tmp_path / "three"), "fails": 1}
    with pytest.raises(Exception, match=r"train-000002\.tar: damaged"):
        run_workers(resumed, 3, tmp_path / "runs")
    assert logged(tmp_path / "three") == shown_by(folder, 1, position) == shown_by(folder, 5, position)
