"""The Ray cluster that a command runs on: the one at RAY_ADDRESS, or one on this machine that ends with the command."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sharding.errors import UserError


@contextmanager
def cluster(cpus: int = 1, gpus: int = 0) -> Iterator[None]:
    """Connects to Ray. A local cluster claims at least `cpus` logical CPUs, so that small machines run small work."""
    import ray

    if ray.is_initialized():
        yield
        return
    # uv's hook would upload the whole working directory.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(address, **quiet)
        except ConnectionError as e:
            raise UserError(f"RAY_ADDRESS={address}: no Ray cluster answers there; start one or unset it") from e
    else:
        ray.init(num_cpus=max(cpus, os.cpu_count() or 1), include_dashboard=True, **quiet)
    try:
        _has_room(cpus, gpus)
        yield
    finally:
        ray.shutdown()


def _has_room(cpus: int, gpus: int) -> None:
    import ray

    total = ray.cluster_resources()
    for name, flag, asked in (("CPU", "--workers times --cpus-per-worker", cpus), ("GPU", "--workers", gpus)):
        if (held := total.get(name, 0)) < asked:
            raise UserError(
                f"{flag} asks for {asked} {name}s, and this cluster has {held:g}: ask for fewer or add nodes"
            )
