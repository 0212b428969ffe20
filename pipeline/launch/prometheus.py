"""A run's measures where Ray's metrics are scraped, for Prometheus and Grafana (infra/observability)."""

from raygan.pipeline.launch.monitor import Event


class PrometheusGauges:
    """Shows the newest measures of one run: `ray_raygan_measure{run, name}`, and `ray_raygan_position{run}` in images.

    Rank 0 holds them; with its process they end.
    """

    def __init__(self, run: str) -> None:
        from ray.util.metrics import Gauge

        self._position = Gauge("raygan_position", "Images shown to the discriminator.", ("run",))
        self._measure = Gauge("raygan_measure", "A measure of training, as MLflow names it.", ("run", "name"))
        self._run = {"run": run}

    def show(self, event: Event) -> None:
        self._position.set(event.position, self._run)
        for name, value in event.metrics.items():
            self._measure.set(value, self._run | {"name": name})
