"""Runs an endless iterator in a thread that stays a few items ahead of whoever takes them."""

import threading
import time
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from sharding.errors import RunError

T = TypeVar("T")
PATIENCE = 300.0


class Prefetch(Generic[T]):
    """Iterates over what the endless `source` yields. `waited` is the seconds that the taker has spent waiting so far.

    A failure in the thread is raised at the next `next`, before the items that are ready; an item that does not come
    within `patience` seconds is one. Threads, since handing batches between processes costs more than reading them.
    """

    def __init__(self, source: Iterator[T], ahead: int, name: str, patience: float = PATIENCE) -> None:
        self.waited = 0.0
        self._source, self._name, self._patience = source, name, patience
        self._ready: SimpleQueue[T | _Ended] = SimpleQueue()
        self._wanted: SimpleQueue[bool] = SimpleQueue()  # one True for each item that may be made; False ends it
        self._ended: BaseException | None = None
        for _ in range(ahead):
            self._wanted.put(True)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        started = time.perf_counter()
        if self._ended:
            raise self._ended
        try:
            item = self._ready.get(timeout=self._patience)
        except Empty:
            raise RunError(
                f"{self._name}: nothing came for {self._patience:.0f} s; is the storage still there?"
            ) from None
        finally:
            self.waited += time.perf_counter() - started
        if isinstance(item, _Ended):
            raise item.reason
        self._wanted.put(True)
        return item

    @property
    def ready(self) -> int:
        """Items that can be taken without waiting, at most `ahead`; the thread rests while there are as many."""
        return self._ready.qsize()

    def close(self) -> None:
        """Stops the thread; one that hangs in the storage is left behind after some seconds."""
        self._end(RunError(f"{self._name} is closed"))
        self._wanted.put(False)
        self._thread.join(5)

    def _run(self) -> None:
        try:
            while self._wanted.get() and not self._ended:
                self._ready.put(next(self._source))
        except BaseException as failure:  # whatever it is, it must end the run, not this thread alone
            self._end(failure)

    def _end(self, reason: BaseException) -> None:
        self._ended = self._ended or reason
        self._ready.put(_Ended(self._ended))


class _Ended(NamedTuple):
    """Wakes a taker that waits."""

    reason: BaseException
