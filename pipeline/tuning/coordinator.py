"""Hands out trials, takes their results, and keeps the study and MLflow up to date. It runs in the search's driver."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from optuna.distributions import BaseDistribution, IntDistribution

from raygan.pipeline import tracking
from raygan.pipeline.config import Config
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.training.runs import Run
from raygan.pipeline.tuning import ranking, recording
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.space import Values, grid_points, known_points, overlay
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions_of
from raygan.sharding.errors import UserError

FINAL_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "trial": IntDistribution(0, 10**9),
    "seed": IntDistribution(1, 10**9),
}

Ending: TypeAlias = Literal["finished", "stopped", "failed"]
MLFLOW_STATUS: dict[Ending, tracking.Status] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class Job(NamedTuple):
    """A trial that is handed out: its number in a study, and the values that make its configuration."""

    name: str
    study: Study
    number: int
    values: Values
    seed: int


@dataclass
class TrialStatus:
    """The state of a trial, as it is shown."""

    name: str
    values: Values
    state: Literal["running", "finished", "stopped", "failed", "interrupted"] = "running"
    position: int = 0  # images
    images_per_second: float = 0.0
    score: float | None = None
    rung: int = 0  # rungs passed


@dataclass
class _Running:
    job: Job
    run: Run
    status: TrialStatus
    cost: float  # of earlier attempts, in core- or GPU-seconds
    seconds: float = 0.0  # of this attempt
    told_to_stop: bool = False


class Coordinator:
    """The state of a search, between Ray Tune, which runs its trials, and the study, which remembers them."""

    def __init__(self, search: Search, stop_one: Callable[[str], Any], stopping: Callable[[], bool]) -> None:
        """`stop_one` tells a trial, by name, to end. `stopping` says whether the user is stopping the whole search."""
        self.search, self._stop_one, self._stopping = search, stop_one, stopping
        config, options = search.base, search.options
        self.study = Study(
            search.journal,
            "search",
            distributions_of(search.space, config),
            search.count,
            sampler="optuna" if options.search == "optuna" else "random",
            seed=config.seed,
            rungs=search.rungs,
            costs=options.cost,
        )
        gridded = options.search == "grid"
        points = grid_points(search.space, config, options.steps) if gridded else known_points(search.space, config)
        self.study.enqueue(points)
        self.finals: Study | None = None
        self.exhausted = False  # no further trial will be handed out
        self.messages: list[str] = []  # for the user, in order
        self.statuses: dict[str, TrialStatus] = {}
        for record in self.study.records():
            status = self._status_of(name_of(record.number), record.values, record)
            if status.state == "running":
                status.state = "interrupted"  # until it is handed out again
            self.statuses[status.name] = status
        self._running: dict[str, _Running] = {}
        self._postponed: Job | None = None
        self._mlflow = ThreadPoolExecutor(1, "mlflow")  # so that no trial waits for a server that is away

    # ---- called by Ray Tune

    def next_trial(self) -> str | None:
        """The name of a trial whose run can start. None: not now or, if the coordinator is `exhausted`, never."""
        while not self._stopping():
            job, self._postponed = self._postponed or self._new_job(), None
            if job is None:
                self.exhausted = self.finals is not None
                return None
            try:
                config = self._config(job)
            except UserError as e:  # values that are valid each, but not together
                job.study.end(job.number, "failed", str(e))
                self.statuses[job.name] = TrialStatus(job.name, job.values, "failed")
                continue
            try:
                run = recording.begin_trial(self.search, job.name, config)
            except UserError as e:  # without a run its metrics would be lost, so it waits for MLflow
                self._postponed = job
                self._say(f"trial {job.name} waits: {e}")
                return None
            record = job.study[job.number]
            status = self.statuses[job.name] = self._status_of(job.name, job.values, record)
            self._running[job.name] = _Running(job, run, status, record.cost)
            return job.name
        self.exhausted = True
        return None

    def on_result(self, name: str, result: Mapping[str, Any]) -> None:
        """Adds a score that a trial reported. Its last report has none: `on_end` takes that."""
        running = self._running.get(name)
        if running is None or "score" not in result:
            return
        devices = self.search.devices
        if result["seconds"] < running.seconds:  # it was started again
            running.cost += running.seconds * devices
        running.seconds = result["seconds"]
        running.status.score = result["score"]
        running.status.rung = self.search.rungs.passed(result["position"]) if self.search.rungs else 0
        job, cost = running.job, running.cost + running.seconds * devices
        if job.study.report(job.number, result["position"], result["score"], cost):
            running.told_to_stop = True
            self._stop_one(name)

    def on_end(self, name: str, ending: Ending, reason: str) -> None:
        """Ends a trial in the study and in MLflow. One that the user stopped stays in the study, to be resumed."""
        running = self._running.pop(name)
        record = running.job.study[running.job.number]
        if ending == "finished" and record.position < self.search.config.images:
            ending, reason = "failed", "its last evaluation failed"
        if ending == "stopped" and not running.told_to_stop:
            self._interrupt(running)
            return
        running.job.study.end(running.job.number, ending, reason)
        running.status.state = ending
        self._end_run(running.run, MLFLOW_STATUS[ending], running.job.study[running.job.number].reason)
        if ending == "failed":
            self._say(f"trial {name} failed: {reason}")

    # ---- called by the driver

    @property
    def total(self) -> int:
        """Number of trials, with the finals once they are known."""
        return self.study.count + (self.finals.count if self.finals else 0)

    def on_event(self, trial: str, event: Event) -> None:
        """Updates a trial's status by an event from its monitor."""
        if (status := self.statuses.get(trial)) is None:
            return
        status.position = max(status.position, event.position)
        status.images_per_second = event.metrics.get("speed/images_per_second", status.images_per_second)
        if event.message:
            self._say(f"trial {trial}: {event.message}")

    def sync_status(self, study: Study) -> None:
        """Ends the MLflow runs of trials that have ended in the study: a killed search may have left them open."""
        for record in study.records():
            if record.state != "running":
                name = self._job(study, record).name
                recording.sync_status(self.search, name, MLFLOW_STATUS[record.state], record.reason)

    def close(self) -> None:
        """Ends the MLflow runs of all trials that are running, as interrupted."""
        while self._running:
            self._interrupt(self._running.popitem()[1])
        self._mlflow.shutdown()

    # ---- private

    def _new_job(self) -> Job | None:
        if record := self.study.next_trial():
            return self._job(self.study, record)
        if self.study.running:
            return None
        if self.finals is None:
            self.finals = open_finals(self.search, self.study)
            self.sync_status(self.finals)
        record = self.finals.next_trial()
        return self._job(self.finals, record) if record else None

    def _job(self, study: Study, record: TrialRecord) -> Job:
        seed = self.search.config.seed
        if study is self.study:
            return Job(name_of(record.number), study, record.number, record.values, seed)
        first, seed = record.values["trial"], seed + record.values["seed"]
        return Job(name_of(first, seed), study, record.number, self.study[first].values, seed)

    def _config(self, job: Job) -> Config:
        return overlay(self.search.base, job.values).model_copy(update={"seed": job.seed})

    def _status_of(self, name: str, values: Values, record: TrialRecord) -> TrialStatus:
        rung = self.search.rungs.passed(record.position) if self.search.rungs else 0
        return TrialStatus(name, values, record.state, record.position, score=record.score, rung=rung)

    def _interrupt(self, running: _Running) -> None:
        running.status.state = "interrupted"
        self._end_run(running.run, "KILLED", f"the search was stopped; {self.search.how_to_resume()}")

    def _end_run(self, run: Run, status: tracking.Status, reason: str) -> None:
        self._mlflow.submit(tracking.end_run, run.tracking, run.run_id, status, reason, run.spool)

    def _say(self, message: str) -> None:
        if self.messages[-1:] != [message]:
            self.messages.append(message)


def name_of(trial: int, seed: int | None = None) -> str:
    """The name of a trial and of its run; `seed` is that of a final."""
    return f"{trial:04d}" if seed is None else f"{trial:04d}-seed{seed}"


def open_finals(search: Search, study: Study) -> Study:
    """The study of the finals: the best trials again, with other seeds."""
    best = ranking.finished(study.records())[: search.options.finalists]
    points = [{"trial": record.number, "seed": seed} for record in best for seed in range(1, search.options.seeds)]
    finals = Study(search.journal, "finals", FINAL_DISTRIBUTIONS, len(points))
    finals.enqueue(points)
    return finals
