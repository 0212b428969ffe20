"""Runs that faults are injected into, and the checks of what comes out of them."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from s3fs import S3FileSystem

from raygan.pipeline.config import Checkpoints, Config, Evaluation, Launch, smoke
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader
from raygan.pipeline.training import checkpoint, runs
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder
from tests.faults import steps
from tests.faults.kills import KeptSession

PATIENCE = 200.0  # seconds
BETWEEN = 2000  # images from one fault to the next, so that they come between two checkpoints
COUNTS = (10, 10, 10, 10, 10, 10, 4)  # images in the shards of the data set, 32 pixels high and wide
TRAINING = smoke().model_copy(
    update={
        "images": 16_384,
        "log_every": 256,
        "evaluation": Evaluation(every=1024, count=32),
        "checkpoints": Checkpoints(every=512),
    }
)


class Fault(NamedTuple):
    """A fault, as the table names it, and when it came (seconds since 1970)."""

    name: str
    time: float


class Harness(ABC):
    """One run, and all that is done to it."""

    def __init__(self, shards: Path, folder: Path, config: Config = TRAINING, **launch: Any) -> None:
        self.config, self.folder = config, folder
        self.log = folder / "steps"
        self.log.mkdir(parents=True)
        (folder / "output.txt").touch()
        settings = {"shards": str(shards), "runs": str(folder / "runs"), "name": "run", "workers": "2"}
        self.launch = Launch(**settings | launch)
        self.store: dict[str, Any] | None = None  # settings of the object store that the runs are in
        self.faults: list[Fault] = []

    @property
    def run_folder(self) -> Folder:
        store = None if self.store is None else S3FileSystem(**self.store)
        return Folder(self.launch.runs, store) / self.launch.name

    @property
    def output(self) -> str:
        """What the driver printed, for its user."""
        return (self.folder / "output.txt").read_text()

    def newest(self) -> Folder:
        return runs.checkpoints(self.run_folder)[0]

    def record(self, fault: str, at: float | None = None) -> None:
        """Notes that the fault came, now or at that time."""
        self.faults.append(Fault(fault, at or time.time()))

    @abstractmethod
    def running(self) -> bool:
        """Whether the process that drives the run is alive."""

    def wait_until(self, what: Callable[[], Any]) -> Any:
        """Waits until `what` returns something true, and returns it."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := what()):
            if time.monotonic() > deadline or not self.running():
                raise TimeoutError(f"it did not happen after {self.faults}; the driver's output:\n{self.output}")
            time.sleep(0.3)
        return answer

    def continues(self, images: int = BETWEEN) -> None:
        """Waits until a process that was not there at the newest fault has shown so many images."""
        at = self.faults[-1].time if self.faults else 0.0
        known = {step.process for step in steps.read(self.log) if step.time <= at}

        def shown() -> bool:
            fresh = [step.position for step in steps.read(self.log) if step.process not in known]
            return bool(fresh) and fresh[-1] - fresh[0] >= images

        self.wait_until(shown)

    def advances(self, images: int) -> None:
        """Waits until the same process has shown so many more images."""
        read = steps.read(self.log)
        goal = (read[-1].position if read else 0) + images
        self.wait_until(lambda: (read := steps.read(self.log)) and read[-1].position >= goal)

    def ends(self, status: int = 0) -> None:
        assert self.wait() == status, self.output

    @abstractmethod
    def wait(self) -> int:
        """Waits for the end of the process that drives the run, and returns its exit status."""


class RayHarness(Harness):
    """A run with a driver of its own on the Ray cluster at `address`."""

    def __init__(self, address: str, shards: Path, folder: Path, **launch: Any) -> None:
        super().__init__(shards, folder, **launch)
        self.address = address
        self.driver: subprocess.Popen[bytes] | None = None

    def start(self, resume: bool = False) -> None:
        command = [sys.executable, "-m", "tests.faults.driver", self.address]
        command += [self.config.model_dump_json(), self.launch.model_dump_json(), *["resume"] * resume]
        with (self.folder / "output.txt").open("ab") as output:
            environment = os.environ | {steps.LOG: str(self.log)}
            if self.store is not None:
                environment |= {"FSSPEC_S3": json.dumps(self.store), "HOME": str(self.folder)}
            self.driver = subprocess.Popen(command, stderr=output, stdout=output, env=environment)

    def running(self) -> bool:
        return self.driver is not None and self.driver.poll() is None

    def wait(self) -> int:
        assert self.driver is not None
        return self.driver.wait(PATIENCE)

    def signal_driver(self, number: int) -> None:
        assert self.driver is not None
        self.driver.send_signal(number)

    def process(self, rank: int) -> int:
        """The newest process of a rank."""
        return next(step.process for step in reversed(steps.read(self.log)) if step.rank == rank)

    def signal_workers(self, fault: str, number: int, *ranks: int) -> None:
        for process in [self.process(rank) for rank in ranks]:
            os.kill(process, number)
        self.record(fault)

    def kill_inside(self, fault: str, mark: str) -> None:
        """Has a worker kill itself at the next `write` or `evaluation`."""
        (self.log / mark).touch()
        died = self.log / f"{mark}.died"
        self.wait_until(lambda: died.exists() and died.read_text())
        self.record(fault, float(died.read_text()))

    def kill_controller(self, fault: str) -> None:
        """That of the only run on our nodes."""
        ours = psutil.Process().children(recursive=True)
        (controller,) = [process for process in ours if "ray::TrainController" in " ".join(process.cmdline())]
        controller.kill()
        self.record(fault)


class SoloHarness(Harness):
    """The loop and the checkpoint manager in a forked process, without Ray, with a pause after each step."""

    def __init__(self, shards: Path, folder: Path, pause: float = 0.0, **launch: Any) -> None:
        super().__init__(shards, folder, **launch)
        self._pause, self._child = pause, 0

    def start(self) -> None:
        self._child = os.fork()
        if self._child:
            return
        status = 1
        try:
            torch.set_num_threads(1)
            steps.instrument(self.log, self._pause)
            session = KeptSession(self.run_folder, self.config, self.folder / "output.txt")
            session.train(self.launch.shards)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def running(self) -> bool:
        return os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])

    def kill(self) -> None:
        os.kill(self._child, signal.SIGKILL)
        self.wait()


class Outcome:
    """Which promises the steps of one run, and its final state, kept."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.steps = steps.read(harness.log)
        self.batches = self._shown()
        self._images = Manifest.load(harness.launch.shards).samples("train")
        self.state = final_state(harness.newest())

    def _shown(self) -> list[list[str]]:
        """The global batches that the final state was trained on: of each position, those shown last."""
        last: dict[int, dict[int, steps.Step]] = {}
        for step in self.steps:
            others = last.setdefault(step.position, {})
            if any(other.world_size != step.world_size for other in others.values()):
                others.clear()
            others[step.rank] = step
        whole = [last[position] for position in sorted(last)]
        assert [len(ranks) for ranks in whole] == [next(iter(ranks.values())).world_size for ranks in whole]
        return [[image for rank in sorted(ranks) for image in ranks[rank].images] for ranks in whole]

    def steps_lost(self, fault: Fault) -> int:
        """Discriminator updates made a second time between this fault and the next one.

        The first time may have been after the fault: workers may outlive it for a while, and continue.
        """
        end = self._next(fault)
        made, lost = set[int](), 0
        for step in (step for step in self.steps if step.rank == 0):
            lost += step.position in made and fault.time < step.time <= end
            made.add(step.position)
        return lost

    def _next(self, fault: Fault) -> float:
        """When the next fault came."""
        return min((other.time for other in self.harness.faults if other.time > fault.time), default=float("inf"))

    def seconds_away(self, fault: Fault) -> tuple[float, float]:
        """Seconds from the fault to the first step of a new process, and those of them since our worker was called.

        Both are 0 if there is no such process.
        """
        known = {step.process for step in self.steps if step.time <= fault.time}
        first = next((step for step in self.steps if step.process not in known), None)
        if first is None or first.time > self._next(fault):
            return 0.0, 0.0
        return first.time - fault.time, first.time - steps.called(self.harness.log, first.process)

    def always_as_many(self) -> bool:
        """Whether the number of workers never changed."""
        return len({step.world_size for step in self.steps}) == 1

    def batches_as_ordered(self) -> bool:
        """Promise 2: the global batches are those of one reader that nothing happens to."""
        config = self.harness.config
        data = DataSet.of(self.harness.launch)
        with Reader(data, "train", config.batch, seed=config.seed, flip=config.flip, window=config.window) as reader:
            expected = [steps.digests(batch.images) for batch in islice(reader, len(self.batches))]
        return self.batches == expected

    def every_epoch_whole(self) -> bool:
        """Promise 1: no image is left out or shown twice in an epoch."""
        shown = [image for batch in self.batches for image in batch]
        epochs = [shown[first : first + self._images] for first in range(0, len(shown), self._images)]
        return all(len(set(epoch)) == len(epoch) for epoch in epochs)  # the last may have been stopped


def final_state(folder: Folder) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(folder.read(checkpoint.STATE)), weights_only=True)
    return state


def equal(one: Any, other: Any) -> bool:
    """Whether two states are the same to the last bit."""
    try:
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    except AssertionError:
        return False
    return True


@contextmanager
def nodes(*cpus: int) -> Iterator[Any]:
    """A Ray cluster of real raylets on this machine; the first is the head."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(Path.cwd())
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], "include_dashboard": True})
    for count in cpus[1:]:
        cluster.add_node(num_cpus=count)
    try:
        yield cluster
    finally:
        cluster.shutdown()
