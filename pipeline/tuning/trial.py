"""What one trial does, in the process that Ray Tune gives it.

A trial of one worker trains in this process, which Tune keeps for the next trial. A trial of several workers is a
Ray Train run, which this process starts; it then needs no CPU itself. Either way the run continues from its newest
checkpoint if it has one. To stop a trial, the search asks it to end, as Ctrl-C asks a run: a trial that Tune stops is
killed, and what it had not yet written to MLflow is lost.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from filelock import FileLock

from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.training import runs
from raygan.pipeline.training.runs import Run
from raygan.pipeline.tuning.monitor import TrialEvent
from raygan.pipeline.tuning.search import Score
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.locations import cache_folder

if TYPE_CHECKING:
    from raygan.pipeline.data.dataset import DataSet
    from raygan.pipeline.distributed import DistributedContext

CLOSE_SECONDS = 20.0  # for MLflow to take what the trial wrote; the driver delivers the rest later
THREAD_SECONDS = "60"  # that Tune waits for a trial's function to end, before it gives the next trial a new process

_cached: set[str] = set()  # digests of the data sets whose statistics are known to be cached


class Ended(TypedDict):
    """A trial's last report."""

    ended: Literal["finished", "stopped", "failed"]
    reason: str


def run_trial(given: dict[str, Any], *, folder: str, score: Score, monitor: Any) -> Ended:
    """The function that Tune runs. `given`: the name of the trial; its run in `folder` holds everything else.

    An error that would come again ends the trial as failed; any other is raised, so that Tune starts the trial again.
    """
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = THREAD_SECONDS
    run = runs.load(folder, given["name"])
    report = Report(run.name, score, monitor)
    if not report.wanted():  # asked before the imports, so that a search that is being stopped ends at once
        return Ended(ended="stopped", reason="")
    import torch

    from raygan.pipeline.training import loop  # noqa: F401  (what a cold process has to import is no cost of its first trial)

    report.start_clock()
    try:
        train = _train_in_this_process if int(run.launch.workers) == 1 else _train_with_ray_train
        reached = train(run, report)
    except (RunError, UserError, torch.OutOfMemoryError) as e:
        return Ended(ended="failed", reason=" ".join(str(e).split()))
    return Ended(ended="finished" if reached >= run.config.images else "stopped", reason="")


class Report:
    """Sends the scores of a trial to Tune, and all its events to the monitor."""

    def __init__(self, trial: str, score: Score, monitor: Any) -> None:
        self._trial, self._monitor = trial, monitor
        self._score = ("score/kid",) if score == "kid" else ("score/fid", "score/fd_")
        self.start_clock()

    def wanted(self) -> bool:
        """Sends an empty event; returns whether the driver still wants the trial."""
        return not self._post(TrialEvent(self._trial, Event(0, {})))

    def start_clock(self) -> None:
        """From now on, time counts as cost of the trial."""
        self._start = time.monotonic()

    def __call__(self, event: Event) -> bool:
        """Sends an event; returns whether the driver wants the trial to stop."""
        import ray.tune

        scores = [value for name, value in event.metrics.items() if name.startswith(self._score)]
        if scores:
            # This returns once the driver has decided about the score: the monitor's next answer is that decision.
            seconds = time.monotonic() - self._start
            ray.tune.report({"position": event.position, "score": scores[0], "seconds": seconds})
        return self._post(TrialEvent(self._trial, event))

    def _post(self, event: TrialEvent) -> bool:
        import ray

        return bool(ray.get(self._monitor.post.remote(event)))


def _train_with_ray_train(run: Run, report: Report) -> int:
    from raygan.pipeline.launch.trainer import fit

    return fit(run, report)


def _train_in_this_process(run: Run, report: Report) -> int:
    import torch

    from raygan.pipeline.data.dataset import DataSet
    from raygan.pipeline.distributed import DistributedContext
    from raygan.pipeline.launch.session import ClusterSession
    from raygan.pipeline.training import loop

    torch.set_num_threads(run.launch.cpus_per_worker)
    session = ClusterSession(run, True, report)
    try:
        context = DistributedContext(device=torch.device("cuda" if run.launch.gpu else "cpu"))
        data = DataSet.of(run.launch)
        _cache_real_statistics(run, data, context)
        reached = loop.train(run.config, data, context, session, run.launch.cache)
        session.finish()
        return reached
    finally:
        session.close(CLOSE_SECONDS)
        if run.launch.gpu:
            torch.cuda.empty_cache()


def _cache_real_statistics(run: Run, data: DataSet, context: DistributedContext) -> None:
    """Computes the statistics of the real images unless they are cached: only one of several trials does."""
    from raygan.pipeline.evaluation.scores import Evaluator

    if run.data in _cached:
        return
    (folder := cache_folder()).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "real-statistics.lock"):
        Evaluator.of_run(run.config, run.config.evaluation.count, data, context).real()
    _cached.add(run.data)
