"""Writes for a run from a worker: to disk at once, to MLflow from a thread, so that training never waits."""

from __future__ import annotations

import functools
import logging
import math
import posixpath
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from raygan.pipeline.tracking.client import client, first_line, redact
from raygan.pipeline.tracking.spool.delivery import Delivery
from raygan.pipeline.tracking.spool.flush import flush_copies, leave_copy
from raygan.pipeline.tracking.spool.spool import Record, Spool, undelivered
from raygan.pipeline.tracking.system import System
from raygan.sharding.storage.folder import Folder

log = logging.getLogger(__name__)
GATHER = 1.0  # seconds between deliveries, so that points are sent in batches
LONGEST_START = 20.0  # seconds until MLflow, whose import takes seconds, is imported although nothing was written yet
LONGEST_PAUSE = 30.0  # seconds between attempts while the server does not answer
NOT_IN_A_KEY = re.compile(r"[^\w\-./ :]")
LONGEST_KEY = 250  # characters

Method = TypeVar("Method", bound=Callable[..., None])


def _never_raises(method: Method) -> Method:
    """Counts and logs a write that fails (a full disk, a value that is no number) instead of raising."""

    @functools.wraps(method)
    def guarded(self: Writer, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            self.lost += 1
            log.warning("a write to the tracking spool in %s failed", self._folder, exc_info=self.lost == 1)

    return guarded  # type: ignore[return-value]


class Writer:
    """Writes for one run, from one worker (rank 0). No method raises, and only `close` waits for the server.

    `spool` is a folder on this machine's disk. `home` is the run's folder if that is in an object store: see `copy`.
    What an earlier writer left in either, because it was killed or the server did not answer, is delivered first.
    Positions are in images.
    """

    def __init__(self, uri: str, run_id: str, spool: Path, home: Folder | None = None) -> None:
        self._spool = Spool.beside(Path(spool).resolve(), uri, run_id)  # a worker that this one replaces may still run
        self._folder, self._home = self._spool.folder, home
        self.lost = 0  # writes that failed: the spool does not have them either
        self._position: int | None = None  # the newest
        self._closing = threading.Event()
        self._wanted = threading.Event()  # something was written, or the writer is closed
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._deliver, name="tracking", daemon=True)
        self._thread.start()

    @_never_raises
    def metrics(self, values: Mapping[str, float], position: int) -> None:
        """Numbers at a position; the part of a key before the slash is its group: loss/, score/, speed/, system/."""
        numbers = {_valid(key): float(value) for key, value in values.items()}
        self._append({"kind": "metrics", "values": numbers, "position": int(position)})
        self._position = max(int(position), self._position or 0)  # scores may come late

    @_never_raises
    def image(self, key: str, image: np.ndarray, position: int) -> None:
        """An image, uint8 [H, W, 3], for the slider of `key` over positions."""
        if image.dtype != np.uint8 or image.ndim != 3:
            raise ValueError(f"{key}: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
        path = self._spool.keep_image(image)
        self._append({"kind": "image", "key": _valid(key), "path": path, "position": int(position)})

    @_never_raises
    def artifact(self, path: str | Path, folder: str = "") -> None:
        """A file or a folder as it is now, for the folder `folder` of the run's artifacts."""
        self._append({"kind": "artifact", "path": self._spool.keep_path(Path(path)), "folder": folder})

    @_never_raises
    def tags(self, tags: Mapping[str, str]) -> None:
        """Tags of the run; a later value of a tag replaces an earlier one."""
        self._append({"kind": "tags", "tags": {_valid(key): redact(str(value)) for key, value in tags.items()}})

    def copy(self) -> None:
        """Copies the undelivered records to a run's folder in an object store: a node's disk is lost with the node.

        It waits for the store to take them. If the store does not answer, a line is logged.
        """
        if self._home is not None:
            try:
                leave_copy(self._spool, self._home)
            except Exception as error:
                log.warning("%s could not be copied to %s (%s)", self._folder, self._home, error)

    def close(self, timeout: float = 30.0) -> int:
        """Delivers the rest within `timeout` seconds; returns the number of writes that MLflow does not have then.

        They stay in the spool and in its copy, which is written within another `timeout` seconds; `flush` delivers them
        later.
        """
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wanted.set()
        self._thread.join(timeout + GATHER)
        if self._home is not None:
            copying = threading.Thread(target=self.copy, daemon=True)
            copying.start()
            copying.join(timeout + GATHER)
        return self.lost + undelivered(self._folder)

    def _append(self, record: Record) -> None:
        self._spool.append(record | {"time": int(time.time() * 1000)})
        self._wanted.set()

    def _deliver(self) -> None:
        delivery: Delivery | None = None
        system: System | None = None
        inherited = self._home is None
        pause = GATHER
        self._wanted.wait(LONGEST_START)
        while time.monotonic() < self._deadline:
            closing = self._closing.is_set()  # read first, so that what was written before close() is drained
            try:
                delivery = delivery or Delivery(client(self._spool.uri), self._spool)
                delivery.heartbeat()
                if not inherited:
                    self._inherit()
                    inherited = True
                delivery.drain()
                if closing:
                    break
                system = system or System()
                if self._position is not None and (values := system.read()):
                    self.metrics(values, self._position)
                pause = GATHER
            except Exception as error:
                if pause == GATHER:
                    log.warning(
                        "MLflow does not take writes (%s); they are kept in %s", first_line(error), self._folder
                    )
                pause = min(2 * pause, LONGEST_PAUSE)
            if closing:
                time.sleep(max(0.0, min(GATHER, self._deadline - time.monotonic())))
            else:
                self._closing.wait(pause)
        self._spool.close()

    def _inherit(self) -> None:
        """Delivers what earlier writers left with the run, before our own: the newest value of a tag must come last."""
        assert self._home is not None
        try:
            flush_copies(self._home, but=self._spool.id)
        except Exception as error:
            log.warning("%s: what earlier workers left there was not delivered (%s)", self._home, error)


def _valid(key: str) -> str:
    """A key that MLflow accepts: one that it refused would block every later write."""
    valid = NOT_IN_A_KEY.sub("_", key)[:LONGEST_KEY]
    if posixpath.normpath(valid) != valid or valid.startswith(("/", ".")):
        raise ValueError(f"{key!r}: a key is words between single slashes")
    return valid
