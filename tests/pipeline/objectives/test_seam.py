"""The seam: an objective in tests/ alone is trained, killed, resumed, scored, tracked, searched and drawn from."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from raygan.jobs.commands.runs.draw import draw
from raygan.pipeline.config import Checkpoints, Config, Evaluation, Launch, smoke
from raygan.pipeline.launch.plan import plan
from raygan.pipeline.launch.trainer import train
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.header import HEADER, read_header
from raygan.pipeline.tuning import search as searches
from raygan.pipeline.tuning.search import Options
from raygan.pipeline.tuning.space import default, parse
from raygan.pipeline.tuning.tune import search_all
from raygan.sharding.storage.folder import Folder
from tests.pipeline.launch.test_trainer import kill_a_worker

KIND = "tests.pipeline.objectives.codebook:Codebook"
ROOT = Path(__file__).parents[3]


def config(images: int = 1024) -> Config:
    schedule = {"evaluation": Evaluation(every=512, count=16), "checkpoints": Checkpoints(every=256)}
    return Config.model_validate(dict(smoke()) | {"objective": KIND, "images": images, **schedule})


def weights(folder: Folder) -> dict[str, torch.Tensor]:
    return torch.load(f"{folder}/{checkpoint.STATE}", weights_only=True)


def kill_once_there_is_a_checkpoint(run_folder: Path, killed: list[int]) -> None:
    def watch() -> None:
        while not list(run_folder.glob(f"checkpoint_*/{HEADER}")):
            time.sleep(0.02)
        killed.append(kill_a_worker())

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.ray_cluster
def test_two_workers_train_it_and_one_that_is_killed_changes_no_bit_of_the_end(
    ray_cluster: str, shards: Path, tmp_path: Path
) -> None:
    launches = {name: Launch(shards=str(shards), runs=tmp_path, name=name, workers=2) for name in ("whole", "killed")}
    killed: list[int] = []
    kill_once_there_is_a_checkpoint(tmp_path / "killed", killed)
    trained = {name: train(plan(config(), launch)) for name, launch in launches.items()}
    assert killed
    folders = [runs.find_checkpoint(tmp_path, name) for name in launches]
    assert [read_header(folder).position for folder in folders] == [1024, 1024]
    torch.testing.assert_close(*map(weights, folders), rtol=0, atol=0)

    header = read_header(folders[0])
    assert header.config == config()
    assert set(header.scores) == {"fd_randconv", "kid_randconv"}
    draw(folders[0], tmp_path / "faces.npy", 4, seed=0, device="cpu", advance=lambda done: None)
    assert (tmp_path / "faces.npy").stat().st_size > 4 * 32 * 32 * 3

    run = MlflowClient(trained["whole"].tracking).get_run(trained["whole"].run_id)
    assert run.info.status == "FINISHED"
    assert {"loss/reconstruction", "score/kid_randconv"} <= run.data.metrics.keys()
    assert run.data.params["objective"] == KIND
    assert run.data.params["codebook.vectors"] == "64"
    assert not {"balance", "loss", "discriminator.width"} & run.data.params.keys()
    client = MlflowClient(trained["whole"].tracking)
    assert client.get_model_version_by_alias("raygan-faces", "champion").run_id in {r.run_id for r in trained.values()}


@pytest.mark.ray_cluster
def test_it_is_searched_over_its_own_settings(ray_cluster: str, shards: Path, tmp_path: Path) -> None:
    launch = Launch(shards=str(shards), runs=str(tmp_path), name="search", workers="1")
    assert list(default(config())) == ["generator.learning_rate"]
    space = parse({"codebook.vectors": "32,64", "generator.learning_rate": "1e-4:1e-3:log"})
    options = Options(trials=2, finalists=0, scheduler="none")
    data = plan(config(256), launch).data.manifest.digest
    search = searches.plan(config(256), launch, space, options, data)
    found = search_all(search, show=lambda coordinator: None, say=lambda words: None, command="")
    assert [row.state for row in found.rows] == ["finished", "finished"]
    assert "codebook" in found.best.read_text()


def command(*words: str) -> tuple[int, str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "raygan.jobs", *words], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_its_flags_are_on_the_command_line_and_those_of_another_objective_are_refused_by_name(
    shards: Path, tmp_path: Path
) -> None:
    asked = ("train", "--shards", str(shards), "--runs", str(tmp_path), "--dry-run", "--preset", "smoke")
    status, output = command(*asked, "--objective", KIND, "--codebook.vectors", "7")
    assert status == 0
    assert '"vectors": 7' in output
    status, output = command(*asked, "--objective", KIND, "--r1", "1")
    assert status == 2
    assert "--r1: a setting of the objective adversarial" in output
    status, output = command(*asked, "--objective", "vea")
    assert (status, "there is no objective 'vea'" in output) == (2, True)
    status, output = command(*asked, "--objective", "nobody.knows:It")
    assert (status, "cannot be imported" in output) == (2, True)
