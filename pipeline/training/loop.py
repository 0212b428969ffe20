"""What one worker does from start to end. Read this first.

The loop knows neither Ray nor MLflow nor any objective: whoever runs it gives it a Session (launch/worker.py does so on
a cluster), so the same loop runs, is tested and is profiled in one plain process.
"""

import math
from typing import Literal

from raygan.pipeline.config import Config
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader, attribute_rows
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.models.layers import ROWS
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.objectives import registry
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.session import Session
from raygan.pipeline.training.throughput import Throughput
from raygan.sharding.errors import RunError, UserError

GRID_IMAGES, GRID_COLUMNS = 64, 8


class NotFiniteError(RunError):
    """A metric is not finite. Every rank raises it at the same position, since metrics are summed over all."""


def train(
    config: Config,
    data: DataSet,
    context: DistributedContext,
    session: Session,
    cache: Literal["none", "device"] = "none",
) -> int:
    """Trains until `config.images` have been shown or the session stops it; returns the position reached.

    `cache`: "device" keeps the training split in the device's memory. Raises NotFiniteError, and RunError if a shard
    is damaged.
    """

    # ---- the objective, and the position that an earlier attempt reached
    rows = attribute_rows(data, config.attributes, ROWS) if config.attributes else None
    objective = registry.build(config, data.manifest.size, context, rows)
    position = _restore(objective, session, context)
    evaluator = Evaluator.of_run(config, config.evaluation.count, data, context)
    if position == 0:
        _show(objective, session, position)

    # ---- the loop
    with Reader(
        data,
        "train",
        batch=config.batch,
        rank=context.rank,
        world_size=context.world_size,
        seed=config.seed,
        position=position,
        device=context.device,
        flip=config.flip,
        attributes=config.attributes,
        window=config.window,
        cache=cache,
    ) as reader:
        batches, throughput = iter(reader), Throughput(position)
        stopped = False
        while position < config.images and not stopped:
            batch = next(batches)
            objective.step(batch.images, position, batch.attributes)
            before, position = position, position + config.batch
            ends = position >= config.images
            saves = ends or _passed(config.checkpoints.every, before, position)
            evaluates = ends or config.evaluation.due(before, position)
            logs = saves or evaluates or _passed(config.log_every, before, position)
            scores: dict[str, float] = {}

            if logs:  # at every checkpoint too, so that no metric is pending in one
                metrics = objective.metrics()
                _refuse_non_finite(metrics, position)
                session.metrics(metrics | throughput.lap(position, reader.waited), position)
                stopped = context.any(session.stopping)
            if evaluates:
                with throughput.paused():
                    _show(objective, session, position)
                    if config.evaluation.background and not ends:
                        if context.is_main:
                            session.evaluate_in_background(objective, position)
                    else:
                        if ends and config.evaluation.final_count:
                            evaluator = Evaluator.of_run(config, config.evaluation.final_count, data, context)
                        scores = _score(objective, evaluator, session, position)
                stopped = context.any(stopped or session.stopping)  # a search may stop the run because of the score
            if (saves or stopped or (logs and session.preempted)) and context.is_main:
                with throughput.paused():
                    digest, identity = data.manifest.digest, evaluator.identity
                    session.save(checkpoint.snapshot(objective, position, digest, identity, scores))
    return position


def _restore(objective: Objective, session: Session, context: DistributedContext) -> int:
    """Restores the newest sound checkpoint and returns its position; 0 if there is none yet.

    Rank 0 chooses: a checkpoint that is written or damaged just now may look different to each rank.
    """
    position = context.number_of_main(_restore_newest(objective, session) if context.is_main else 0)
    if position and not context.is_main:
        folder = next((folder for folder in session.checkpoints() if runs.position_of(folder) == position), None)
        if folder is None:
            raise RunError(
                f"rank 0 sees a checkpoint at {position:,} images, rank {context.rank} does not: "
                "the folder of `runs` must be shared by all nodes"
            )
        checkpoint.restore(folder, objective)
    return position


def _restore_newest(objective: Objective, session: Session) -> int:
    folders = session.checkpoints()
    for folder in folders:
        try:
            return checkpoint.restore(folder, objective).position
        except (RunError, UserError) as e:
            session.warn(str(e), 0)
    if folders:
        raise RunError(f"{folders[0].parent}: every checkpoint is damaged; start a new run")
    return 0


def _passed(every: int, before: int, after: int) -> bool:
    """Whether a multiple of `every` images lies in (before, after]."""
    return before // every != after // every


def _refuse_non_finite(metrics: dict[str, float], position: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value} at {position:,} images; lower the learning rates")


def _show(objective: Objective, session: Session, position: int) -> None:
    """Draws the same latents every time, so that the images show how training progresses."""
    if objective.context.is_main:
        session.image("faces", objective.sampler().sheet(GRID_IMAGES, GRID_COLUMNS).numpy(), position)


def _score(objective: Objective, evaluator: Evaluator, session: Session, position: int) -> dict[str, float]:
    """Every rank gets the same scores. An evaluation that fails, on any rank, is reported and ends nothing."""
    sampler = objective.sampler()
    try:
        scores = evaluator.score(lambda first, count: sampler.draw(first, count, Purpose.EVALUATION))
    except RunError as e:
        session.warn(f"the evaluation at {position:,} images failed: {e}", position)
        return {}
    session.metrics({f"score/{name}": value for name, value in scores.items()}, position)
    return scores
