"""Runs an endless iterator in a thread that stays a few items ahead of whoever takes them."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

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
        self._source, self._ahead, self._name, self._patience = source, ahead, name, patience
        self._ready: deque[T] = deque()
        self._failure: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        started = time.perf_counter()
        with self._changed:
            came = self._changed.wait_for(lambda: self._failure or self._closed or self._ready, self._patience)
            self.waited += time.perf_counter() - started
            if self._failure:
                raise self._failure
            if self._closed:
                raise RunError(f"{self._name} is closed")
            if not came:
                raise RunError(f"{self._name}: nothing came for {self._patience:.0f} s; is the storage still there?")
            item = self._ready.popleft()
            self._changed.notify_all()
        return item

    @property
    def ready(self) -> int:
        """Items that can be taken without waiting, at most `ahead`; the thread rests while there are as many."""
        return len(self._ready)

    def close(self) -> None:
        """Stops the thread; one that hangs in the storage is left behind after some seconds."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join(5)

    def _run(self) -> None:
        try:
            for item in self._source:
                with self._changed:
                    self._ready.append(item)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closed or len(self._ready) < self._ahead)
                    if self._closed:
                        return
        except BaseException as failure:  # whatever it is, it must end the run, not this thread alone
            with self._changed:
                self._failure = failure
                self._changed.notify_all()
