"""Ray Train: a configuration becomes a TorchTrainer, its workers run worker.py, and a result comes back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import recording, runs, tracking
from pipeline.config import Config, Launch
from pipeline.desk import Desk, News
from pipeline.relay import relay
from pipeline.runs import Run
from sharding.errors import RunError, UserError
from sharding.manifest import Manifest

Progress = Callable[[News], bool | None]  # True stops the run

SIZES = (32, 64, 128, 256)  # pixels that the networks can draw


def plan(config: Config, launch: Launch) -> Manifest:
    """Checks all that can be checked before anything starts. Raises UserError."""
    manifest = Manifest.load(launch.shards)
    if manifest.size not in SIZES:
        raise UserError(
            f"{launch.shards}: images of {manifest.size or 'varying'} pixels; "
            f"DCGAN draws {', '.join(map(str, SIZES))}: shard the source again with --size"
        )
    if config.batch < launch.workers:
        raise UserError(
            f"--batch {config.batch}: {launch.workers} workers cannot share it; give each at least one image"
        )
    for split in {"train", config.evaluation.split}:
        if manifest.samples(split) == 0:
            raise UserError(f"{launch.shards}: no image in the {split} split; shard the source again with it")
    return manifest


def train(
    config: Config, launch: Launch, resume: bool = False, progress: Progress | None = None, command: str = ""
) -> Run:
    """Trains to the end, on the Ray cluster that the caller is connected to. Raises UserError and RunError.

    The first SIGINT or SIGTERM stops the run with a checkpoint and KeyboardInterrupt, which says how to go on.
    With `resume` the run of that name goes on from its newest checkpoint. `command` is recorded as typed.
    """
    launch = launch.resolved(config.preset)
    run = _resumed(config, launch) if resume else _created(config, launch, command)
    try:
        reached = fit(run, progress)
        if reached < config.images:
            raise KeyboardInterrupt(f"run {run.name} was stopped at {reached:,} images; {run.what_remains()}")
        for words in recording.finish(run, command):
            if progress is not None:
                progress(News(config.images, {}, words))
    except KeyboardInterrupt as e:
        words = str(e) or f"run {run.name} was interrupted; {run.what_remains()}"
        _end(run, "KILLED", words)
        raise KeyboardInterrupt(words) from None
    except BaseException as e:
        _end(run, "FAILED", str(e) or type(e).__name__)
        raise
    _end(run, "FINISHED", "")
    return run


def _end(run: Run, status: tracking.Status, reason: str) -> None:
    tracking.end_run(run.tracking, run.run_id, status, reason, run.spool)


def _created(config: Config, launch: Launch, command: str) -> Run:
    manifest = plan(config, launch)
    if runs.exists(launch.runs, launch.name):
        raise UserError(
            f"--name {launch.name}: that run exists in {launch.runs}; "
            f"continue it with --resume {launch.name} or choose another name"
        )
    uri, run_id = recording.begin(config, launch, manifest, command)
    run = Run(config=config, launch=launch, data=manifest.digest, tracking=uri, run_id=run_id)
    run.save()
    return run


def _resumed(config: Config, launch: Launch) -> Run:
    run = runs.load(launch.runs, launch.name)
    if plan(config, launch).digest != run.data:
        raise UserError(
            f"{launch.shards}: not the data set of run {run.name} (its digest differs); pass the same shards"
        )
    tracking.resume_run(run.tracking, run.run_id)
    run = run.model_copy(update={"config": config, "launch": launch})
    run.save()
    return run


def fit(run: Run, progress: Progress | None) -> int:
    """Trains an existing run from its newest checkpoint; returns the position reached. Raises RunError."""
    import ray.train
    from ray.train.torch import TorchTrainer

    launch = run.launch
    desk = ray.remote(num_cpus=0)(Desk).remote()
    resources = {"CPU": float(launch.cpus_per_worker), "GPU": float(launch.gpu)}
    trainer = TorchTrainer(
        _ray_worker,
        train_loop_config={"run": run.model_dump_json(), "desk": desk},
        scaling_config=ray.train.ScalingConfig(
            num_workers=launch.workers, use_gpu=launch.gpu, resources_per_worker=resources
        ),
        run_config=ray.train.RunConfig(
            name=run.name,
            storage_path=str(launch.runs),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=run.config.checkpoints.keep),
            failure_config=ray.train.FailureConfig(max_failures=launch.max_failures),
        ),
    )
    try:
        outcome = relay(trainer.fit, desk, progress).return_value
    except ray.train.TrainingFailedError as e:
        raise RunError(f"run {run.name} failed: {_cause(e)}; {run.what_remains()}") from e
    if isinstance(outcome, str):
        raise RunError(f"run {run.name} failed: {outcome}; {run.what_remains()}")
    return int(outcome)


def _cause(error: Exception) -> str:
    """The first worker's own words, since Ray's message is a traceback."""
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    rank, failure = min(failures.items())
    cause = getattr(failure, "cause", failure)
    words = " ".join(str(cause).split()) if isinstance(cause, RunError | UserError) else repr(cause)
    return f"rank {rank}: {words}"


def _ray_worker(job: dict[str, Any]) -> int | str:
    """One of Ray Train's workers. Returns the position reached, or what stopped all ranks for the same reason."""
    import ray.train
    import torch
    from ray.train.torch import get_device

    from pipeline.place import Place
    from pipeline.worker import NotFiniteError, work

    run = Run.model_validate_json(job["run"])
    context = ray.train.get_context()
    place = Place(context.get_world_rank(), context.get_world_size(), get_device())
    torch.set_num_threads(run.launch.cpus_per_worker)
    session = RaySession(run, job["desk"], place.leads)
    try:
        return work(run.config, run.launch.shards, place, session, run.launch.cache)
    except NotFiniteError as e:
        return str(e)
    finally:
        session.close()


def _reported(run_folder: Path) -> list[Path]:
    """The run's checkpoints, newest first, without one that a crash left between its upload and its report.

    Ray would never delete that one; gone on from the one before, the run writes it again and reports it.
    """
    import ray.train

    newest = ray.train.get_checkpoint()
    return [folder for folder in runs.checkpoints(run_folder) if newest and folder.name <= Path(newest.path).name]


class RaySession:
    """The worker's Session on a cluster: checkpoints through Ray, all else from rank 0 to MLflow and the driver."""

    def __init__(self, run: Run, desk: Any, leads: bool) -> None:
        self.stopping = False
        self._checkpoints = _reported(run.folder)
        self._desk = desk
        self._writer = tracking.Writer(run.tracking, run.run_id, run.spool) if leads else None

    def checkpoints(self) -> Sequence[Path]:
        return self._checkpoints

    def metrics(self, values: dict[str, float], position: int) -> None:
        if self._writer is not None:
            self._writer.metrics(values, position)
            self._post(News(position, values))

    def warn(self, words: str, position: int) -> None:
        if self._writer is not None:
            self._writer.tags({"warning": words})
            self._post(News(position, {}, words))

    def _post(self, news: News) -> None:
        import ray

        self.stopping = ray.get(self._desk.post.remote(news))

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        if self._writer is not None:
            self._writer.image(name, image, position)

    def save(self, folder: Path | None, position: int, scores: dict[str, float]) -> None:
        import ray.train

        checkpoint = None if folder is None else ray.train.Checkpoint.from_directory(str(folder))
        # A score that is not finite would make the run impossible to resume.
        finite = {name: value for name, value in scores.items() if np.isfinite(value)}
        ray.train.report(
            {"position": position} | finite, checkpoint=checkpoint, checkpoint_dir_name=f"checkpoint_{position:012d}"
        )

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close(recording.CLOSE_SECONDS)
