"""The worker's Session on a cluster: checkpoints to the run's folder, all else from rank 0 to MLflow and the driver."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline import runs, tracking
from pipeline.checkpoint import Snapshot
from pipeline.desk import News
from pipeline.keeper import Keeper, patiently
from pipeline.runs import Run
from sharding.errors import RunError
from sharding.stores import Folder


class ClusterSession:
    """`post` leaves news at the driver's desk and returns whether the run shall stop. Only rank 0 leads.

    `reclaimed` says whether a node of the run will be taken away; all ranks ask it at the same positions.
    """

    def __init__(
        self, run: Run, leads: bool, post: Callable[[News], bool], reclaimed: Callable[[], bool] = lambda: False
    ) -> None:
        self.stopping = self.hurrying = False
        self._reclaimed = reclaimed
        self._folder, self._post = run.folder, post
        self._writer = tracking.Writer(run.tracking, run.run_id, run.spool) if leads else None
        self._keeper = Keeper(run.folder, run.config.checkpoints.keep)

    def checkpoints(self) -> Sequence[Folder]:
        return patiently(self._folder)(runs.checkpoints, self._folder)

    def metrics(self, values: dict[str, float], position: int) -> None:
        self.hurrying = self._reclaimed()
        if self._writer is not None:
            self._writer.metrics(values, position)
            self.stopping = self._post(News(position, values))

    def warn(self, words: str, position: int) -> None:
        if self._writer is not None:
            self._writer.tags({"warning": words})
            self.stopping = self._post(News(position, {}, words))

    def image(self, name: str, image: np.ndarray, position: int) -> None:
        if self._writer is not None:
            self._writer.image(name, image, position)

    def save(self, taken: Snapshot) -> None:
        try:
            self._keeper.save(taken)
            self.stopping = self._post(News(taken.header.position, {"checkpoint": taken.header.position}))
        except RunError as e:
            self.warn(f"{e}; training goes on, and earlier checkpoints are kept", taken.header.position)

    def finish(self) -> None:
        """Waits for the newest checkpoint. Raises RunError if it could not be written."""
        self._keeper.wait()

    def close(self, seconds: float) -> None:
        """Ends the threads; waits at most `seconds` for MLflow. What it has not taken, the next session delivers."""
        self._keeper.close()
        if self._writer is not None:
            self._writer.close(seconds)
