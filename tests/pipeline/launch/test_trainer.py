"""The whole of Ray Train: two real workers, a real tracking store, real kills. Few runs, with many checks of each."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from mlflow import MlflowClient

from raygan.pipeline import tracking
from raygan.pipeline.config import Checkpoints, Config, Evaluation, Launch, smoke
from raygan.pipeline.launch import recording
from raygan.pipeline.launch.plan import plan
from raygan.pipeline.launch.trainer import _begin, train
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.header import HEADER, read_header
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def config(images: int) -> Config:
    settings = {"images": images, "evaluation": Evaluation(every=1024, count=16), "checkpoints": Checkpoints(every=512)}
    return smoke().model_copy(update=settings)


def launch(shards: Path, runs_folder: Path, name: str, workers: int = 2) -> Launch:
    return Launch(shards=str(shards), runs=runs_folder, name=name, workers=workers)


def weights(folder: Folder) -> dict[str, torch.Tensor]:
    return torch.load(f"{folder}/{checkpoint.STATE}", weights_only=True)


def once_it_has_a_checkpoint(runs_folder: Path, name: str, action: Callable[[], None]) -> None:
    def watch() -> None:
        while not list((runs_folder / name).glob(f"checkpoint_*/{HEADER}")):
            time.sleep(0.02)
        action()

    threading.Thread(target=watch, daemon=True).start()


@pytest.fixture(scope="module")
def stopped(shards: Path, runs_folder: Path) -> runs.Run:
    """A run that Ctrl-C stopped on its way, and that a later command resumed to its end."""
    seen: list[int] = []
    once_it_has_a_checkpoint(runs_folder, "stopped", lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=r"was stopped at .* images; .* raygan train `resume` stopped"):
        train(plan(config(2048), launch(shards, runs_folder, "stopped")), lambda event: seen.append(event.position))
    assert seen == sorted(seen)
    assert 512 <= seen[-1] < 2048
    assert read_header(runs.find_checkpoint(runs_folder, "stopped")).position == seen[-1]
    info = tracking.list_runs(tracking.local_uri(runs_folder))[0]
    assert (info.name, info.status) == ("stopped", "KILLED")
    return train(plan(config(2048), launch(shards, runs_folder, "stopped"), resume=True))


def kill_a_worker() -> int:
    ours = psutil.Process().children(recursive=True)
    workers = [process for process in ours if "RayTrainWorker" in " ".join(process.cmdline())]
    os.kill(workers[-1].pid, signal.SIGKILL)
    return workers[-1].pid


def test_a_run_whose_worker_was_killed_ends_bit_identical_to_one_that_was_stopped_and_resumed(
    shards: Path, runs_folder: Path, stopped: runs.Run
) -> None:
    """Promise 2 for both ways to continue: Ray's restart within the run, and a resume by a later command.

    The run that is killed was begun by a driver that died before anything started: to resume it is to start it.
    """
    begun = _begin(plan(config(2048), launch(shards, runs_folder, "killed")), command="")
    assert not runs.checkpoints(begun.folder)
    killed: list[int] = []
    once_it_has_a_checkpoint(runs_folder, "killed", lambda: killed.append(kill_a_worker()))
    train(plan(config(2048), launch(shards, runs_folder, "killed"), resume=True))
    assert killed, "the worker was never killed"
    folders = [runs.find_checkpoint(runs_folder, name) for name in ("killed", "stopped")]
    assert [read_header(folder).position for folder in folders] == [2048, 2048]
    torch.testing.assert_close(*map(weights, folders), rtol=0, atol=0)


def test_a_background_evaluation_finds_what_the_workers_find_and_adds_it_to_its_checkpoint(
    shards: Path, runs_folder: Path, stopped: runs.Run
) -> None:
    background = config(2048).evaluation.model_copy(update={"background": True})
    settings = config(2048).model_copy(update={"evaluation": background, "checkpoints": Checkpoints(every=512, keep=4)})
    run = train(plan(settings, launch(shards, runs_folder, "background")))
    client = MlflowClient(run.tracking)
    for name in ("kid_randconv", "fd_randconv"):
        ours, theirs = (
            {point.step: point.value for point in client.get_metric_history(one.run_id, f"score/{name}")}
            for one in (run, stopped)
        )
        assert ours.keys() == {1024, 2048}
        assert ours == pytest.approx(theirs, rel=1e-9)
        header = read_header(run.folder / runs.checkpoint_name(1024))
        assert header.scores[name] == pytest.approx(theirs[1024], rel=1e-9)
        assert header.identity == read_header(run.folder / runs.checkpoint_name(2048)).identity


def test_the_run_is_in_mlflow_whole_and_finished(runs_folder: Path, stopped: runs.Run) -> None:
    info = tracking.find_run(stopped.tracking, stopped.run_id)
    assert (info.name, info.status) == ("stopped", "FINISHED")
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


def test_images_checkpoint_data_and_the_registered_champion_are_found_from_the_run(stopped: runs.Run) -> None:
    client = MlflowClient(stopped.tracking)
    held = {artifact.path for artifact in client.list_artifacts(stopped.run_id)}
    assert {"faces.png", "checkpoints", "config.yaml", "manifest.json", "environment.json", "images"} <= held
    assert {"between-faces.png", "accuracy.png"} <= held
    tags = client.get_run(stopped.run_id).data.tags
    assert "extractor randconv, " in tags["score identity"]
    assert tags["resumed from"].startswith("checkpoint_")
    assert tags["cluster"]
    (data,) = client.get_run(stopped.run_id).inputs.dataset_inputs
    assert data.dataset.digest == stopped.data[: len(data.dataset.digest)]
    assert client.get_model_version_by_alias("raygan-faces", "champion").run_id == stopped.run_id


def test_only_the_newest_checkpoints_and_the_best_are_kept(runs_folder: Path, stopped: runs.Run) -> None:
    kept = [runs.position_of(folder) for folder in runs.checkpoints(Folder(str(runs_folder)) / "killed")]
    best = runs.position_of(runs.find_checkpoint(runs_folder, "killed", "best"))
    assert kept[0] == 2048
    assert len({*kept} - {best}) <= 2


def test_a_run_that_is_finished_is_left_as_it_is(shards: Path, runs_folder: Path, stopped: runs.Run) -> None:
    versions = MlflowClient(stopped.tracking).search_model_versions("name = 'raygan-faces'")
    messages: list[str] = []
    resumed = plan(config(2048), launch(shards, runs_folder, "stopped"), resume=True)
    again = train(resumed, lambda event: messages.append(event.message))
    assert again == stopped
    assert messages == ["run stopped has shown its 2,048 images; give more `images`"]
    recording.finish(stopped, command="")  # as after a crash, just before the end was recorded
    assert len(MlflowClient(stopped.tracking).search_model_versions("name = 'raygan-faces'")) == len(versions)


def test_what_cannot_run_is_refused_before_anything_starts(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`batch` 16: 17 workers cannot share it"):
        plan(config(64), launch(shards, tmp_path, "x", workers=17))
    with pytest.raises(UserError, match="no manifest there"):
        plan(config(64), launch(tmp_path / "nowhere", tmp_path, "x"))
    compared = config(64).with_settings({"loss": "mmd", "accumulate": 2})  # batch 16
    plan(compared, launch(shards, tmp_path, "x", workers=4))
    with pytest.raises(UserError, match=r"`loss` mmd .* `batch` 16 leaves some worker one alone: give at least 20"):
        plan(compared, launch(shards, tmp_path, "x", workers=5))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"`runs` .*/file/runs: nothing can be written there \(Not a directory\)"):
        train(plan(config(64), launch(shards, tmp_path / "file" / "runs", "x")))


def test_a_name_that_is_taken_is_refused_with_both_remedies(shards: Path, runs_folder: Path, stopped: runs.Run) -> None:
    with pytest.raises(
        UserError, match=r"`name` stopped: that run exists in .*`resume` stopped or choose another name"
    ):
        train(plan(config(64), launch(shards, runs_folder, "stopped")))
