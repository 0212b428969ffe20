"""Small searches for tests, and what is left of them: in their folders, in MLflow, on the machine."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.launch.plan import plan as plan_of_a_run
from raygan.pipeline.training import checkpoint
from raygan.pipeline.tuning.search import Options, Search, plan
from raygan.pipeline.tuning.space import parse
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions_of
from raygan.pipeline.tuning.tune import search_all

SPACE = {
    "generator.learning_rate": "1e-5:1e-3:log",
    "discriminator.learning_rate": "1e-5:1e-3:log",
    "generator.betas": "[0.0,0.9],[0.4,0.99]",
    "discriminator.betas": "[0.1,0.9],[0.3,0.99]",
    "balance": "1:2",
}


def planned(shards: Path, folder: Path, name: str, images: int, workers: int = 1, **options: object) -> Search:
    few = smoke()
    config = few.model_copy(
        update={
            "images": images,
            "evaluation": few.evaluation.model_copy(update={"every": images // 2}),
            "checkpoints": few.checkpoints.model_copy(update={"every": images // 8}),
        }
    )
    launch = Launch(shards=str(shards), runs=str(folder), name=name, workers=str(workers))
    data = plan_of_a_run(config, launch).data.manifest.digest
    return plan(config, launch, parse(SPACE), Options.model_validate(options), data)


def run(search: Search) -> None:
    search_all(search, show=lambda coordinator: None, say=lambda words: None, command="raygan tune")


def study_of(search: Search) -> Study:
    return Study(search.journal, "search", distributions_of(search.space, search.config), search.count)


def checkpoints(search: Search, name: str) -> list[Path]:
    """Of a trial, the oldest first."""
    return sorted(header.parent for header in (search.trials / name).glob("checkpoint_*/checkpoint.json"))


def made_by(folder: Path) -> tuple[dict[str, object], dict[str, int]]:
    """What the worker's optimizers held when it wrote this checkpoint, and how many updates each had made by then."""
    state = torch.load(folder / checkpoint.STATE, weights_only=True)
    held: dict[str, object] = {}
    counts = {}
    for network in ("generator", "discriminator"):
        optimizer = state[f"{network}_optimizer"]
        (group,) = optimizer["param_groups"]
        held |= {f"{network}.learning_rate": group["lr"], f"{network}.betas": tuple(group["betas"])}
        counts[network] = int(optimizer["state"][0]["step"])
    return held, counts


def rates_and_betas(record: TrialRecord) -> dict[str, object]:
    """Of the values that were sampled, those that optimizers hold."""
    return {field: value for field, value in record.values.items() if field != "balance"}


def processes(actor: str) -> list[psutil.Process]:
    """The living processes of an actor's class: ImplicitFunc is Tune's name for a trial."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if actor in " ".join(process.cmdline()):
                found.append(process)
    return found


def once(ready: Callable[[], bool], act: Callable[[], None]) -> threading.Thread:
    def watch() -> None:
        while not ready():
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def mlflow_runs(search: Search) -> tuple[MlflowRun, list[MlflowRun]]:
    """The search's run and those of its trials."""
    client = MlflowClient(search.tracking)
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    (parent,) = [run for run in found if run.info.run_name == search.name]
    return parent, [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def nothing_is_left_behind() -> bool:
    import ray

    groups = ray.util.placement_group_table().values()
    gone = not processes("ImplicitFunc") and not processes("RayTrainWorker")
    return gone and all(group["state"] == "REMOVED" for group in groups)


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
