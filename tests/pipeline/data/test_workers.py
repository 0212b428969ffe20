"""Real Ray Train workers show what one process shows, and one that cannot read brings the others down."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader
from tests.pipeline.small_datasets import write_dataset

COUNTS, BATCH, BATCHES = [30, 31, 30, 29], 16, 5


def run_workers(settings: dict[str, Any], world_size: int, storage: Path) -> None:
    """Reads `BATCHES` global batches on real workers; each saves the images that it shows in `log`/RANK.npy."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    def work(settings: dict[str, Any]) -> None:
        from itertools import islice
        from pathlib import Path

        import numpy as np
        import ray.train
        import torch

        from raygan.pipeline.data.dataset import DataSet
        from raygan.pipeline.data.reader import Reader

        rank, world_size = ray.train.get_context().get_world_rank(), ray.train.get_context().get_world_size()
        data = DataSet.open(settings["folder"])
        with Reader(data, "train", settings["batch"], rank, world_size, 7, settings["position"]) as reader:
            shown = [batch.images.numpy() for batch in islice(reader, settings["batches"])]
        np.save(Path(settings["log"], f"{rank}.npy"), np.stack(shown))
        if world_size > 1:
            torch.distributed.barrier()  # a rank that fails takes the others down: first all save what they showed
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


def logged(folder: Path) -> NDArray[np.uint8]:
    """The global batches, uint8 [BATCHES, BATCH, 3, size, size]: the ranks' slices joined in the order of the ranks."""
    return np.concatenate([np.load(path) for path in sorted(folder.iterdir())], axis=1)


def assert_same_as_here(folder: Path, shown: NDArray[np.uint8], position: int) -> None:
    """One reader in this process, and five, show the same global batches."""
    data = DataSet.open(str(folder))
    for world_size in (1, 5):
        readers = [Reader(data, "train", BATCH, rank, world_size, 7, position) for rank in range(world_size)]
        for global_batch, batches in zip(shown, islice(zip(*readers, strict=True), BATCHES), strict=True):
            assert np.array_equal(global_batch, np.concatenate([batch.images.numpy() for batch in batches]))
        for reader in readers:
            reader.close()


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
        assert_same_as_here(folder, logged(tmp_path / name), 0)

    # Resumed with another number of workers; then rank 1 fails while the others wait in a collective for 30 minutes.
    position = BATCH * BATCHES
    (tmp_path / "three").mkdir()
    resumed = settings | {"position": position, "log": str(tmp_path / "three"), "fails": 1}
    with pytest.raises(Exception, match=r"train-000002\.tar: damaged"):
        run_workers(resumed, 3, tmp_path / "runs")
    assert_same_as_here(folder, logged(tmp_path / "three"), position)
