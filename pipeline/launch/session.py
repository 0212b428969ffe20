"""The loop's Session on a cluster: checkpoints to the run's folder, all else from rank 0 to MLflow and the driver."""

from collections.abc import Callable, Sequence

import numpy as np

from raygan.pipeline import tracking
from raygan.pipeline.launch.background_evaluation import BackgroundEvaluation, EvaluationResult
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.objectives.base import Objective
from raygan.pipeline.training import runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.checkpoint_manager import CheckpointManager, retrying
from raygan.pipeline.training.header import in_words
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.retries import AWAY_SECONDS

IDENTITY = "score identity"  # the tag: scores of runs that differ in it are not compared


class ClusterSession:
    """What the loop asks of the cluster: rank 0 writes to MLflow and to the driver's monitor, the others do not.

    `post` sends an event to the driver's monitor and returns whether the run is to stop. Only rank 0 is main.

    `preempted` says whether a node of the run will be taken away; all ranks ask it at the same positions.
    """

    def __init__(
        self, run: Run, is_main: bool, post: Callable[[Event], bool], preempted: Callable[[], bool] = lambda: False
    ) -> None:
        self.stopping = self.preempted = False
        self._preempted = preempted
        self._folder, self._post = run.folder, post
        self._writer = tracking.Writer(run.tracking, run.run_id, run.spool, run.home) if is_main else None
        copied = self._writer.copy if self._writer else None
        self._checkpoints = CheckpointManager(run.folder, run.config.checkpoints.keep, copied)
        self._background = BackgroundEvaluation(run)
        self._newest = 0  # position

    def checkpoints(self) -> Sequence[Folder]:
        """The run's whole checkpoints, newest first. Tries for some minutes if the object store does not answer."""
        return retrying(self._folder)(runs.checkpoints, self._folder)

    def metrics(self, values: dict[str, float], position: int) -> None:
        """Rank 0 sends them to MLflow and the driver, with the scores of a background evaluation that has ended."""
        self.preempted = self._preempted()
        if self._writer is not None:
            self._newest = position
            self._writer.metrics(values, position)
            self.stopping = self._post(Event(position, values))
            self._record(self._background.collect())

    def warn(self, message: str, position: int) -> None:
        """Rank 0 shows the message to the user and sets it as a tag of the run."""
        if self._writer is not None:
            self._writer.tags({"warning": message})
            self.stopping = self._post(Event(position, {}, message))

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        """Rank 0 sends it to MLflow."""
        if self._writer is not None:
            self._writer.image(name, image, position)

    def evaluate_in_background(self, objective: Objective, position: int) -> None:
        """Starts a Ray task; warns if the evaluation before it has not ended."""
        if why_not := self._background.start(objective, position):
            self.warn(f"the evaluation at {position:,} images was left out: {why_not}", position)

    def _record(self, result: EvaluationResult | None) -> None:
        """Scores that come later belong to the position, and to the checkpoint, that was evaluated."""
        if result is None or self._writer is None:
            return
        if result.failure:
            self.warn(f"the evaluation at {result.position:,} images failed: {result.failure}", self._newest)
            return
        scores = {f"score/{name}": value for name, value in result.scores.items()}
        self._writer.metrics(scores, result.position)
        self._writer.tags({IDENTITY: in_words(result.identity)})
        self._checkpoints.rescore(result.position, result.scores, result.identity)
        self.stopping = self._post(Event(self._newest, scores))

    def save(self, snapshot: Snapshot) -> None:
        """Gives it to the checkpoint manager; warns if an earlier one could not be written."""
        position = snapshot.header.position
        if self._writer is not None and snapshot.header.scores:
            self._writer.tags({IDENTITY: in_words(snapshot.header.identity)})
        try:
            self._checkpoints.save(snapshot)
            self.stopping = self._post(Event(position, {"checkpoint": position}))
        except RunError as e:
            self.warn(f"{e}; training continues, and earlier checkpoints are kept", position)

    def finish(self) -> None:
        """Waits for the newest checkpoint and a last evaluation. Raises RunError if the first could not be written.

        No later checkpoint replaces it, so writing is tried for some minutes: a disk or a store may be available again.
        """
        self._record(self._background.end())
        try:
            self._checkpoints.wait()
        except RunError as e:
            self.warn(f"{e}; it is the last one: trying again for {AWAY_SECONDS / 60:g} minutes", self._newest)
            self._checkpoints.retry()

    def close(self, seconds: float) -> None:
        """Ends the threads; waits at most `seconds` for MLflow. What it has not taken, the next session delivers."""
        self._checkpoints.close()
        if self._writer is not None:
            self._writer.close(seconds)
            if lost := self._writer.lost:
                message = f"{lost} write(s) to MLflow are lost: the disk of their spool did not take them"
                self._post(Event(self._newest, {}, message))
