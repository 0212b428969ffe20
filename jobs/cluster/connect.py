"""The Ray cluster that a command runs on: the one at RAY_ADDRESS, or one on this machine that ends with the command."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from raygan.jobs.cluster import token
from raygan.jobs.ui.progress import console
from raygan.pipeline.launch.private import ask_head
from raygan.sharding.errors import UserError

GROUP = "ray.io/node-group"  # the label of a node that KubeRay, `ray up` or an autoscaler started


@contextmanager
def cluster(cpus: int = 1, gpus: int = 0) -> Iterator[None]:
    """Connects to Ray. A local cluster claims at least `cpus` logical CPUs, so that small machines run small work.

    Raises UserError if RAY_ADDRESS leads to no cluster, its token is another, or it will never hold what is asked.
    """
    token.require()
    # uv's hook would upload the whole working directory.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address := os.environ.get("RAY_ADDRESS"):
        _connect(address, quiet)
    else:
        ray.init(num_cpus=max(cpus, os.cpu_count() or 1), include_dashboard=True, **quiet)
    try:
        look_for_room(cpus, gpus)
        yield
    finally:
        ray.shutdown()


def _connect(address: str, quiet: Mapping[str, object]) -> None:
    import ray

    if address.startswith("http"):
        raise UserError(f"RAY_ADDRESS={address}: this dashboard takes jobs: type raygan submit -- and the command")
    try:
        _knock(address)
        ray.init(address, **quiet)
    except ray.exceptions.AuthenticationError as e:
        raise token.refusal(f"RAY_ADDRESS={address}", e) from e
    except OSError as e:
        raise UserError(f"RAY_ADDRESS={address}: no Ray cluster answers there; start one or unset it") from e


def _knock(address: str) -> None:
    """Finds at once what `ray.init` tries for twenty seconds: nobody there, or another token."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
        ask_head(address)


def look_for_room(cpus: int, gpus: int) -> None:
    """Refuses what a fixed cluster cannot hold; on one that somebody adds nodes to, says that the work will wait."""
    import ray

    total = ray.cluster_resources()
    grows = any(GROUP in node["Labels"] for node in ray.nodes() if node["Alive"])
    for name, flag, asked in (("CPU", "--workers times --cpus-per-worker", cpus), ("GPU", "--workers", gpus)):
        if (held := total.get(name, 0)) >= asked:
            continue
        short = f"{flag} asks for {asked} {name}s, and this cluster has {held:g}"
        if not grows:
            raise UserError(f"{short}: ask for fewer or add nodes")
        console.print(f"{short} yet: waiting for its nodes (Ctrl-C ends the wait)", style="yellow", soft_wrap=True)
