"""The whole of Ray Train: two real workers, a real tracking store, real kills. Few runs, each looked at closely."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from pipeline import checkpoint, runs, tracking
from pipeline.config import Checkpoints, Config, Evaluation, Launch, smoke
from pipeline.train import plan, train
from sharding.errors import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def config(images: int) -> Config:
    knobs = {"images": images, "evaluation": Evaluation(every=1024, count=16), "checkpoints": Checkpoints(every=512)}
    return smoke().model_copy(update=knobs)


def launch(shards: Path, place: Path, name: str, workers: int = 2) -> Launch:
    return Launch(shards=str(shards), runs=place, name=name, workers=workers)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / checkpoint.STATE, weights_only=True)


@pytest.fixture(scope="module")
def resumed(shards: Path, place: Path) -> runs.Run:
    """A run of 1,024 images that was resumed to 2,048, never disturbed otherwise."""
    seen: list[int] = []
    train(config(1024), launch(shards, place, "calm"), progress=lambda position, values, warning: seen.append(position))
    assert runs.newest_checkpoint(place, "calm") == place / "calm" / "checkpoint_000000001024"
    assert seen == sorted(seen)
    assert seen[-1] == 1024
    return train(config(2048), launch(shards, place, "calm"), resume=True)


def kill_a_worker_once_it_has_a_checkpoint(place: Path, name: str) -> threading.Thread:
    def kill() -> None:
        while not list((place / name).glob(f"checkpoint_*/{runs.HEADER}")):
            time.sleep(0.02)
        workers = [p for p in psutil.process_iter(["cmdline"]) if "RayTrainWorker" in " ".join(p.info["cmdline"] or ())]
        os.kill(workers[-1].pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def test_a_run_whose_worker_was_killed_ends_like_one_that_was_resumed_in_peace(
    shards: Path, place: Path, resumed: runs.Run
) -> None:
    """Promise 2 for both ways of going on: Ray's restart in the same run, and a resume by a later command."""
    killer = kill_a_worker_once_it_has_a_checkpoint(place, "killed")
    train(config(2048), launch(shards, place, "killed"))
    killer.join(1)
    assert not killer.is_alive(), "the worker was never killed"
    folders = [runs.find_checkpoint(place, name) for name in ("killed", "calm")]
    assert [checkpoint.read_header(folder).position for folder in folders] == [2048, 2048]
    killed, calm = map(weights, folders)
    torch.testing.assert_close(killed, calm, rtol=0, atol=0)


def test_the_run_is_in_mlflow_whole_and_finished(place: Path, resumed: runs.Run) -> None:
    info = tracking.find_run(resumed.tracking, resumed.run_id)
    assert (info.name, info.status) == ("calm", "FINISHED")
    assert info.parameters["generator.width"] == "4"
    assert {
        "loss/discriminator",
        "loss/generator",
        "discriminator/real",
        "discriminator/fake",
        "discriminator/accuracy",
        "score/fd_randconv",
        "speed/images_per_second",
        "speed/waiting_for_data",
    } <= info.metrics.keys()


def test_only_the_newest_checkpoints_are_kept(place: Path, resumed: runs.Run) -> None:
    kept = sorted(path.name for path in (place / "calm").glob("checkpoint_0*"))
    assert kept == ["checkpoint_000000001536", "checkpoint_000000002048"]


def test_what_cannot_run_is_refused_before_anything_starts(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--batch 16: 17 workers cannot share it"):
        plan(config(64), launch(shards, tmp_path, "x", workers=17))
    with pytest.raises(UserError, match="no manifest there"):
        plan(config(64), launch(tmp_path / "nowhere", tmp_path, "x"))
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused_with_both_remedies(shards: Path, place: Path, resumed: runs.Run) -> None:
    with pytest.raises(UserError, match=r"--name calm: that run exists in .*--resume calm or choose another name"):
        train(config(64), launch(shards, place, "calm"))
