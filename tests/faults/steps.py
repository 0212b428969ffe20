"""A log of every step: which images each rank showed, where, and when; and faults from inside a process.

The driver hands `logged_worker` to Ray Train in place of the worker of launch/worker.py, which it calls.
"""

import contextlib
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

LOG = "RAYGAN_FAULTS_LOG"  # a folder


class Step(NamedTuple):
    """One rank's share of one discriminator update."""

    time: float  # seconds since 1970
    position: int
    rank: int
    world_size: int
    process: int
    images: list[str]  # a digest of each, in order


def logged_worker(job: dict[str, Any]) -> int | str:
    from raygan.pipeline.launch import worker

    instrument(Path(os.environ[LOG]))
    return worker.ray_worker(job)


def instrument(folder: Path, pause: float = 0.0) -> None:
    """Has this process log its steps in `folder`, pause after each, and kill itself where a file asks for it."""
    from raygan.pipeline.evaluation.scores import Evaluator
    from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
    from raygan.pipeline.training import checkpoint

    (folder / f"{os.getpid()}.called").write_text(str(time.time()))
    step = AdversarialObjective.step

    def logged(self: AdversarialObjective, real: Any, position: int, *rest: Any) -> None:
        line = Step(time.time(), position, self.context.rank, self.context.world_size, os.getpid(), digests(real))
        with (folder / f"{os.getpid()}.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        step(self, real, position, *rest)
        time.sleep(pause)

    AdversarialObjective.step = logged  # type: ignore[assignment, method-assign]
    _kill_where_asked(folder / "write", checkpoint, "_digest")  # the state is written by then, the header is not
    _kill_where_asked(folder / "evaluation", Evaluator, "draw")


def _kill_where_asked(mark: Path, owner: Any, name: str) -> None:
    """The first process that calls `name` once there is a file `mark` kills itself there."""
    original: Callable[..., Any] = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        with contextlib.suppress(FileNotFoundError):
            mark.unlink()
            mark.with_suffix(".died").write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, dying)


def digests(images: Any) -> list[str]:
    """Of uint8 [n, 3, size, size]."""
    return [hashlib.blake2b(image.numpy().tobytes(), digest_size=6).hexdigest() for image in images]


def called(folder: Path, process: int) -> float:
    """When our worker was called in that process (seconds since 1970)."""
    return float((folder / f"{process}.called").read_text())


def read(folder: Path) -> list[Step]:
    """All steps in the order of time; a line that a kill cut short is left out."""
    steps = []
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            if line.endswith("]]"):
                steps.append(Step(*json.loads(line)))
    return sorted(steps)
