"""Evaluations in the background: a Ray task scores the generator as it was, while training continues.

Ray Train's own validation was tried and is not used: it takes a checkpoint without a score for the best, a validation
process that dies ends the run, and its scores reach neither a search nor MLflow
(docs/decisions/background-evaluation.md).
"""

from typing import Any, NamedTuple

import torch

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.objectives import registry
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training import checkpoint
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError, UserError

LAST_SECONDS = 60.0  # that a run waits at its end for an evaluation that is still under way
ATTEMPTS = 2  # of an evaluation whose node or process dies


class EvaluationResult(NamedTuple):
    """What an evaluation at a position (images) found, or in `failure` why it found nothing."""

    position: int
    scores: dict[str, float]
    identity: dict[str, str]
    failure: str = ""


class BackgroundEvaluation:
    """At most one evaluation at a time, with the resources of one worker."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pending: Any = None  # Ray's reference to an EvaluationResult
        self._position = 0

    def start(self, objective: Objective, position: int) -> str:
        """Starts to score the generator as it is now. Returns why that is not possible, or an empty string."""
        import ray

        if self._pending is not None:
            return f"the one at {self._position:,} images has not ended, or waits for the resources of a worker"
        launch = self._run.launch
        task = ray.remote(
            num_cpus=launch.cpus_per_worker,
            num_gpus=float(launch.gpu),
            max_retries=ATTEMPTS - 1,
            scheduling_strategy="DEFAULT",  # not in what Ray Train reserves for its workers
        )(evaluate)
        state = checkpoint.packed(objective.sampler_state())
        self._pending = task.remote(self._run.model_dump_json(), bytes(state), objective.size, position)
        self._position = position
        return ""

    def collect(self, seconds: float = 0.0) -> EvaluationResult | None:
        """What was found since the last call, after waiting at most so long for it."""
        import ray

        if self._pending is None or not ray.wait([self._pending], timeout=seconds)[0]:
            return None
        ended, self._pending = self._pending, None
        try:
            return ray.get(ended)
        except ray.exceptions.RayError as e:
            message = " ".join(str(getattr(e, "cause", None) or e).split())
            return EvaluationResult(self._position, {}, {}, message[:300])

    def end(self) -> EvaluationResult | None:
        """The last one, if it ends in time; else it is cancelled."""
        if self._pending is None:
            return None
        import ray

        last = self.collect(LAST_SECONDS)
        if last is None:
            ray.cancel(self._pending, force=True)
            self._pending = None
            last = EvaluationResult(self._position, {}, {}, "the run ended before it")
        return last


def evaluate(run_json: str, state: bytes, size: int, position: int) -> EvaluationResult:
    """The task: draws and scores the same images that the workers would."""
    run = Run.model_validate_json(run_json)
    torch.set_num_threads(run.launch.cpus_per_worker)
    context = DistributedContext(device=torch.device("cuda" if run.launch.gpu else "cpu"))
    try:
        sampler = registry.sampler_from(run.config, size, checkpoint.unpacked(state, context.device), context.device)
        evaluator = Evaluator.of_run(run.config, run.config.evaluation.count, DataSet.of(run.launch), context)
        scores = evaluator.score(lambda first, count: sampler.draw(first, count, Purpose.EVALUATION))
    except (RunError, UserError) as e:
        return EvaluationResult(position, {}, {}, str(e))
    return EvaluationResult(position, scores, evaluator.identity)
