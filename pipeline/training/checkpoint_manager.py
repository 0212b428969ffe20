"""Writes a run's checkpoints while training continues, and deletes those that are no longer kept."""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from tenacity import Retrying

from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.header import HEADER, Header, best, read_header
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.retries import while_away

log = logging.getLogger(__name__)


def retrying(folder: Folder) -> Retrying:
    """Tries again while an object store does not answer. An error of a local disk is raised at once."""
    return while_away(lambda error: folder.local is None and isinstance(error, OSError))


class CheckpointManager:
    """Keeps the newest checkpoints of a run and the best.

    One is written at a time and at most one waits. A newer one replaces it, so that training never waits. `written` is
    called after each that was written, in the thread that writes.
    """

    def __init__(self, run_folder: Folder, keep: int, written: Callable[[], None] | None = None) -> None:
        self._folder, self._keep = run_folder, keep
        self._written = written or (lambda: None)
        self._thread = ThreadPoolExecutor(1, "checkpoints")
        self._lock = threading.Lock()  # of what follows
        self._waiting: Snapshot | None = None
        self._writing: Future[None] | None = None
        self._error: RunError | None = None  # of the newest write
        self._unwritten: Snapshot | None = None  # by that write

    def save(self, taken: Snapshot) -> None:
        """Writes it in the background. Raises RunError if an earlier write failed; this one is written all the same."""
        with self._lock:
            error, self._error = self._error, None  # taken here, so that it is never that of this write
            self._waiting = taken
            if self._writing is None:
                self._writing = self._thread.submit(self._write_all)
        if error is not None:
            raise error

    def rescore(self, position: int, scores: dict[str, float], identity: dict[str, str]) -> None:
        """Notes in the checkpoint at that position, if there is one, what a later evaluation of it found."""
        self._thread.submit(self._rescore, position, scores, identity)

    def wait(self) -> None:
        """Until the newest is written. Raises RunError if it could not be."""
        if (writing := self._writing) is not None:
            writing.result()
        with self._lock:
            error, self._error = self._error, None
        if error is not None:
            raise error

    def retry(self) -> None:
        """Tries for AWAY_SECONDS to write the newest, if it could not be written before. Raises RunError."""
        if self._unwritten is not None:
            while_away(lambda error: isinstance(error, RunError))(self._write, self._unwritten)

    def _write_all(self) -> None:
        while True:
            with self._lock:
                taken, self._waiting = self._waiting, None
                if taken is None:
                    self._writing = None
                    return
            error = None
            try:
                self._write(taken)
                self._written()
            except RunError as e:
                error = e
            with self._lock:
                self._error, self._unwritten = error, taken if error else None

    def close(self) -> None:
        """Ends the thread once it has written what it was given."""
        self._thread.shutdown()

    def _write(self, taken: Snapshot) -> None:
        position = taken.header.position
        folder = self._folder / runs.checkpoint_name(position)
        try:
            retrying(folder)(checkpoint.write, folder, taken)
            retrying(folder)(self._delete_others, position)
        except OSError as e:
            raise RunError(f"{folder}: the checkpoint could not be written ({e.strerror or e})") from e

    def _rescore(self, position: int, scores: dict[str, float], identity: dict[str, str]) -> None:
        folder = self._folder / runs.checkpoint_name(position)
        try:
            if folder.size(HEADER) is not None:
                retrying(folder)(checkpoint.rescore, folder, scores, identity)
        except (OSError, RunError, UserError) as e:  # the scores are in MLflow; only the choice of the best misses them
            log.warning("%s: its scores could not be noted (%s)", folder, e)

    def _delete_others(self, position: int) -> None:
        present = {runs.position_of(folder): folder for folder in runs.checkpoint_folders(self._folder)}
        headers = {at: header for at, folder in present.items() if (header := _header(folder))}
        for at in present.keys() - kept(headers.values(), position, self._keep):
            present[at].remove(HEADER)  # first: without it, what a crash leaves of the rest is no checkpoint
            present[at].remove_all()


def kept(headers: Iterable[Header], position: int, keep: int) -> set[int]:
    """The positions of the checkpoints that stay once the one at `position` is written.

    Later ones are deleted: they were damaged when the run continued from an earlier one.
    """
    past = {header.position: header for header in headers if header.position <= position}
    chosen = best(past.items())
    return {*sorted(past)[-keep:], *([] if chosen is None else [chosen])}


def _header(folder: Folder) -> Header | None:
    try:
        return read_header(folder)
    except UserError:  # not whole, or damaged
        return None
