from pathlib import Path
from typing import ClassVar

import pytest
import torch

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.distributed import DistributedContext, OthersFailedError
from raygan.pipeline.launch.evaluate import EvaluationRequest, cause
from raygan.pipeline.objectives import registry
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest
from tests.pipeline import stores  # noqa: F401  (registers flaky://)
from tests.pipeline.small_datasets import write_dataset


def test_the_error_of_one_worker_is_reported_and_not_that_the_others_could_not_continue() -> None:
    class FailedError(Exception):
        worker_failures: ClassVar = {0: OthersFailedError("1 of 2"), 1: UserError("b.png: not a readable image")}

    assert str(cause(FailedError())) == "b.png: not a readable image"
    del FailedError.worker_failures[1]
    assert str(cause(FailedError())) == "1 of 2"
    assert str(cause(ValueError("no memory"))) == "the evaluation failed: ValueError('no memory')"


def test_the_data_set_of_a_run_in_a_store_is_copied_where_the_run_keeps_its_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("RAYGAN_CACHE", str(tmp_path / "statistics"))
    shards = write_dataset(tmp_path / "faces", [12, 12], size=32)
    launch = Launch(shards=f"flaky://{shards}", runs=tmp_path, name="run", shard_cache=str(tmp_path / "copies"))
    digest = Manifest.load(shards).digest
    run = Run(config=smoke(), launch=launch, data=digest, tracking="", run_id="")
    run.save()
    objective = registry.build(smoke(), 32, DistributedContext())
    folder = run.folder / runs.checkpoint_name(16)
    checkpoint.write(folder, checkpoint.snapshot(objective, 16, digest, {}, {}))
    request = EvaluationRequest.resolve("run", None, "train", "randconv", ("fid",), 8, 0, str(tmp_path))
    request.evaluate(torch.device("cpu"))
    assert list((tmp_path / "copies").glob("*/train-*.tar"))
    assert not (tmp_path / "elsewhere").exists()
