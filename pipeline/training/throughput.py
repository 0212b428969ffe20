"""Images per second of training, with pauses for evaluation and checkpoints left out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Throughput:
    """Measures from lap to lap."""

    def __init__(self, position: int) -> None:
        self._position, self._waited = position, 0.0
        self._since, self._paused = time.monotonic(), 0.0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens within it is no training."""
        start = time.monotonic()
        yield
        self._paused += time.monotonic() - start

    def lap(self, position: int, waited: float) -> dict[str, float]:
        """The throughput since the last lap; `waited`: seconds spent waiting for data since the start."""
        seconds = max(time.monotonic() - self._since - self._paused, 1e-9)
        speeds = {
            "speed/images_per_second": (position - self._position) / seconds,
            "speed/waiting_for_data": (waited - self._waited) / seconds,
        }
        self._position, self._waited = position, waited
        self._since, self._paused = time.monotonic(), 0.0
        return speeds
