"""What one trial does, in the process that Ray Tune gives it.

A trial of one worker trains in this very process, which Tune keeps warm for the next trial. A trial of several is a
Ray Train run of its own, driven from here; this process then needs no CPU. Either way the run goes on from its newest
checkpoint if it has one, and ends by itself: when the search does not want it any more it is told so, as a run is on
Ctrl-C, because a trial that Tune stops is killed with its writes undelivered.
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

if TYPE_CHECKING:
    from raygan.pipeline.distributed import DistributedContext

CLOSE_SECONDS = 20.0  # for MLflow to take what the trial wrote; what is left then, the driver delivers later
THREAD_SECONDS = "60"  # that Tune waits for a trial's function to end before it takes another process for the next

_cached: set[str] = set()  # data sets whose real statistics this process has seen in the cache


class Ended(TypedDict):
    """A trial's last report."""

    ended: Literal["finished", "stopped", "failed"]
    reason: str


def run_trial(given: dict[str, Any], *, folder: str, score: Score, monitor: Any) -> Ended:
    """Tune's function. `given`: the trial's name; its run in `folder` says all else.

    An error that would come again ends the trial as failed; any other is raised, so that Tune tries once more.
    """
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = THREAD_SECONDS
    run = runs.load(folder, given["name"])
    report = Report(run.name, score, monitor)
    if not report.wanted():  # asked before the imports, so that a search which is stopped ends at once
        return Ended(ended="stopped", reason="")
    import torch

    from raygan.pipeline.training import loop as worker  # noqa: F401  (what a cold process has to import is no cost of its first trial)

    report.start_clock()
    try:
        reached = (
            _train_in_this_process(run, report) if int(run.launch.workers) == 1 else _train_with_ray_train(run, report)
        )
    except (RunError, UserError, torch.OutOfMemoryError) as e:
        return Ended(ended="failed", reason=" ".join(str(e).split()))
    return Ended(ended="finished" if reached >= run.config.images else "stopped", reason="")


class Report:
    """From a trial to Tune, which hears of scores, and to the monitor, which hears of everything."""

    def __init__(self, trial: str, score: Score, monitor: Any) -> None:
        self._trial, self._monitor = trial, monitor
        self._score = ("score/kid",) if score == "kid" else ("score/fid", "score/fd_")
        self.start_clock()

    def wanted(self) -> bool:
        """Says that the trial is there; returns whether the driver still wants it."""
        return not self._post(TrialEvent(self._trial, Event(0, {})))

    def start_clock(self) -> None:
        """What happens from now on is the trial's cost."""
        self._start = time.monotonic()

    def __call__(self, event: Event) -> bool:
        """Passes it on; returns whether the driver wants the trial to stop."""
        import ray.tune

        scores = [value for name, value in event.metrics.items() if name.startswith(self._score)]
        if scores:
            # Tune answers when the driver has judged it, so what the monitor answers next is its decision.
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

    from raygan.pipeline.distributed import DistributedContext
    from raygan.pipeline.launch.session import ClusterSession
    from raygan.pipeline.training.loop import work

    torch.set_num_threads(run.launch.cpus_per_worker)
    session = ClusterSession(run, True, report)
    try:
        place = DistributedContext(device=torch.device("cuda" if run.launch.gpu else "cpu"))
        _cache_real_statistics(run, place)
        reached = work(run.config, run.launch.shards, place, session, run.launch.cache, **run.launch.copies)
        session.finish()
        return reached
    finally:
        session.close(CLOSE_SECONDS)
        if run.launch.gpu:
            torch.cuda.empty_cache()


def _cache_real_statistics(run: Run, place: DistributedContext) -> None:
    """Leaves them in the cache before any trial needs them: one of those that begin together computes them for all."""
    from raygan.pipeline.evaluation.cache import user_folder
    from raygan.pipeline.training.loop import evaluator

    if run.data in _cached:
        return
    (folder := user_folder()).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "real-statistics.lock"):
        evaluator(run.config, run.config.evaluation.count, run.launch.shards, place, run.launch.copies).real()
    _cached.add(run.data)
