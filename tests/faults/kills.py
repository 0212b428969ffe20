"""SIGKILL at random instants: the loop and its keeper in a forked process, without Ray, until the run is at its end."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from pipeline import checkpoint, runs
from pipeline.config import Config
from pipeline.keeper import Keeper
from pipeline.place import Place
from pipeline.worker import work
from sharding.stores import Folder
from tests.pipeline.sessions import PlainSession


class KeptSession(PlainSession):
    """Checkpoints as on a cluster, in the background; all else is forgotten with the process."""

    def __init__(self, folder: Path, config: Config) -> None:
        super().__init__(folder)
        self.keeper = Keeper(Folder(str(folder)), config.checkpoints.keep)

    def checkpoints(self) -> list[Folder]:
        return runs.checkpoints(Folder(str(self.folder)))

    def save(self, taken: checkpoint.Snapshot) -> None:
        self.keeper.save(taken)


class Killed(NamedTuple):
    """What became of one run."""

    kills: int
    during_a_write: int  # of those, how many left a checkpoint that is not whole
    restarts_from: list[int]  # images


def run_with_kills(config: Config, shards: str, folder: Path, chance: random.Random, most: int, life: float) -> Killed:
    """Trains in `folder` to the end, killed at most `most` times, each within `life` seconds of its first step."""
    killed = Killed(0, 0, [])
    kills, torn, starts = 0, 0, []
    while True:
        found = runs.checkpoints(Folder(str(folder)))
        starts.append(runs.position_of(found[0]) if found else 0)
        seconds = chance.uniform(0, life) if kills < most else None
        if _train_in_a_fork(config, shards, folder, seconds):
            return killed._replace(kills=kills, during_a_write=torn, restarts_from=starts)
        kills += 1
        torn += len(runs.checkpoint_folders(Folder(str(folder)))) > len(runs.checkpoints(Folder(str(folder))))


def _train_in_a_fork(config: Config, shards: str, folder: Path, seconds: float | None) -> bool:
    """Whether the run reached its end, rather than be killed `seconds` after it was ready to train."""
    ready, said = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            session = KeptSession(folder, config)
            os.write(said, b"1")
            work(config, shards, Place(), session)
            session.keeper.wait()
            status = 0
        finally:
            os._exit(status)
    os.close(said)
    os.read(ready, 1)
    os.close(ready)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the training process ended with status {os.WEXITSTATUS(status)}")
    return os.WIFEXITED(status)


def final_state(folder: Path) -> dict[str, Any]:
    newest = runs.checkpoints(Folder(str(folder)))[0]
    state: dict[str, Any] = torch.load(f"{newest}/{checkpoint.STATE}", weights_only=True)
    return state
