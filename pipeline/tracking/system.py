"""Readings of the machine of rank 0 during training, under the names of MLflow's system page."""

from __future__ import annotations

import time

from raygan.pipeline.tracking import private

EVERY = 15.0  # seconds between readings


class System:
    """CPU, memory, disk and network of this machine, and its NVIDIA GPUs if it has any."""

    def __init__(self) -> None:
        self._monitors = private.system_monitors()
        for monitor in self._monitors:
            monitor.collect_metrics()  # the CPU's first value is always 0: it is measured against an earlier reading
            monitor.clear_metrics()
        self._next = time.monotonic() + 1

    def read(self) -> dict[str, float]:
        """The values now, by metric name; empty when the last reading is younger than EVERY."""
        if time.monotonic() < self._next:
            return {}
        self._next = time.monotonic() + EVERY
        values: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            values |= {f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return values
