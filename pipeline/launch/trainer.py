"""Ray Train: makes a TorchTrainer of a plan, whose workers run worker.py, and waits for its result."""

from collections.abc import Callable
from typing import Any

from raygan.pipeline import tracking
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch import recording
from raygan.pipeline.launch.diagnosis import cause
from raygan.pipeline.launch.monitor import SILENCE, Event, Monitor
from raygan.pipeline.launch.plan import Plan
from raygan.pipeline.launch.signals import run_monitored
from raygan.pipeline.launch.worker import ray_worker
from raygan.pipeline.training import runs
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError, UserError

Progress = Callable[[Event], bool | None]  # True stops the run


def train(plan: Plan, progress: Progress | None = None, command: str = "") -> Run:
    """Trains to the end, on the Ray cluster that the caller is connected to. Raises UserError and RunError.

    A plan with a run continues it from its newest checkpoint, or starts it if it has none; one that reached its end
    and is recorded is left as it is. The first SIGINT or SIGTERM stops the run with a checkpoint and
    KeyboardInterrupt, which says how to continue. `command` is recorded as typed.
    """
    images, show = plan.config.images, progress or (lambda event: None)
    run = _begin(plan, command) if plan.run is None else plan.run
    if run.recorded >= images:
        show(Event(run.recorded, {}, f"run {run.name} has shown its {run.recorded:,} images; give more `images`"))
        return run
    if plan.run is not None:
        run = _resume(run, plan.config, plan.launch)
    try:
        reached = fit(run, progress)
        if reached < images:
            raise KeyboardInterrupt(f"run {run.name} was stopped at {reached:,} images; {run.what_remains()}")
        for message in recording.finish(run, command):
            show(Event(images, {}, message))
        run = run.model_copy(update={"recorded": images})
        run.save()
    except KeyboardInterrupt as e:
        message = str(e) or f"run {run.name} was interrupted; {run.what_remains()}"
        _end(run, "KILLED", message)
        raise KeyboardInterrupt(message) from None
    except OSError as e:  # a disk is full, or a store is away
        message = f"run {run.name} failed: {e}; {run.what_remains()}"
        _end(run, "FAILED", message)
        raise RunError(message) from e
    except BaseException as e:
        _end(run, "FAILED", str(e) or type(e).__name__)
        raise
    _end(run, "FINISHED", "")
    return run


def _end(run: Run, status: tracking.Status, reason: str) -> None:
    tracking.end_run(run.tracking, run.run_id, status, reason, run.spool, run.home)


def _begin(plan: Plan, command: str) -> Run:
    config, launch, data = plan.config, plan.launch, plan.data
    try:
        if runs.exists(launch.runs, launch.name):
            raise UserError(
                f"`name` {launch.name}: that run exists in {launch.runs}; "
                f"continue it with `resume` {launch.name} or choose another name"
            )
        uri, run_id = recording.begin(config, launch, data.manifest, command)
        run = Run(config=config, launch=launch, data=data.manifest.digest, tracking=uri, run_id=run_id)
        run.save()
    except OSError as e:
        raise UserError(f"`runs` {launch.runs}: nothing can be written there ({e.strerror or e})") from e
    return run


def _resume(run: Run, config: Config, launch: Launch) -> Run:
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
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(Monitor)
    monitor = actor.remote(min(SILENCE, run.launch.timeout / 2))
    for restarts_left in range(run.launch.max_failures, -1, -1):
        try:
            outcome = run_monitored(_trainer(run, monitor).fit, monitor, progress).return_value
            break
        except (TrainingFailedError, ray.exceptions.RayActorError) as e:
            present, silent = ray.get([monitor.present.remote(), monitor.silent.remote()])
            message = cause(e, run, present, silent)
            # Ray restarts workers, but not the controller that does so: that is left to us.
            if isinstance(e, ControllerError | ray.exceptions.RayActorError) and restarts_left:
                ray.get(monitor.say.remote(message))
                continue
            raise RunError(f"run {run.name} failed: {message}; {run.what_remains()}") from e
    if isinstance(outcome, str):
        raise RunError(f"run {run.name} failed: {outcome}; {run.what_remains()}")
    return int(outcome)


def _trainer(run: Run, monitor: Any) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    launch = run.launch
    fewest, most = launch.fewest_workers, launch.most_workers
    return TorchTrainer(
        ray_worker,
        train_loop_config={"run": run.model_dump_json(), "monitor": monitor},
        torch_config=TorchConfig(timeout_s=launch.timeout),
        scaling_config=ScalingConfig(
            num_workers=most if fewest == most else (fewest, most),
            elastic_resize_monitor_interval_s=launch.resize_every,
            use_gpu=launch.gpu,
            resources_per_worker={"CPU": float(launch.cpus_per_worker), "GPU": float(launch.gpu)},
        ),
        run_config=RunConfig(
            name=run.name,
            storage_path=str(run.spool.parent / "ray"),  # for a marker only: the checkpoint manager writes checkpoints
            failure_config=FailureConfig(max_failures=launch.max_failures),
        ),
    )
