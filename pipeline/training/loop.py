"""What one worker does from start to end. Read this first.

The loop knows neither Ray nor MLflow: whoever runs it hands it a Session (train.py does so on a cluster), so the same
loop runs, is tested and is profiled in one plain process.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import numpy as np

from raygan.pipeline.config import Config
from raygan.pipeline.data.reader import Reader, attribute_rows
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.models.ema import recalibrate
from raygan.pipeline.models.layers import ROWS
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage.folder import Folder

GRID_FACES, GRID_COLUMNS = 64, 8


class NotFiniteError(RunError):
    """A loss is not finite. Every rank raises it at the same position, since the measures are summed over all."""


class Session(Protocol):
    """What the loop asks of whoever runs it."""

    stopping: bool  # whether the run shall end with a checkpoint, as far as this rank knows
    hurrying: bool  # whether a node is about to be taken away, so that a checkpoint is due whenever losses are said

    def checkpoints(self) -> Sequence[Folder]:
        """The folders of the run's checkpoints, newest first."""

    def metrics(self, values: dict[str, float], position: int) -> None:
        """Every rank calls it at the same positions, and all have the same values."""

    def image(self, name: str, image: np.ndarray, position: int) -> None: ...

    def warn(self, words: str, position: int) -> None:
        """Tells the user of something that went wrong and did not end the run."""

    def score_aside(self, faces: Sampler, size: int, position: int) -> None:
        """Has them scored as they are now, while training goes on. Only rank 0 calls it."""

    def save(self, taken: Snapshot) -> None:
        """Keeps it as the run's newest checkpoint, by and by. Only rank 0 calls it."""


def work(
    config: Config,
    shards: str,
    place: DistributedContext,
    session: Session,
    cache: Literal["none", "device"] = "none",
    **copies: Any,
) -> int:
    """Trains until `config.images` have been shown or the session stops it; returns the position reached.

    `shards`, `cache` and `copies` are the Reader's: where the images come from, whether they stay on the device, and
    where copies of remote shards are kept.

    Raises NotFiniteError, and RunError if a shard is damaged.
    """

    # ---- the data set, the networks, and where an earlier attempt got to
    manifest = Manifest.load(shards)
    assert manifest.size is not None, "train.plan() refuses images that vary in size"
    rows = attribute_rows(shards, config.attributes, ROWS) if config.attributes else None
    adversaries = AdversarialObjective(config, manifest.size, place, rows)
    position = _restore(adversaries, session, place)
    judging = evaluator(config, config.evaluation.count, shards, place, copies)
    if position == 0:
        _show(adversaries, session, position)

    # ---- the loop
    with Reader(
        shards,
        "train",
        batch=config.batch,
        rank=place.rank,
        world_size=place.world_size,
        seed=config.seed,
        position=position,
        device=place.device,
        flip=config.flip,
        attributes=config.attributes,
        window=config.window,
        cache=cache,
        **copies,
    ) as reader:
        batches, pace = iter(reader), Throughput(position)
        stopped = False
        while position < config.images and not stopped:
            batch = next(batches)
            adversaries.step(batch.images, position, batch.attributes)
            before, position = position, position + config.batch
            ends = position >= config.images
            saves = ends or _passed(config.checkpoints.every, before, position)
            judges = ends or config.evaluation.due(before, position)
            logs = saves or judges or _passed(config.log_every, before, position)
            scores: dict[str, float] = {}

            if logs:  # at every checkpoint too, so that nothing measured is pending in one
                measures = adversaries.measures()
                _refuse_non_finite(measures, position)
                session.metrics(measures | pace.lap(position, reader.waited), position)
                stopped = place.any(session.stopping)
            if judges:
                with pace.paused():
                    _show(adversaries, session, position)
                    if config.evaluation.place == "aside" and not ends:
                        _score_aside(adversaries, session, position)
                    else:
                        if ends and config.evaluation.final_count:
                            judging = evaluator(config, config.evaluation.final_count, shards, place, copies)
                        scores = _score(adversaries, judging, session, position)
                stopped = place.any(stopped or session.stopping)  # a search may not like the score
            if (saves or stopped or (logs and session.hurrying)) and place.leads:
                with pace.paused():
                    session.save(checkpoint.snapshot(adversaries, position, manifest.digest, judging.identity, scores))
    return position


def evaluator(config: Config, count: int, shards: str, place: DistributedContext, copies: dict[str, Any]) -> Evaluator:
    """Scores of few images and of many are held against the same real images."""
    knobs = config.evaluation
    real = max(knobs.count, knobs.final_count or 0)
    return Evaluator(
        shards,
        knobs.split,
        extractor=knobs.extractor,
        count=count,
        real_count=real,
        device=place.device,
        copies=copies,
    )


def _restore(adversaries: AdversarialObjective, session: Session, place: DistributedContext) -> int:
    """Puts the newest sound checkpoint back and returns its position; 0 if there is none yet.

    Rank 0 chooses: a checkpoint that is written or damaged just now may look different to each rank.
    """
    position = place.from_first(_restore_newest(adversaries, session) if place.leads else 0)
    if position and not place.leads:
        folder = next((folder for folder in session.checkpoints() if runs.position_of(folder) == position), None)
        if folder is None:
            raise RunError(f"rank 0 sees a checkpoint at {position:,} images, rank {place.rank} does not; share --runs")
        checkpoint.restore(folder, adversaries)
    return position


def _restore_newest(adversaries: AdversarialObjective, session: Session) -> int:
    folders = session.checkpoints()
    for folder in folders:
        try:
            return checkpoint.restore(folder, adversaries).position
        except (RunError, UserError) as e:
            session.warn(str(e), 0)
    if folders:
        raise RunError(f"{folders[0].parent}: every checkpoint is damaged; start a new run")
    return 0


def _passed(every: int, before: int, after: int) -> bool:
    """Whether a multiple of `every` images lies in (before, after]."""
    return before // every != after // every


def _refuse_non_finite(measures: dict[str, float], position: int) -> None:
    for name, value in measures.items():
        if not math.isfinite(value):
            raise NotFiniteError(f"{name} is {value} at {position:,} images; lower the learning rates")


def _averaged_faces(adversaries: AdversarialObjective) -> Sampler:
    config, device = adversaries.config, adversaries.place.device
    recalibrate(adversaries.average, config.latent_dimensions, device)
    return Sampler(adversaries.average, config.latent_dimensions, device, config.seed)


def _show(adversaries: AdversarialObjective, session: Session, position: int) -> None:
    """The same latents every time, so that one watches faces form."""
    if adversaries.place.leads:
        session.image("faces", _averaged_faces(adversaries).sheet(GRID_FACES, GRID_COLUMNS).numpy(), position)


def _score(
    adversaries: AdversarialObjective, evaluator: Evaluator, session: Session, position: int
) -> dict[str, float]:
    """Every rank gets the same scores. An evaluation that fails, on any rank, is said so and ends nothing."""
    faces = _averaged_faces(adversaries)
    try:
        scores = evaluator.score(lambda first, count: faces.draw(first, count, Purpose.EVALUATION))
    except RunError as e:
        session.warn(f"the evaluation at {position:,} images failed: {e}", position)
        return {}
    session.metrics({f"score/{name}": value for name, value in scores.items()}, position)
    return scores


def _score_aside(adversaries: AdversarialObjective, session: Session, position: int) -> None:
    if adversaries.place.leads:
        session.score_aside(_averaged_faces(adversaries), adversaries.size, position)


class Throughput:
    """Images per second of training, with pauses for evaluation and checkpoints left out."""

    def __init__(self, position: int) -> None:
        self._position, self._waited = position, 0.0
        self._since, self._paused = time.monotonic(), 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._paused += time.monotonic() - start

    def lap(self, position: int, waited: float) -> dict[str, float]:
        """The pace since the last lap; `waited`: seconds spent waiting for data since the start."""
        seconds = max(time.monotonic() - self._since - self._paused, 1e-9)
        speeds = {
            "speed/images_per_second": (position - self._position) / seconds,
            "speed/waiting_for_data": (waited - self._waited) / seconds,
        }
        self._position, self._waited = position, waited
        self._since, self._paused = time.monotonic(), 0.0
        return speeds
