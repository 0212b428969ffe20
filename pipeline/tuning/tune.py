"""Ray Tune: starts the trials that the coordinator hands out, as many as the cluster holds, and takes their reports."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.pipeline import tracking
from raygan.pipeline.launch.signals import run_monitored
from raygan.pipeline.tuning import recording, results
from raygan.pipeline.tuning.coordinator import Coordinator
from raygan.pipeline.tuning.monitor import SearchMonitor, TrialEvent
from raygan.pipeline.tuning.results import SearchResults
from raygan.pipeline.tuning.search import Search, capacity
from raygan.pipeline.tuning.trial import run_trial

Show = Callable[[Coordinator], None]

DRIVER_BYTES = 300 * 2**20  # memory of a process that only starts a Ray Train run

# Tune would write every result to three files of its own, and print what our table shows better.
SILENT = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0", "RAY_AIR_NEW_OUTPUT": "0"}


def search_all(search: Search, show: Show, say: Callable[[str], None], command: str) -> SearchResults:
    """Runs all trials of the search that have not ended, on the cluster that the caller is connected to.

    `show` is called about twice a second with the coordinator, `say` once with the capacity; `command` is recorded in
    MLflow. The first SIGINT or SIGTERM ends every trial with a checkpoint; then KeyboardInterrupt is raised, and says
    how to resume. Raises UserError and RunError.
    """
    fits = capacity(search, [node["Resources"] for node in ray.nodes() if node["Alive"]])
    say(fits.description)
    search = recording.begin_search(search, command)
    search.save()
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    monitor = ray.remote(num_cpus=0, scheduling_strategy=this_node)(SearchMonitor).remote()
    coordinator = Coordinator(
        search,
        lambda name: ray.get(monitor.stop_one.remote(name)),  # noted before the report of the trial's score returns
        lambda: bool(ray.get(monitor.stopping.remote())),
    )
    try:
        coordinator.sync_status(coordinator.study)
        _run(search, coordinator, monitor, fits.trials, show)
        if ray.get(monitor.stopping.remote()):
            raise KeyboardInterrupt
        found = results.write(search, coordinator.study, coordinator.finals)
    except KeyboardInterrupt:
        done = sum(record.state != "running" for record in coordinator.study.records())
        message = f"search {search.name} was stopped after {done} of {search.count} trials; {search.how_to_resume()}"
        _end(search, coordinator, "KILLED", message)
        raise KeyboardInterrupt(message) from None
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
    storage = search.folder / "ray"  # Tune's own files, which nothing reads: the study has more, and has it earlier
    shutil.rmtree(storage, ignore_errors=True)
    fixed = {"folder": str(search.trials), "score": search.options.score, "monitor": monitor}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(run_trial, **fixed), _resources(search)),
        tune_config=tune.TuneConfig(
            num_samples=-1,  # the coordinator says when there are no more
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

    def progress(event: TrialEvent) -> None:
        coordinator.on_event(*event)
        show(coordinator)

    show(coordinator)
    run_monitored(tuner.fit, monitor, progress)
    show(coordinator)


def _resources(search: Search) -> tune.PlacementGroupFactory:
    """What Tune reserves for a trial: its only worker; or a driver without CPUs, which its several workers need."""
    if search.workers > 1:
        return tune.PlacementGroupFactory([{"memory": float(DRIVER_BYTES)}])
    return tune.PlacementGroupFactory([{"CPU": float(search.launch.cpus_per_worker), "GPU": float(search.launch.gpu)}])


class _Adapter:
    """Between Ray Tune and the coordinator. Tune pickles it for a restart, but all that is needed is in the study."""

    _coordinator: Coordinator

    def __getstate__(self) -> dict[str, Any]:
        return {}


class CoordinatorSearcher(_Adapter, Searcher):
    """Gives Ray Tune the trials of the coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        super().__init__()
        self._coordinator = coordinator

    def suggest(self, trial_id: str) -> Any:
        """The configuration that `run_trial` gets: the trial's name. None: not now."""
        name = self._coordinator.next_trial()
        if name is None:
            return Searcher.FINISHED if self._coordinator.exhausted else None
        return {"name": name}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the CoordinatorCallback has the reason, too."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is on disk already."""


class CoordinatorCallback(_Adapter, tune.Callback):
    """Gives the coordinator what trials report to Ray Tune, and how they end."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """A trial reported a score, or its end."""
        self._coordinator.on_result(trial.config["name"], result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """The trial's function returned: its last result is an `Ended`."""
        last = trial.last_result
        self._coordinator.on_end(trial.config["name"], last["ended"], last["reason"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """The trial's function or process failed more often than it is started again."""
        self._coordinator.on_end(trial.config["name"], "failed", _in_one_line(trial.get_error()))


def _in_one_line(error: BaseException | None) -> str:
    """An error in one line, without the traceback that Ray adds to it."""
    if isinstance(error, ray.exceptions.RayActorError):
        return "its process died, and died again after every restart"
    return " ".join(str(getattr(error, "cause", None) or error).split())[-300:]
