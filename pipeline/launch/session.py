"""The worker's Session on a cluster: checkpoints to the run's folder, all else from rank 0 to MLflow and the driver."""

from collections.abc import Callable, Sequence

import numpy as np

from raygan.pipeline import tracking
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.launch.background_evaluation import BackgroundEvaluation, EvaluationResult
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.training import runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.checkpoint_manager import CheckpointManager, patiently
from raygan.pipeline.training.header import in_words
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.retries import AWAY_SECONDS

IDENTITY = "score identity"  # the tag: scores of runs that differ in it are not compared


class ClusterSession:
    """`post` leaves news at the driver's desk and returns whether the run shall stop. Only rank 0 leads.

    `reclaimed` says whether a node of the run will be taken away; all ranks ask it at the same positions.
    """

    def __init__(
        self, run: Run, leads: bool, post: Callable[[Event], bool], reclaimed: Callable[[], bool] = lambda: False
    ) -> None:
        self.stopping = self.hurrying = False
        self._reclaimed = reclaimed
        self._folder, self._post = run.folder, post
        self._writer = tracking.Writer(run.tracking, run.run_id, run.spool, run.home) if leads else None
        self._keeper = CheckpointManager(
            run.folder, run.config.checkpoints.keep, self._writer.copy if self._writer else None
        )
        self._aside = BackgroundEvaluation(run)
        self._newest = 0  # position

    def checkpoints(self) -> Sequence[Folder]:
        return patiently(self._folder)(runs.checkpoints, self._folder)

    def metrics(self, values: dict[str, float], position: int) -> None:
        self.hurrying = self._reclaimed()
        if self._writer is not None:
            self._newest = position
            self._writer.metrics(values, position)
            self.stopping = self._post(Event(position, values))
            self._record(self._aside.collect())

    def warn(self, words: str, position: int) -> None:
        if self._writer is not None:
            self._writer.tags({"warning": words})
            self.stopping = self._post(Event(position, {}, words))

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        if self._writer is not None:
            self._writer.image(name, image, position)

    def score_aside(self, faces: Sampler, size: int, position: int) -> None:
        if why_not := self._aside.begin(faces, size, position):
            self.warn(f"the evaluation at {position:,} images was left out: {why_not}", position)

    def _record(self, found: EvaluationResult | None) -> None:
        """Scores that came late belong to the position, and to the checkpoint, that was judged."""
        if found is None or self._writer is None:
            return
        if found.failure:
            self.warn(f"the evaluation at {found.position:,} images failed: {found.failure}", self._newest)
            return
        scores = {f"score/{name}": value for name, value in found.scores.items()}
        self._writer.metrics(scores, found.position)
        self._writer.tags({IDENTITY: in_words(found.identity)})
        self._keeper.rescore(found.position, found.scores, found.identity)
        self.stopping = self._post(Event(self._newest, scores))

    def save(self, taken: Snapshot) -> None:
        if self._writer is not None and taken.header.scores:
            self._writer.tags({IDENTITY: in_words(taken.header.identity)})
        try:
            self._keeper.save(taken)
            self.stopping = self._post(Event(taken.header.position, {"checkpoint": taken.header.position}))
        except RunError as e:
            self.warn(f"{e}; training goes on, and earlier checkpoints are kept", taken.header.position)

    def finish(self) -> None:
        """Waits for the newest checkpoint and a last evaluation. Raises RunError if the first could not be written.

        No later one will make good for it, so it is tried for some minutes: a disk may be given room, a store be back.
        """
        self._record(self._aside.end())
        try:
            self._keeper.wait()
        except RunError as e:
            self.warn(f"{e}; it is the last one, and is tried for {AWAY_SECONDS / 60:g} minutes more", self._newest)
            self._keeper.insist()

    def close(self, seconds: float) -> None:
        """Ends the threads; waits at most `seconds` for MLflow. What it has not taken, the next session delivers."""
        self._keeper.close()
        if self._writer is not None:
            self._writer.close(seconds)
            if lost := self._writer.lost:
                words = f"{lost} write(s) to MLflow are lost: the disk of their spool did not take them"
                self._post(Event(self._newest, {}, words))
