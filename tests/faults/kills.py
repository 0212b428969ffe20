"""The loop and its checkpoint manager in a forked process, without Ray, and SIGKILL at random instants."""

import os
import random
import signal
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from raygan.pipeline.config import Config
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.training import loop, runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.checkpoint_manager import CheckpointManager
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from tests.pipeline.training.sessions import PlainSession


class KeptSession(PlainSession):
    """Checkpoints as on a cluster, in the background; warnings go to a file, and all else is lost with the process."""

    def __init__(self, run_folder: Folder, config: Config, output: Path | None = None) -> None:
        super().__init__(Path())
        self._run, self._config, self._output = run_folder, config, output
        self._checkpoints = CheckpointManager(run_folder, config.checkpoints.keep)

    def checkpoints(self) -> Sequence[Folder]:
        return runs.checkpoints(self._run)

    def save(self, taken: Snapshot) -> None:
        try:
            self._checkpoints.save(taken)
        except RunError as e:
            self.warn(str(e), taken.header.position)

    def warn(self, message: str, position: int) -> None:
        if self._output is not None:
            with self._output.open("a") as output:
                output.write(f"{message}\n")

    def train(self, shards: str) -> None:
        """To the end, with everything written."""
        loop.train(self._config, DataSet.open(shards), DistributedContext(), self)
        self._checkpoints.wait()


class Killed(NamedTuple):
    """What became of one run."""

    kills: int
    during_a_write: int  # of those, how many left a checkpoint that is not whole


def run_with_kills(
    config: Config, shards: str, folder: Folder, chance: random.Random, most: int, life: float
) -> Killed:
    """Trains in `folder` to the end, killed at most `most` times, each within `life` seconds of its process' start."""
    kills = torn = 0
    while True:
        seconds = chance.uniform(0, life) if kills < most else None
        if _train_in_a_fork(config, shards, folder, seconds):
            return Killed(kills, torn)
        kills += 1
        torn += len(runs.checkpoint_folders(folder)) > len(runs.checkpoints(folder))


def _train_in_a_fork(config: Config, shards: str, folder: Folder, seconds: float | None) -> bool:
    """Whether the run reached its end, rather than be killed after so many seconds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            KeptSession(folder, config).train(shards)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the training process ended with status {status}")
    return status == 0
