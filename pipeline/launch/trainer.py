"""Ray Train: a configuration becomes a TorchTrainer, its workers run worker.py, and a result comes back."""

import os
from collections.abc import Callable
from typing import Any

from raygan.pipeline import tracking
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.data.integrity import check_unchanged, refuse_changes
from raygan.pipeline.launch import recording
from raygan.pipeline.launch.diagnosis import cause
from raygan.pipeline.launch.monitor import SILENCE, Event, Heartbeat, Monitor, Worker
from raygan.pipeline.launch.signals import relay
from raygan.pipeline.training import runs
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder

Progress = Callable[[Event], bool | None]  # True stops the run

SIZES = (32, 64, 128, 256)  # pixels that the networks can draw
CLOSE_SECONDS = 60.0  # for MLflow to take what the workers wrote
FAILED_CLOSE_SECONDS = 1.0  # the same when the workers are to start again, which is urgent; the spool keeps the rest


def plan(config: Config, launch: Launch) -> Manifest:
    """Checks all that can be checked before anything starts. Raises UserError."""
    manifest = Manifest.load(launch.shards)
    if manifest.size not in SIZES:
        raise UserError(
            f"{launch.shards}: images of {manifest.size or 'varying'} pixels; "
            f"DCGAN draws {', '.join(map(str, SIZES))}: shard the source again with --size"
        )
    check_sharing(config, launch)
    for name in config.attributes:
        if name not in manifest.attributes:
            known = ", ".join(manifest.attributes) or "none"
            raise UserError(f"--attributes {name}: not in {launch.shards}, which has {known}")
    if launch.tracking == "local" and Folder(launch.runs).local is None:
        raise UserError(f"--runs {launch.runs}: MLflow's SQLite cannot lie there; name a server with --tracking URL")
    for split in {"train", config.evaluation.split}:
        if manifest.samples(split) == 0:
            raise UserError(f"{launch.shards}: no image in the {split} split; shard the source again with it")
    return manifest


def check_sharing(config: Config, launch: Launch) -> None:
    """Raises UserError if that many workers cannot share the batch, or not of that kind."""
    if config.batch < launch.most_workers:
        raise UserError(
            f"--batch {config.batch}: {launch.most_workers} workers cannot share it; give each at least one image"
        )
    if config.loss == "mmd" and config.batch // launch.most_workers // config.accumulate < 2:
        raise UserError(
            f"--loss mmd compares images with each other, and --batch {config.batch} leaves some worker one alone: "
            f"give at least {2 * launch.most_workers * config.accumulate}, 2 for each worker and part (--accumulate)"
        )
    if config.sync_batch_norm and not launch.gpu:
        raise UserError("--sync-batch-norm: torch has it for GPUs only; leave it out, or train with --gpu")


def train(
    config: Config, launch: Launch, resume: bool = False, progress: Progress | None = None, command: str = ""
) -> Run:
    """Trains to the end, on the Ray cluster that the caller is connected to. Raises UserError and RunError.

    The first SIGINT or SIGTERM stops the run with a checkpoint and KeyboardInterrupt, which says how to go on.
    With `resume` the run of that name goes on from its newest checkpoint, or starts if it has none; one that reached
    its end and is recorded is left as it is. `command` is recorded as typed.
    """
    launch = launch.resolved(config.preset)
    run = _resumed(config, launch) if resume else _created(config, launch, command)
    say = progress or (lambda news: None)
    if run.recorded >= config.images:
        say(
            Event(run.recorded, {}, f"run {run.name} has shown its {run.recorded:,} images; train longer with --images")
        )
        return run
    try:
        reached = fit(run, progress)
        if reached < config.images:
            raise KeyboardInterrupt(f"run {run.name} was stopped at {reached:,} images; {run.what_remains()}")
        for words in recording.finish(run, command):
            say(Event(config.images, {}, words))
        run = run.model_copy(update={"recorded": config.images})
        run.save()
    except KeyboardInterrupt as e:
        words = str(e) or f"run {run.name} was interrupted; {run.what_remains()}"
        _end(run, "KILLED", words)
        raise KeyboardInterrupt(words) from None
    except OSError as e:  # a disk is full, or a store is away
        words = f"run {run.name} failed: {e}; {run.what_remains()}"
        _end(run, "FAILED", words)
        raise RunError(words) from e
    except BaseException as e:
        _end(run, "FAILED", str(e) or type(e).__name__)
        raise
    _end(run, "FINISHED", "")
    return run


def _end(run: Run, status: tracking.Status, reason: str) -> None:
    tracking.end_run(run.tracking, run.run_id, status, reason, run.spool, run.home)


def _created(config: Config, launch: Launch, command: str) -> Run:
    manifest = plan(config, launch)
    try:
        if runs.exists(launch.runs, launch.name):
            raise UserError(
                f"--name {launch.name}: that run exists in {launch.runs}; "
                f"continue it with --resume {launch.name} or choose another name"
            )
        uri, run_id = recording.begin(config, launch, manifest, command)
        run = Run(config=config, launch=launch, data=manifest.digest, tracking=uri, run_id=run_id)
        run.save()
    except OSError as e:
        raise UserError(f"--runs {launch.runs}: nothing can be written there ({e.strerror or e})") from e
    return run


def _resumed(config: Config, launch: Launch) -> Run:
    run = runs.load(launch.runs, launch.name)
    refuse_changes(run.config, config)
    if plan(config, launch).digest != run.data:
        raise UserError(
            f"{launch.shards}: not the data set of run {run.name} (its digest differs); pass the same shards"
        )
    if run.recorded >= config.images:
        return run
    newest = next((folder.name for folder in runs.checkpoints(run.folder)), "its start")
    tracking.resume_run(run.tracking, run.run_id, {"resumed from": newest})
    run = run.model_copy(update={"config": config, "launch": launch})
    run.save()
    return run


def fit(run: Run, progress: Progress | None) -> int:
    """Trains an existing run from its newest checkpoint; returns the position reached. Raises RunError."""
    import ray
    from ray.train import ControllerError, TrainingFailedError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(num_cpus=0, scheduling_strategy=here)(Monitor).remote(min(SILENCE, run.launch.timeout / 2))
    for restarts_left in range(run.launch.max_failures, -1, -1):
        try:
            outcome = relay(_trainer(run, desk).fit, desk, progress).return_value
            break
        except (TrainingFailedError, ray.exceptions.RayActorError) as e:
            present, silent = ray.get([desk.present.remote(), desk.silent.remote()])
            words = cause(e, run, present, silent)
            # Ray restarts workers; its controller, which does so, is ours to restart.
            if isinstance(e, ControllerError | ray.exceptions.RayActorError) and restarts_left:
                ray.get(desk.say.remote(words))
                continue
            raise RunError(f"run {run.name} failed: {words}; {run.what_remains()}") from e
    if isinstance(outcome, str):
        raise RunError(f"run {run.name} failed: {outcome}; {run.what_remains()}")
    return int(outcome)


def _trainer(run: Run, desk: Any) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    launch = run.launch
    fewest, most = launch.fewest_workers, launch.most_workers
    return TorchTrainer(
        _ray_worker,
        train_loop_config={"run": run.model_dump_json(), "desk": desk},
        torch_config=TorchConfig(timeout_s=launch.timeout),
        scaling_config=ScalingConfig(
            num_workers=most if fewest == most else (fewest, most),
            elastic_resize_monitor_interval_s=launch.resize_every,
            use_gpu=launch.gpu,
            resources_per_worker={"CPU": float(launch.cpus_per_worker), "GPU": float(launch.gpu)},
        ),
        run_config=RunConfig(
            name=run.name,
            storage_path=str(run.spool.parent / "ray"),  # for a marker only: keeper.py writes the checkpoints
            failure_config=FailureConfig(max_failures=launch.max_failures),
        ),
    )


def _ray_worker(job: dict[str, Any]) -> int | str:
    """One of Ray Train's workers. Returns the position reached, or what stopped all ranks for the same reason."""
    import ray.train
    import torch
    from ray.train.torch import get_device

    from raygan.pipeline.distributed import DistributedContext
    from raygan.pipeline.launch.prometheus import PrometheusGauges
    from raygan.pipeline.launch.session import ClusterSession
    from raygan.pipeline.training.loop import NotFiniteError, work

    run, desk = Run.model_validate_json(job["run"]), job["desk"]
    context = ray.train.get_context()
    place = DistributedContext(context.get_world_rank(), context.get_world_size(), get_device())
    torch.set_num_threads(run.launch.cpus_per_worker)
    worker = Worker(place.rank, place.world_size, ray.util.get_node_ip_address(), os.getpid())
    if place.leads:
        ray.get(desk.enter.remote(worker))
    pulse = Heartbeat(lambda: desk.beat.remote(worker))
    gauges = PrometheusGauges(run.name)

    def post(news: Event) -> bool:
        gauges.show(news)
        return bool(ray.get(desk.post.remote(news)))

    session = ClusterSession(run, place.leads, post, reclaimed=lambda: ray.train.get_preemption_info() is not None)
    patience = FAILED_CLOSE_SECONDS
    try:
        if place.leads:
            _check_shards(run)
        reached = work(run.config, run.launch.shards, place, session, run.launch.cache, **run.launch.copies)
        patience = CLOSE_SECONDS
        try:
            session.finish()
        except RunError as e:
            return str(e)  # workers that start again would train for hours, and come to the same end
        return reached
    except NotFiniteError as e:
        patience = CLOSE_SECONDS
        return str(e)
    finally:
        session.close(patience)
        pulse.end()
        desk.leave.remote(worker)


def _check_shards(run: Run) -> None:
    where = Folder(run.launch.shards).local
    if where is not None:  # what comes from a store is compared with its digest when it is copied
        manifest = Manifest.load(where)
        for split in {"train", run.config.evaluation.split}:
            check_unchanged(where, manifest.shards_of(split), run.began)
