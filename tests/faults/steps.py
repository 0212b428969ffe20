"""Faults from inside a worker, and a log of every step: which images each rank showed, where, and when.

The driver hands `logged_worker` to Ray Train in place of train.py's own worker, which it calls.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LOG = "RAYGAN_FAULTS_LOG"  # a folder
INSIDE = "RAYGAN_FAULTS_INSIDE"  # the fault that a worker inflicts on itself: "write" or "evaluation"


class Step(NamedTuple):
    """One rank's share of one discriminator update."""

    time: float  # seconds since 1970
    position: int
    rank: int
    world_size: int
    process: int
    images: list[str]  # a digest of each, in order


def logged_worker(job: dict[str, Any]) -> int | str:
    from pipeline import checkpoint, train
    from pipeline.adversarial import Adversaries
    from pipeline.evaluation.scores import Evaluator

    folder = Path(os.environ[LOG])
    (folder / f"{os.getpid()}.called").write_text(str(time.time()))
    step = Adversaries.step

    def logged(self: Adversaries, real: Any, position: int, *rest: Any) -> None:
        images = [hashlib.blake2b(image.numpy().tobytes(), digest_size=6).hexdigest() for image in real]
        line = Step(time.time(), position, self.place.rank, self.place.world_size, os.getpid(), images)
        with (folder / f"{os.getpid()}.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        step(self, real, position, *rest)

    Adversaries.step = logged  # type: ignore[method-assign]
    match os.environ.get(INSIDE):
        case "write":
            dies_once(folder, checkpoint, "_digest", after=1)  # the state is written by then, the header is not
        case "evaluation":
            dies_once(folder, Evaluator, "draw", after=0)
    return train._ray_worker(job)


def dies_once(folder: Path, owner: Any, name: str, after: int) -> None:
    """The process kills itself at the call of `name` after so many calls; the next process does not."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after and not (folder / "died").exists():
            (folder / "died").write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, dying)


def called(folder: Path, process: int) -> float:
    """When Ray Train called our worker in that process (seconds since 1970)."""
    return float((folder / f"{process}.called").read_text())


def read(folder: Path) -> list[Step]:
    """All steps in the order of time; a line that a kill cut short is left out."""
    steps = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            if line.endswith("]]"):
                steps.append(Step(*json.loads(line)))
    return sorted(steps)
