"""One of Ray Train's workers: it gives the loop its context, its data set and its session."""

import os
from typing import Any

from raygan.pipeline.launch.monitor import Event, Heartbeat, Worker
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError

CLOSE_SECONDS = 60.0  # for MLflow to take what the workers wrote
FAILED_CLOSE_SECONDS = 1.0  # the same when the workers are to start again, which is urgent; the spool keeps the rest


def ray_worker(job: dict[str, Any]) -> int | str:
    """Returns the position reached, or what stopped all ranks for the same reason."""
    import ray.train
    import torch
    from ray.train.torch import get_device

    from raygan.pipeline.data.dataset import DataSet
    from raygan.pipeline.data.integrity import check_run_shards
    from raygan.pipeline.distributed import DistributedContext
    from raygan.pipeline.launch.prometheus import PrometheusGauges
    from raygan.pipeline.launch.session import ClusterSession
    from raygan.pipeline.training import loop

    run, monitor = Run.model_validate_json(job["run"]), job["monitor"]
    ranks = ray.train.get_context()
    context = DistributedContext(ranks.get_world_rank(), ranks.get_world_size(), get_device())
    torch.set_num_threads(run.launch.cpus_per_worker)
    worker = Worker(context.rank, context.world_size, ray.util.get_node_ip_address(), os.getpid())
    if context.is_main:
        ray.get(monitor.group_started.remote(worker))
    heartbeat = Heartbeat(lambda: monitor.heartbeat.remote(worker))
    gauges = PrometheusGauges(run.name)

    def post(event: Event) -> bool:
        gauges.show(event)
        return bool(ray.get(monitor.post.remote(event)))

    session = ClusterSession(run, context.is_main, post, preempted=lambda: ray.train.get_preemption_info() is not None)
    close_seconds = FAILED_CLOSE_SECONDS
    try:
        data = DataSet.of(run.launch)
        if context.is_main:
            check_run_shards(data, {"train", run.config.evaluation.split}, run.began)
        reached = loop.train(run.config, data, context, session, run.launch.cache)
        close_seconds = CLOSE_SECONDS
        try:
            session.finish()
        except RunError as e:
            return str(e)  # workers that start again would train for hours, and come to the same end
        return reached
    except loop.NotFiniteError as e:
        close_seconds = CLOSE_SECONDS
        return str(e)
    finally:
        session.close(close_seconds)
        heartbeat.end()
        monitor.left.remote(worker)
