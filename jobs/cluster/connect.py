"""The Ray cluster that a command runs on: the one at RAY_ADDRESS, or one on this machine that ends with the command."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raygan.jobs.cluster import token
from raygan.jobs.ui.progress import console
from raygan.jobs.ui.waiting import waiting
from raygan.pipeline.launch.private import ask_head
from raygan.sharding.errors import RunError, UserError

GROUP = "ray.io/node-group"  # the label of a node that KubeRay, `ray up` or an autoscaler started


@contextmanager
def cluster(cpus: int = 1, gpus: int = 0) -> Iterator[None]:
    """Connects to Ray. A local cluster claims at least `cpus` logical CPUs, so that small machines run small work.

    Raises UserError if RAY_ADDRESS leads to no cluster, its token is another, or it will never hold what is asked;
    RunError if Ray does not start on this machine.
    """
    token.require()
    # uv's hook would upload the whole working directory.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    address = os.environ.get("RAY_ADDRESS")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        if address:
            _connect(address)
        else:
            _start(cpus)
        check_capacity(cpus, gpus)
        yield
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    from ray.exceptions import AuthenticationError, RpcError

    where = f"RAY_ADDRESS={address}"
    if address.startswith("http"):
        raise UserError(f"{where}: this dashboard takes jobs: type raygan submit -- and the command")
    try:
        with waiting(f"the Ray cluster at {address}"):
            _knock(address)
            _initialise(address=address)
    except AuthenticationError as e:
        raise token.refusal(where, e) from e
    except OSError as e:
        raise UserError(f"{where}: no Ray cluster answers there; start one or unset it") from e
    except ValueError as e:
        raise UserError(f"{where}: not the address of a cluster; give HOST:PORT of its head, as 10.0.0.1:6379") from e
    except RpcError as e:
        raise UserError(
            f"{where}: what answers there is not the head of a Ray cluster ({_line(e)}); check host and port"
        ) from e
    except RuntimeError as e:
        raise UserError(
            f"{where}: the cluster does not take this process ({_line(e)}); use its versions of Python and Ray"
        ) from e


def _start(cpus: int) -> None:
    try:
        with waiting("Ray to start on this machine"):
            _initialise(num_cpus=max(cpus, os.cpu_count() or 1), include_dashboard=True)
    except OSError as e:
        raise RunError(
            f"Ray does not start on this machine ({_line(e)}); set RAY_TMPDIR to a folder with a short path "
            "that you can write to and that has free space"
        ) from e
    except ValueError as e:
        raise RunError(f"Ray does not start on this machine ({_line(e)}); unset the RAY_ variable that it names") from e
    except Exception as e:  # of a start that takes more than thirty seconds Ray raises a plain Exception
        raise RunError(
            f"Ray does not start on this machine ({_line(e)}); try again when the machine has memory and time to "
            "spare, or set RAY_ADDRESS to a cluster"
        ) from e


def dashboard() -> str | None:
    """The URL of the dashboard of the cluster that this process is connected to; None if it has none."""
    url = _initialise(ignore_reinit_error=True).dashboard_url  # the public way to ask: Ray only describes itself
    return f"http://{url}" if url else None


def _initialise(**options: object) -> Any:
    """The one call of ray.init in raygan's commands. Ray's own log lines stay in its files."""
    import ray

    return ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)


def _knock(address: str) -> None:
    """Finds at once what `ray.init` tries for twenty seconds: nobody there, or another token."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
        ask_head(address)


def _line(error: Exception) -> str:
    """An error of Ray in one line: its own is often a page."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def check_capacity(cpus: int, gpus: int) -> None:
    """Refuses what a fixed cluster cannot hold; on one that adds nodes, says that the work will wait.

    Raises UserError.
    """
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
