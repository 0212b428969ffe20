"""Ray Tune: starts the trials that the coordinator hands out, where there is room, and hears what they report."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.pipeline import tracking
from raygan.pipeline.launch.signals import relay
from raygan.pipeline.tuning import recording, results
from raygan.pipeline.tuning.capacity import capacity
from raygan.pipeline.tuning.coordinator import Coordinator
from raygan.pipeline.tuning.monitor import SearchMonitor, TrialEvent
from raygan.pipeline.tuning.results import SearchResults
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.trial import run_trial

Show = Callable[[Coordinator], None]

DRIVER_BYTES = 300 * 2**20  # memory of a process that only drives Ray Train

# Tune would write every result to three files of its own, and say more than our table does.
SILENT = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0", "RAY_AIR_NEW_OUTPUT": "0"}


def search_all(search: Search, show: Show, say: Callable[[str], None], command: str) -> SearchResults:
    """Runs all trials of the search that have not ended, on the cluster that the caller is connected to.

    `show` is called about twice a second with how it stands. The first SIGINT or SIGTERM ends the trials with a
    checkpoint each, and KeyboardInterrupt says how to go on. Raises UserError and RunError.
    """
    at_once = capacity(search, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    say(at_once.words)
    search = recording.begin_search(search, command)
    search.save()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    monitor = ray.remote(num_cpus=0, scheduling_strategy=here)(SearchMonitor).remote()
    coordinator = Coordinator(
        search,
        lambda name: ray.get(monitor.stop_one.remote(name)),  # noted before the trial hears that its score was taken
        lambda: bool(ray.get(monitor.stopping.remote())),
    )
    try:
        coordinator.sync_status(coordinator.study)
        _run(search, coordinator, monitor, at_once.trials, show)
        if ray.get(monitor.stopping.remote()):
            raise KeyboardInterrupt
        found = results.write(search, coordinator.study, coordinator.finals)
    except KeyboardInterrupt:
        done = sum(record.state != "running" for record in coordinator.study.records())
        words = f"search {search.name} was stopped after {done} of {search.count} trials; {search.how_to_resume()}"
        _end(search, coordinator, "KILLED", words)
        raise KeyboardInterrupt(words) from None
    except BaseException as e:
        _end(search, coordinator, "FAILED", str(e) or type(e).__name__)
        raise
    _end(search, coordinator, "FINISHED", "")
    return found


def _end(search: Search, coordinator: Coordinator, status: tracking.Status, reason: str) -> None:
    coordinator.close()
    tracking.end_run(search.tracking, search.run_id, status, reason, search.folder / "spool")


def _run(search: Search, coordinator: Coordinator, monitor: Any, at_once: int, show: Show) -> None:
    os.environ.update(SILENT)
    storage = search.folder / "ray"  # Tune's own, which nothing reads: the study remembers more, and earlier
    shutil.rmtree(storage, ignore_errors=True)
    told = {"folder": str(search.trials), "score": search.options.score, "monitor": monitor}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, **told), _resources(search)),
        tune_config=tune.TuneConfig(
            num_samples=-1,  # the coordinator says when it is over
            search_alg=CoordinatorSearcher(coordinator),
            max_concurrent_trials=at_once,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(search.folder),
            failure_config=tune.FailureConfig(max_failures=search.launch.max_failures),
            callbacks=[CoordinatorCallback(coordinator)],
            verbose=0,
        ),
    )

    def progress(post: TrialEvent) -> None:
        coordinator.heard(post)
        show(coordinator)

    show(coordinator)
    relay(tuner.fit, monitor, progress)
    show(coordinator)


def _resources(search: Search) -> tune.PlacementGroupFactory:
    """A trial of one worker is that worker; one of several is a driver, which leaves all CPUs to its workers."""
    if search.workers > 1:
        return tune.PlacementGroupFactory([{"memory": float(DRIVER_BYTES)}])
    return tune.PlacementGroupFactory([{"CPU": float(search.launch.cpus_per_worker), "GPU": float(search.launch.gpu)}])


class _Adapter:
    """Between Ray Tune and the coordinator. Tune pickles what it is given to restore it; we go on from the study."""

    _coordinator: Coordinator

    def __getstate__(self) -> dict[str, Any]:
        return {}


class CoordinatorSearcher(_Adapter, Searcher):
    """Ray Tune asks for a trial; the coordinator knows of one."""

    def __init__(self, coordinator: Coordinator) -> None:
        super().__init__()
        self._coordinator = coordinator

    def suggest(self, trial_id: str) -> Any:
        name = self._coordinator.next()
        if name is None:
            return Searcher.FINISHED if self._coordinator.over else None
        return {"name": name}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The coordinator hears of it from CoordinatorCallback, which is told the reason."""

    def save(self, checkpoint_path: str) -> None:
        """The study holds all there is to save."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search goes on from its study")


class CoordinatorCallback(_Adapter, tune.Callback):
    """Ray Tune tells what trials report, and how they end."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        self._coordinator.result(trial.config["name"], result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        ended = trial.last_result
        self._coordinator.ended(trial.config["name"], ended["ended"], ended["reason"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        self._coordinator.ended(trial.config["name"], "failed", _words(trial.get_error()))


def _words(error: BaseException | None) -> str:
    """An error in one line: the trial's own words, since Ray puts a traceback around them."""
    if isinstance(error, ray.exceptions.RayActorError):
        return "its process died, and died again after every restart"
    return " ".join(str(getattr(error, "cause", None) or error).split())[-300:]
