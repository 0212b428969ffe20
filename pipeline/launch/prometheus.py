"""A run's metrics among those that Ray exports, for Prometheus and Grafana (infra/observability)."""

from raygan.pipeline.launch.monitor import Event


class PrometheusGauges:
    """The newest metrics of one run: `ray_raygan_measure{run, name}`, and `ray_raygan_position{run}` in images.

    Only rank 0's process exports them, and only while it runs.
    """

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Gauge

        self._position = Gauge("raygan_position", "Images shown to the discriminator.", ("run",))
        self._measure = Gauge("raygan_measure", "A measure of training, as MLflow names it.", ("run", "name"))
        self._run = {"run": run}

    def show(self, event: Event) -> None:
        """Sets the gauges to the position and the metrics of an event."""
        self._position.set(event.position, self._run)
        for name, value in event.metrics.items():
            self._measure.set(value, self._run | {"name": name})
