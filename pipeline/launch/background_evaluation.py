"""Evaluations beside training: a Ray task scores the generator as it was, on other resources, while training goes on.

Ray Train's own validation was tried and left: it takes a checkpoint without a score for the best, a validation process
that dies ends the run, and its scores reach neither a search nor MLflow (docs/decisions/evaluation-aside.md).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.models import build
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError, UserError

LAST_SECONDS = 60.0  # that the end of a run waits for an evaluation under way
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
        self._under_way: Any = None  # Ray's reference to a EvaluationResult
        self._position = 0

    def begin(self, faces: Sampler, size: int, position: int) -> str:
        """Has the `faces` of `size` pixels scored as they are now. Returns why not; nothing if it is being done."""
        import ray

        if self._under_way is not None:
            return f"the one at {self._position:,} images is still under way, or waits for a free worker's room"
        launch = self._run.launch
        task = ray.remote(
            num_cpus=launch.cpus_per_worker,
            num_gpus=float(launch.gpu),
            max_retries=ATTEMPTS - 1,
            scheduling_strategy="DEFAULT",  # not in the room that Ray Train holds for its workers
        )(judge)
        network = faces.network.module if isinstance(faces.network, AveragedModel) else faces.network
        state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
        self._under_way = task.remote(self._run.model_dump_json(), state, faces.latent, size, position)
        self._position = position
        return ""

    def collect(self, seconds: float = 0.0) -> EvaluationResult | None:
        """What was found since the last call, waiting so long for it."""
        import ray

        if self._under_way is None or not ray.wait([self._under_way], timeout=seconds)[0]:
            return None
        ended, self._under_way = self._under_way, None
        try:
            return ray.get(ended)
        except ray.exceptions.RayError as e:
            words = " ".join(str(getattr(e, "cause", None) or e).split())
            return EvaluationResult(self._position, {}, {}, words[:300])

    def end(self) -> EvaluationResult | None:
        """The last one, if it comes in time; else it is given up."""
        if self._under_way is None:
            return None
        import ray

        last = self.collect(LAST_SECONDS)
        if last is None:
            ray.cancel(self._under_way, force=True)
            self._under_way = None
            last = EvaluationResult(self._position, {}, {}, "the run ended before it")
        return last


def judge(run_json: str, state: dict[str, Tensor], latent: int, size: int, position: int) -> EvaluationResult:
    """The task. Draws and scores the same images that the workers would."""
    from raygan.pipeline.training.loop import evaluator

    run = Run.model_validate_json(run_json)
    config, launch = run.config, run.launch
    torch.set_num_threads(launch.cpus_per_worker)
    place = DistributedContext(device=torch.device("cuda" if launch.gpu else "cpu"))
    generator = build.generator(config, size)
    generator.load_state_dict(state)
    generator = generator.to(place.device).to(memory_format=torch.channels_last)
    faces = Sampler(generator, latent, place.device, config.seed)
    try:
        judging = evaluator(config, config.evaluation.count, launch.shards, place, launch.copies)
        scores = judging.score(lambda first, count: faces.draw(first, count, Purpose.EVALUATION))
    except (RunError, UserError) as e:
        return EvaluationResult(position, {}, {}, str(e))
    return EvaluationResult(position, scores, judging.identity)
