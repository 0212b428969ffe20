"""A thread that makes items before the consumer asks for them."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from raygan.sharding.errors import RunError

B = TypeVar("B")
T = TypeVar("T")
PATIENCE = 300.0  # seconds


class Prefetch(Generic[B, T]):
    """Iterates, without end, over the results of calling `make` again and again in a thread.

    Each call gets what `prepare` returned in the consumer's thread: memory that the consumer frees should be allocated
    there, too, or the allocator returns it to the system and every batch causes page faults. `waited` is the time in
    seconds that the consumer has waited so far. An error in the thread is raised at the next `next`, before the items
    that are ready; an item that does not come within `patience` seconds is a RunError. It is a thread because passing
    batches between processes costs more than reading them.
    """

    def __init__(
        self, make: Callable[[B], T], prepare: Callable[[], B], ahead: int, name: str, patience: float = PATIENCE
    ) -> None:
        self.waited = 0.0
        self._make, self._prepare, self._name, self._patience = make, prepare, name, patience
        self._ready: SimpleQueue[T | _Ended] = SimpleQueue()
        self._wanted: SimpleQueue[B | None] = SimpleQueue()  # None wakes the thread to end
        self._ended: BaseException | None = None
        for _ in range(ahead):
            self._wanted.put(prepare())
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
        self._wanted.put(self._prepare())
        return item

    @property
    def ready(self) -> int:
        """The number of items that can be taken without waiting, at most `ahead`; then the thread pauses."""
        return self._ready.qsize()

    def close(self) -> None:
        """Stops the thread; does not wait longer than some seconds for one that hangs in the storage."""
        self._end(RunError(f"{self._name} is closed"))
        self._wanted.put(None)
        self._thread.join(5)

    def _run(self) -> None:
        try:
            while (prepared := self._wanted.get()) is not None and not self._ended:
                self._ready.put(self._make(prepared))
        except BaseException as failure:  # any error must end the run, not only this thread
            self._end(failure)

    def _end(self, reason: BaseException) -> None:
        self._ended = self._ended or reason
        self._ready.put(_Ended(self._ended))


class _Ended(NamedTuple):
    """Wakes a consumer that waits."""

    reason: BaseException
