"""Where faults are played: Ray nodes on this machine, a driver that may be killed, and what each run left to judge."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from pipeline import checkpoint, runs
from pipeline.config import Checkpoints, Config, Evaluation, Launch, smoke
from sharding.manifest import Manifest
from sharding.stores import Folder
from tests.faults import steps

PATIENCE = 240.0  # seconds
COUNTS = (10, 10, 10, 10, 10, 10, 4)  # images in the shards of the data set, 32 pixels high and wide
IMAGES = 6144
TRAINING = smoke().model_copy(
    update={
        "images": IMAGES,
        "log_every": 256,
        "evaluation": Evaluation(every=2048, count=32),
        "checkpoints": Checkpoints(every=512),
    }
)


class Stage:
    """One run on `address`, and all that is done to it."""

    def __init__(self, address: str, shards: Path, folder: Path, config: Config = TRAINING, **launch: Any) -> None:
        self.address, self.config, self.folder = address, config, folder
        self.log = folder / "steps"
        self.log.mkdir(parents=True)
        self.launch = Launch(
            **{"shards": str(shards), "runs": str(folder / "runs"), "name": "run", "workers": "2"} | launch
        )
        self.environment: dict[str, str] = {}
        self.driver: subprocess.Popen[bytes] | None = None
        self.fault_at = 0.0

    @property
    def run_folder(self) -> Folder:
        return Folder(self.launch.runs) / self.launch.name

    def start(self, resume: bool = False) -> None:
        command = [sys.executable, "-m", "tests.faults.driver", self.address]
        command += [self.config.model_dump_json(), self.launch.model_dump_json(), *["resume"] * resume]
        with (self.folder / "said.txt").open("ab") as said:
            environment = os.environ | self.environment | {steps.LOG: str(self.log)}
            self.driver = subprocess.Popen(command, stderr=said, stdout=said, env=environment)

    def end(self) -> int:
        """Waits for the driver; its exit status."""
        assert self.driver is not None
        return self.driver.wait(PATIENCE)

    @property
    def said(self) -> str:
        return (self.folder / "said.txt").read_text()

    def until(self, what: Callable[[], Any]) -> Any:
        """Waits until it is so, and the time of the fault is then."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := what()):
            if time.monotonic() > deadline or (self.driver is not None and self.driver.poll() is not None):
                raise TimeoutError(f"it did not come to the fault; the driver said:\n{self.said}")
            time.sleep(0.1)
        self.fault_at = time.time()
        return answer

    def shown(self) -> int:
        """The newest position that any rank has trained on."""
        return max((step.position for step in steps.read(self.log)), default=0)

    def has_shown(self, position: int) -> None:
        self.until(lambda: self.shown() >= position)

    def process(self, rank: int) -> int:
        """The newest process of a rank."""
        return next(step.process for step in reversed(steps.read(self.log)) if step.rank == rank)

    def strike(self, number: int, *ranks: int) -> None:
        for process in [self.process(rank) for rank in ranks]:
            os.kill(process, number)
        self.fault_at = time.time()

    def kill_controller(self) -> None:
        (controller,) = [one for one in psutil.process_iter(["cmdline"]) if self._controls(one)]
        controller.kill()
        self.fault_at = time.time()

    def _controls(self, process: psutil.Process) -> bool:
        if "ray::TrainController" not in " ".join(process.info["cmdline"] or ()):
            return False
        try:
            return process.environ().get(steps.LOG) == str(self.log)
        except psutil.Error:
            return False

    def newest(self) -> Folder:
        return runs.checkpoints(self.run_folder)[0]


class Verdict:
    """What the steps of one run, and its final state, say of the promises."""

    def __init__(self, stage: Stage) -> None:
        self.batch = stage.config.batch
        self.steps = steps.read(stage.log)
        self.batches = self._shown()
        self._images = Manifest.load(stage.launch.shards).samples("train")
        self.state = final_state(stage.newest())

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

    def steps_lost(self) -> int:
        """Discriminator updates that were made more than once."""
        leading = [step.position for step in self.steps if step.rank == 0]
        return len(leading) - len(set(leading))

    def seconds_away(self, stage: Stage) -> tuple[float, float]:
        """From the fault to the first step of a process that had made none before it, and our own code's part of it.

        Both are 0 if there is no such process.
        """
        known = {step.process for step in self.steps if step.time <= stage.fault_at}
        first = next((step for step in self.steps if step.process not in known), None)
        if first is None:
            return 0.0, 0.0
        return first.time - stage.fault_at, first.time - steps.called(stage.log, first.process)

    def every_epoch_whole(self) -> bool:
        """Promise 1: no image is left out or shown twice in an epoch."""
        shown = [image for batch in self.batches for image in batch]
        epochs = [shown[first : first + self._images] for first in range(0, len(shown), self._images)]
        return all(len(set(epoch)) == len(epoch) for epoch in epochs) and len(shown) % self._images == 0


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


def stop(driver: "subprocess.Popen[bytes] | None") -> None:
    if driver is not None and driver.poll() is None:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
