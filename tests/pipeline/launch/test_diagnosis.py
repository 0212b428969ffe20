"""The message that a user gets for each way in which Ray reports a failure."""

import os
from pathlib import Path

import pytest
from ray.exceptions import ActorDiedError
from ray.train import ControllerError, WorkerGroupError

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.launch.diagnosis import cause
from raygan.pipeline.launch.monitor import Worker
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError
from tests.pipeline.small_datasets import write_dataset

GLOO = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:3141")
WORKERS = [Worker(rank, 3, f"10.0.0.{rank}", 100 + rank) for rank in range(3)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    shards = write_dataset(tmp_path / "shards", [8, 8])
    launch = Launch(shards=str(shards), runs=str(tmp_path), name="a", timeout=7)
    return Run(config=smoke(), launch=launch, data="", tracking="", run_id="")


def failed(**failures: Exception) -> WorkerGroupError:
    return WorkerGroupError("", {int(rank[1:]): failure for rank, failure in failures.items()})


def test_the_error_of_a_rank_comes_before_those_that_follow_from_it_on_others(run: Run) -> None:
    error = failed(_0=GLOO, _1=RunError("train-000002.tar: damaged"))
    assert cause(error, run, WORKERS, []) == "rank 1: train-000002.tar: damaged"
    assert cause(failed(_0=GLOO, _2=KeyError("x")), run, WORKERS, []) == "rank 2: KeyError('x')"


def test_a_killed_worker_is_named_with_its_node_and_process(run: Run) -> None:
    message = cause(failed(_0=GLOO, _1=ActorDiedError()), run, WORKERS, [])
    assert message.startswith(
        "rank 1 on node 10.0.0.1 (process 101) died without an error message: a signal such as SIGKILL"
    )


def test_a_shard_that_was_cut_short_is_what_kills_with_sigbus(run: Run) -> None:
    shard = Path(run.launch.shards) / "train-000001.tar"
    os.truncate(shard, 512)
    message = cause(failed(_0=GLOO, _1=ActorDiedError()), run, WORKERS, [])
    assert f"{shard}: 512 bytes, not " in message


def test_a_rank_that_hangs_is_named_not_those_that_waited_for_it(run: Run) -> None:
    waited = RuntimeError("[gloo] Timed out waiting 7000ms for recv operation to complete")
    message = cause(failed(_0=waited, _1=waited), run, WORKERS, WORKERS[2:])
    assert message.startswith("rank 2 on node 10.0.0.2 (process 102) no longer answered")
    assert "7 s: `timeout`" in message


def test_the_controllers_death_is_not_taken_for_a_workers(run: Run) -> None:
    assert cause(ActorDiedError(), run, WORKERS, []) == "Ray Train's controller died without an error message"
    assert cause(ControllerError(ValueError("x")), run, WORKERS, []) == "ValueError('x')"
