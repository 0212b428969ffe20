"""Hands out trials, hears what comes of them, and keeps the study and MLflow true. It lives in the search's driver."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from optuna.distributions import BaseDistribution, IntDistribution

from raygan.pipeline import tracking
from raygan.pipeline.config import Config
from raygan.pipeline.training.runs import Run
from raygan.pipeline.tuning import ranking, recording
from raygan.pipeline.tuning.monitor import TrialEvent
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.space import Values, grid_points, known_points, overlay
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions_of
from raygan.sharding.errors import UserError

FINAL_DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "trial": IntDistribution(0, 10**9),
    "seed": IntDistribution(1, 10**9),
}

Ending: TypeAlias = Literal["finished", "stopped", "failed"]
STATUS: dict[Ending, tracking.Status] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class Job(NamedTuple):
    """A trial that is handed out: its place in a study, and the values that make its configuration."""

    name: str
    study: Study
    number: int
    values: Values
    seed: int


@dataclass
class TrialStatus:
    """How a trial stands, to be shown."""

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
    cost: float  # of earlier attempts, in seconds of all its parts
    seconds: float = 0.0  # of this attempt
    unwanted: bool = False


class Coordinator:
    """`stop_one` tells a trial to end; `stopping` says whether the user wants the whole search to."""

    def __init__(self, search: Search, stop_one: Callable[[str], Any], stopping: Callable[[], bool]) -> None:
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
        self.over = False  # nothing more will be handed out
        self.words: list[str] = []  # for the user, in order
        self.statuses: dict[str, TrialStatus] = {}
        for record in self.study.records():
            status = self._status_of(name_of(record.number), record.values, record)
            if status.state == "running":
                status.state = "interrupted"  # until it is handed out again
            self.statuses[status.name] = status
        self._running: dict[str, _Running] = {}
        self._postponed: Job | None = None
        self._mlflow = ThreadPoolExecutor(1, "mlflow")  # so that a server which is away holds no trial up

    # ---- what Ray Tune asks

    def next(self) -> str | None:
        """The name of a trial whose run is ready to start. None: not now, or, once it is `over`, never."""
        while not self._stopping():
            job, self._postponed = self._postponed or self._new_job(), None
            if job is None:
                self.over = self.finals is not None
                return None
            try:
                config = self._config(job)
            except UserError as e:  # values that are sound each, but not together
                job.study.end(job.number, "failed", str(e))
                self.statuses[job.name] = TrialStatus(job.name, job.values, "failed")
                continue
            try:
                run = recording.begin_trial(self.search, job.name, config)
            except UserError as e:  # without a run what it does would be lost, so it waits for MLflow
                self._postponed = job
                self._say(f"trial {job.name} waits: {e}")
                return None
            record = job.study[job.number]
            status = self.statuses[job.name] = self._status_of(job.name, job.values, record)
            self._running[job.name] = _Running(job, run, status, record.cost)
            return job.name
        self.over = True
        return None

    def result(self, name: str, result: Mapping[str, Any]) -> None:
        """A trial reports a score, or its end, of which `ended` hears more."""
        running = self._running.get(name)
        if running is None or "score" not in result:
            return
        parts = self.search.parts
        if result["seconds"] < running.seconds:  # it was started again
            running.cost += running.seconds * parts
        running.seconds = result["seconds"]
        running.status.score = result["score"]
        running.status.rung = self.search.rungs.passed(result["position"]) if self.search.rungs else 0
        job, cost = running.job, running.cost + running.seconds * parts
        if job.study.report(job.number, result["position"], result["score"], cost):
            running.unwanted = True
            self._stop_one(name)

    def ended(self, name: str, ending: Ending, reason: str) -> None:
        """A trial's last words."""
        running = self._running.pop(name)
        record = running.job.study[running.job.number]
        if ending == "finished" and record.position < self.search.config.images:
            ending, reason = "failed", "its last evaluation failed"
        if ending == "stopped" and not running.unwanted:
            self._interrupted(running)
            return
        running.job.study.end(running.job.number, ending, reason)
        running.status.state = ending
        self._end_run(running.run, STATUS[ending], running.job.study[running.job.number].reason)
        if ending == "failed":
            self._say(f"trial {name} failed: {reason}")

    # ---- what the driver tells and asks

    @property
    def total(self) -> int:
        """Trials, with the finals once they are known."""
        return self.study.count + (self.finals.count if self.finals else 0)

    def heard(self, post: TrialEvent) -> None:
        """News of a trial, as the monitor has it."""
        if (status := self.statuses.get(post.trial)) is None:
            return
        status.position = max(status.position, post.event.position)
        status.images_per_second = post.event.metrics.get("speed/images_per_second", status.images_per_second)
        if post.event.words:
            self._say(f"trial {post.trial}: {post.event.words}")

    def sync_status(self, study: Study) -> None:
        """Ends in MLflow what ended in the study just before the search was killed."""
        for record in study.records():
            if record.state != "running":
                name = self._job(study, record).name
                recording.sync_status(self.search, name, STATUS[record.state], record.reason)

    def close(self) -> None:
        """Closes the MLflow runs of all trials that have not ended."""
        while self._running:
            self._interrupted(self._running.popitem()[1])
        self._mlflow.shutdown()

    # ----

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

    def _interrupted(self, running: _Running) -> None:
        running.status.state = "interrupted"
        self._end_run(running.run, "KILLED", f"the search was stopped; {self.search.how_to_resume()}")

    def _end_run(self, run: Run, status: tracking.Status, reason: str) -> None:
        self._mlflow.submit(tracking.end_run, run.tracking, run.run_id, status, reason, run.spool)

    def _say(self, words: str) -> None:
        if self.words[-1:] != [words]:
            self.words.append(words)


def name_of(trial: int, seed: int | None = None) -> str:
    """Of a trial, and of its run in the search's folder."""
    return f"{trial:04d}" if seed is None else f"{trial:04d}-seed{seed}"


def open_finals(search: Search, study: Study) -> Study:
    """The best once more, with other seeds."""
    best = ranking.finished(study.records())[: search.options.finalists]
    points = [{"trial": record.number, "seed": seed} for record in best for seed in range(1, search.options.seeds)]
    finals = Study(search.journal, "finals", FINAL_DISTRIBUTIONS, len(points))
    finals.enqueue(points)
    return finals
