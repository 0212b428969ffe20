"""What a search writes to MLflow: a run for itself, the parent, and a child run for each trial."""

from pathlib import Path

from raygan.pipeline import tracking
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.training import runs
from raygan.pipeline.training.runs import Run
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.space import words
from raygan.sharding.format.manifest import Manifest

CLOSE_SECONDS = 60.0


def begin_search(search: Search, command: str) -> Search:
    """The search with its MLflow run: a new one, or the one it had. Raises UserError if the server does not answer."""
    if search.run_id:
        tracking.close_dead_runs(search.tracking)
        tracking.resume_run(search.tracking, search.run_id)
        return search
    launch, config = search.launch, search.config
    uri = tracking.local_uri(launch.runs) if launch.tracking == "local" else launch.tracking
    tracking.close_dead_runs(uri)
    parameters = {"space": " ".join(words(search.space))} | search.options.model_dump(mode="json")
    tags = tracking.origin(command) | {"data": search.data, "shards": launch.shards}
    run_id = tracking.create_run(uri, launch.experiment, search.name, parameters, tags)
    tracking.log_inputs(uri, run_id, launch.shards, Manifest.load(launch.shards), config.model_dump(mode="json"))
    return search.model_copy(update={"tracking": uri, "run_id": run_id})


def begin_trial(search: Search, name: str, config: Config) -> Run:
    """The trial's run, in the search's folder and in MLflow: a new one, or the one it had.

    Raises UserError if the server does not answer.
    """
    if runs.exists(search.trials, name):
        run = runs.load(search.trials, name)
        tracking.resume_run(run.tracking, run.run_id)
        return run
    launch = Launch.model_validate(search.launch.model_dump() | {"name": name, "runs": search.trials})
    parameters = config.model_dump(mode="json") | {"workers": launch.workers, "gpu": launch.gpu}
    tags = tracking.origin(f"raygan tune {search.name}") | {"data": search.data, "shards": launch.shards}
    run_id = tracking.create_run(
        search.tracking, launch.experiment, f"{search.name}-{name}", parameters, tags, parent=search.run_id
    )
    run = Run(config=config, launch=launch, data=search.data, tracking=search.tracking, run_id=run_id)
    run.save()
    return run


def sync_status(search: Search, name: str, status: tracking.Status, reason: str) -> None:
    """Ends the trial's MLflow run with this status, unless it has it already.

    Raises UserError if the server does not answer.
    """
    if runs.exists(search.trials, name):
        run = runs.load(search.trials, name)
        if tracking.find_run(run.tracking, run.run_id).status != status:
            tracking.resume_run(run.tracking, run.run_id)  # since it may have been closed as one whose process died
            tracking.end_run(run.tracking, run.run_id, status, reason, run.spool)


def log_results(search: Search, files: list[Path], metrics: dict[str, float], note: str) -> int:
    """Adds results to the search's MLflow run, and delivers what its trials could not write to theirs.

    Returns how many writes MLflow has not taken.
    """
    left = sum(flushed.left for flushed in tracking.flush(search.trials))
    writer = tracking.Writer(search.tracking, search.run_id, search.folder / "spool")
    for file in files:
        writer.artifact(file)
    writer.metrics(metrics, search.config.images)
    writer.tags({tracking.NOTE: note})
    return left + writer.close(CLOSE_SECONDS)
