"""What a worker writes about its run: to disk at once, to MLflow from a thread, never in the way of training."""

from __future__ import annotations

import functools
import json
import logging
import math
import posixpath
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pipeline.tracking.client import client, redact
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.spool import Record, Spool, undelivered
from pipeline.tracking.system import System
from sharding.errors import RunError, UserError

log = logging.getLogger(__name__)
GATHER = 1.0  # seconds between deliveries, so that points travel in batches
LONGEST_START = 20.0  # seconds until MLflow, whose import takes seconds of a start, is imported with nothing to write
LONGEST_PAUSE = 30.0  # seconds between attempts while the server is away
NOT_IN_A_KEY = re.compile(r"[^\w\-./ :]")
LONGEST_KEY = 250  # characters

Method = TypeVar("Method", bound=Callable[..., None])


def _never_raises(method: Method) -> Method:
    """A write that fails (a full disk, a value that is no number) is counted and logged; training goes on."""

    @functools.wraps(method)
    def guarded(self: Writer, *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            self._lost += 1
            log.warning("a write to the tracking spool in %s failed", self._folder, exc_info=self._lost == 1)

    return guarded  # type: ignore[return-value]


class Writer:
    """Writes for one run, from one worker (rank 0). Not one method blocks on the server or raises.

    `spool` is a folder on this machine's disk. What an earlier writer left there, because it was killed or the server
    was away, is delivered first. Positions are in images.
    """

    def __init__(self, uri: str, run_id: str, spool: Path) -> None:
        self._spool = Spool.beside(Path(spool).resolve(), uri, run_id)  # the worker that we replace may not be dead yet
        self._folder = self._spool.folder
        self._lost = 0
        self._position: int | None = None  # the newest
        self._closing = threading.Event()
        self._wanted = threading.Event()  # something was written, or the writer is closed
        self._deadline = math.inf
        self._thread = threading.Thread(target=self._deliver, name="tracking", daemon=True)
        self._thread.start()

    @_never_raises
    def metrics(self, values: Mapping[str, float], position: int) -> None:
        """Numbers at a position; keys are in groups: loss/, discriminator/, score/, speed/, system/."""
        numbers = {_valid(key): float(value) for key, value in values.items()}
        self._append({"kind": "metrics", "values": numbers, "position": int(position)})
        self._position = max(int(position), self._position or 0)  # scores may come late

    @_never_raises
    def image(self, key: str, image: np.ndarray, position: int) -> None:
        """A picture, uint8 [H, W, 3], for the slider of key's pictures over positions."""
        if image.dtype != np.uint8 or image.ndim != 3:
            raise ValueError(f"{key}: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
        path = self._spool.keep_image(image)
        self._append({"kind": "image", "key": _valid(key), "path": path, "position": int(position)})

    @_never_raises
    def artifact(self, path: str | Path, folder: str = "") -> None:
        """A file or a folder as it is now, to lie under `folder` among the run's artifacts."""
        self._append({"kind": "artifact", "path": self._spool.keep_path(Path(path)), "folder": folder})

    @_never_raises
    def tags(self, tags: Mapping[str, str]) -> None:
        """Words about the run; a later value of a tag replaces the earlier."""
        self._append({"kind": "tags", "tags": {_valid(key): redact(str(value)) for key, value in tags.items()}})

    def close(self, timeout: float = 30.0) -> int:
        """Delivers what is left for at most `timeout` seconds; returns how many writes MLflow does not have.

        They stay in the spool, and `flush` delivers them later.
        """
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wanted.set()
        self._thread.join(timeout + GATHER)
        return self._lost + undelivered(self._folder)

    def _append(self, record: Record) -> None:
        self._spool.append(record | {"time": int(time.time() * 1000)})
        self._wanted.set()

    def _deliver(self) -> None:
        delivery: Delivery | None = None
        system: System | None = None
        pause = GATHER
        self._wanted.wait(LONGEST_START)
        while time.monotonic() < self._deadline:
            closing = self._closing.is_set()  # looked at first: what was written before close() is then drained
            try:
                delivery = delivery or Delivery(client(self._spool.uri), self._spool)
                delivery.drain()
                if closing:
                    break
                delivery.beat()
                system = system or System()
                if self._position is not None and (values := system.read()):
                    self.metrics(values, self._position)
                pause = GATHER
            except Exception as error:
                if pause == GATHER:
                    log.warning("MLflow does not take writes (%s); they wait in %s", first_line(error), self._folder)
                pause = min(2 * pause, LONGEST_PAUSE)
            if closing:
                time.sleep(max(0.0, min(GATHER, self._deadline - time.monotonic())))
            else:
                self._closing.wait(pause)
        self._spool.close()


def _valid(key: str) -> str:
    """A key that MLflow takes: one that it refused would hold up everything written after it."""
    valid = NOT_IN_A_KEY.sub("_", key)[:LONGEST_KEY]
    if posixpath.normpath(valid) != valid or valid.startswith(("/", ".")):
        raise ValueError(f"{key!r}: a key is words between single slashes")
    return valid


class Flushed(NamedTuple):
    """What became of one spool: its folder, the run it belongs to, writes left in it, and why they were left."""

    folder: Path
    run_id: str
    left: int
    reason: str


def flush(folder: str | Path) -> list[Flushed]:
    """Delivers what killed workers and servers that were away left in the spools under `folder`.

    Raises UserError for a folder that does not exist. A spool that a living run writes to is left alone.
    """
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder; name the folder that holds the spools")
    return [_flush_one(header.parent) for header in sorted(Path(folder).rglob("header.json"))]


def _flush_one(folder: Path) -> Flushed:
    run_id = json.loads((folder / "header.json").read_text())["run_id"]
    try:
        spool = Spool.reopen(folder)
    except RunError:
        return Flushed(folder, run_id, undelivered(folder), "its run is still writing")
    reason = ""
    try:
        Delivery(client(spool.uri), spool).drain()
    except Exception as error:
        reason = first_line(error)
    spool.close()
    return Flushed(folder, run_id, undelivered(folder), reason)


def first_line(error: Exception) -> str:
    """An exception in one line that may be shown; of a failed request, its cause."""
    line = str(error).partition("\n")[0]
    cause = line.rpartition("(Caused by ")[2].rstrip(")")
    return redact(cause[:200] or type(error).__name__)
