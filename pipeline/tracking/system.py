"""What the machine of rank 0 does while it trains, read with MLflow's own monitors."""

from __future__ import annotations

import contextlib
import time

EVERY = 15.0  # seconds between readings


class System:
    """CPU, memory, disk, network and NVIDIA GPUs if there are any; under the names of MLflow's system page."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        self._monitors = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        with contextlib.suppress(ImportError, RuntimeError):  # no NVIDIA library, or no GPU
            self._monitors.append(GPUMonitor())
        for monitor in self._monitors:
            monitor.collect_metrics()  # the CPU's first value has nothing to be measured against: it is always 0
            monitor.clear_metrics()
        self._next = time.monotonic() + 1

    def read(self) -> dict[str, float]:
        """The values now; nothing when the last reading is younger than EVERY."""
        if time.monotonic() < self._next:
            return {}
        self._next = time.monotonic() + EVERY
        values: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            values |= {f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}
            monitor.clear_metrics()
        return values
