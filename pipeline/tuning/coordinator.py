"""Hands out trials, hears what comes of them, and keeps the ledger and MLflow true. It lives in the search's driver."""

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
from raygan.pipeline.tuning.study import Entry, Study, axes
from raygan.sharding.errors import UserError

FINAL_AXES: dict[str, BaseDistribution] = {"trial": IntDistribution(0, 10**9), "seed": IntDistribution(1, 10**9)}

Ending: TypeAlias = Literal["finished", "stopped", "failed"]
STATUS: dict[Ending, tracking.Status] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class Job(NamedTuple):
    """A trial that is handed out: its place in a ledger, and the values that make its configuration."""

    name: str
    ledger: Study
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
    standing: TrialStatus
    cost: float  # of earlier attempts, in seconds of all its parts
    seconds: float = 0.0  # of this attempt
    unwanted: bool = False


class Coordinator:
    """`stop_one` tells a trial to end; `stopping` says whether the user wants the whole search to."""

    def __init__(self, search: Search, stop_one: Callable[[str], Any], stopping: Callable[[], bool]) -> None:
        self.search, self._stop_one, self._stopping = search, stop_one, stopping
        config, options = search.base, search.options
        self.ledger = Study(
            search.journal,
            "search",
            axes(search.space, config),
            search.count,
            sampler="optuna" if options.search == "optuna" else "random",
            seed=config.seed,
            rungs=search.rungs,
            costs=options.cost,
        )
        gridded = options.search == "grid"
        points = grid_points(search.space, config, options.steps) if gridded else known_points(search.space, config)
        self.ledger.enqueue(points)
        self.finals: Study | None = None
        self.over = False  # nothing more will be handed out
        self.words: list[str] = []  # for the user, in order
        self.standings: dict[str, TrialStatus] = {}
        for entry in self.ledger.entries():
            standing = self._standing(name_of(entry.number), entry.values, entry)
            if standing.state == "running":
                standing.state = "interrupted"  # until it is handed out again
            self.standings[standing.name] = standing
        self._running: dict[str, _Running] = {}
        self._put_off: Job | None = None
        self._mlflow = ThreadPoolExecutor(1, "mlflow")  # so that a server which is away holds no trial up

    # ---- what Ray Tune asks

    def next(self) -> str | None:
        """The name of a trial whose run is ready to start. None: not now, or, once it is `over`, never."""
        while not self._stopping():
            job, self._put_off = self._put_off or self._new_job(), None
            if job is None:
                self.over = self.finals is not None
                return None
            try:
                config = self._config(job)
            except UserError as e:  # values that are sound each, but not together
                job.ledger.end(job.number, "failed", str(e))
                self.standings[job.name] = TrialStatus(job.name, job.values, "failed")
                continue
            try:
                run = recording.begin_trial(self.search, job.name, config)
            except UserError as e:  # without a run what it does would be lost, so it waits for MLflow
                self._put_off = job
                self._say(f"trial {job.name} waits: {e}")
                return None
            entry = job.ledger[job.number]
            standing = self.standings[job.name] = self._standing(job.name, job.values, entry)
            self._running[job.name] = _Running(job, run, standing, entry.cost)
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
        running.standing.score = result["score"]
        running.standing.rung = self.search.rungs.passed(result["position"]) if self.search.rungs else 0
        job, cost = running.job, running.cost + running.seconds * parts
        if job.ledger.report(job.number, result["position"], result["score"], cost):
            running.unwanted = True
            self._stop_one(name)

    def ended(self, name: str, ending: Ending, reason: str) -> None:
        """A trial's last words."""
        running = self._running.pop(name)
        entry = running.job.ledger[running.job.number]
        if ending == "finished" and entry.position < self.search.config.images:
            ending, reason = "failed", "its last evaluation failed"
        if ending == "stopped" and not running.unwanted:
            self._interrupted(running)
            return
        running.job.ledger.end(running.job.number, ending, reason)
        running.standing.state = ending
        self._end_run(running.run, STATUS[ending], running.job.ledger[running.job.number].reason)
        if ending == "failed":
            self._say(f"trial {name} failed: {reason}")

    # ---- what the driver tells and asks

    @property
    def total(self) -> int:
        """Trials, with the finals once they are known."""
        return self.ledger.count + (self.finals.count if self.finals else 0)

    def heard(self, post: TrialEvent) -> None:
        """News of a trial, as the board has it."""
        if (standing := self.standings.get(post.trial)) is None:
            return
        standing.position = max(standing.position, post.news.position)
        standing.images_per_second = post.news.metrics.get("speed/images_per_second", standing.images_per_second)
        if post.news.words:
            self._say(f"trial {post.trial}: {post.news.words}")

    def settle(self, ledger: Study) -> None:
        """Ends in MLflow what ended in the ledger just before the search was killed."""
        for entry in ledger.entries():
            if entry.state != "running":
                name = self._job(ledger, entry).name
                recording.settle(self.search, name, STATUS[entry.state], entry.reason)

    def close(self) -> None:
        """Closes the MLflow runs of all trials that have not ended."""
        while self._running:
            self._interrupted(self._running.popitem()[1])
        self._mlflow.shutdown()

    # ----

    def _new_job(self) -> Job | None:
        if entry := self.ledger.next():
            return self._job(self.ledger, entry)
        if self.ledger.running:
            return None
        if self.finals is None:
            self.finals = open_finals(self.search, self.ledger)
            self.settle(self.finals)
        entry = self.finals.next()
        return self._job(self.finals, entry) if entry else None

    def _job(self, ledger: Study, entry: Entry) -> Job:
        seed = self.search.config.seed
        if ledger is self.ledger:
            return Job(name_of(entry.number), ledger, entry.number, entry.values, seed)
        first, seed = entry.values["trial"], seed + entry.values["seed"]
        return Job(name_of(first, seed), ledger, entry.number, self.ledger[first].values, seed)

    def _config(self, job: Job) -> Config:
        return overlay(self.search.base, job.values).model_copy(update={"seed": job.seed})

    def _standing(self, name: str, values: Values, entry: Entry) -> TrialStatus:
        rung = self.search.rungs.passed(entry.position) if self.search.rungs else 0
        return TrialStatus(name, values, entry.state, entry.position, score=entry.score, rung=rung)

    def _interrupted(self, running: _Running) -> None:
        running.standing.state = "interrupted"
        self._end_run(running.run, "KILLED", f"the search was stopped; {self.search.how_to_go_on()}")

    def _end_run(self, run: Run, status: tracking.Status, reason: str) -> None:
        self._mlflow.submit(tracking.end_run, run.tracking, run.run_id, status, reason, run.spool)

    def _say(self, words: str) -> None:
        if self.words[-1:] != [words]:
            self.words.append(words)


def name_of(trial: int, seed: int | None = None) -> str:
    """Of a trial, and of its run in the search's folder."""
    return f"{trial:04d}" if seed is None else f"{trial:04d}-seed{seed}"


def open_finals(search: Search, ledger: Study) -> Study:
    """The best once more, with other seeds."""
    best = ranking.finished(ledger.entries())[: search.options.finalists]
    points = [{"trial": entry.number, "seed": seed} for entry in best for seed in range(1, search.options.seeds)]
    finals = Study(search.journal, "finals", FINAL_AXES, len(points))
    finals.enqueue(points)
    return finals
