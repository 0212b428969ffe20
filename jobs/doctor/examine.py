"""All checks of a cluster, from this process, which is connected to it or runs as a job on it."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raygan.jobs.cluster.connect import cluster
from raygan.jobs.doctor import node
from raygan.jobs.doctor.checks import CHECKS
from raygan.jobs.doctor.finding import Asked, Cluster, Finding, Node
from raygan.sharding.storage.folder import Folder

PATIENCE = 60.0  # seconds for a node to run a small task


def examine(asked: Asked) -> Iterator[Finding]:
    """Connects to the cluster at RAY_ADDRESS, or starts one here, and yields what each check found."""
    with cluster():
        seen = _look_around(asked)
        for check in CHECKS:
            yield check(seen)


def _look_around(asked: Asked) -> Cluster:
    import ray

    alive = [found for found in ray.nodes() if found["Alive"]]
    with _scratch(asked) as (scratch, unwritten):
        places = [node.NodeContext(n, found["Resources"].get("GPU", 0), scratch) for n, found in enumerate(alive)]
        looks = [_on(found["NodeID"], node.look, asked, place) for found, place in zip(alive, places, strict=True)]
        ray.wait(looks, num_returns=len(looks), timeout=PATIENCE)
        outcomes = list(zip(alive, map(_outcome, looks), strict=True))
        written = tuple(scratch.list()[0]) if scratch is not None else ()
    known = [
        Node(_name(found), found["NodeID"], found["Resources"], found["Labels"], seen, _ahead(found["NodeID"]))
        for found, seen in outcomes
        if seen is not None
    ]
    silent = [_name(found) for found, seen in outcomes if seen is None]
    dashboard = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url
    return Cluster(asked, known, silent, f"http://{dashboard}" if dashboard else None, written, unwritten)


@contextmanager
def _scratch(asked: Asked) -> Iterator[tuple[Folder | None, str]]:
    """A folder beside the runs with a file in it, while the nodes look; or None, and why there is none."""
    if asked.runs is None:
        yield None, ""
        return
    scratch = Folder(asked.runs) / f".doctor-{secrets.token_hex(4)}"
    try:
        scratch.write(node.WRITTEN, b"")
    except OSError as e:
        yield None, str(e)
        return
    try:
        yield scratch, ""
    finally:
        scratch.remove_all()


def _on(id: str, function: Any, *arguments: object) -> Any:
    """Starts a function as a task on the node with this id."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(id, soft=False)
    return ray.remote(function).options(num_cpus=0, scheduling_strategy=there).remote(*arguments)


def _outcome(look: Any) -> dict[str, Any] | None:
    import ray

    try:
        return ray.get(look, timeout=0)
    except ray.exceptions.RayError:
        return None


def _ahead(id: str) -> float:
    """Seconds that a node's clock is ahead of ours. The node is warm by now, so that a call is short."""
    import ray

    before = time.time()
    there = ray.get(_on(id, node.clock), timeout=PATIENCE)
    after = time.time()
    return there - min(max(there, before), after)


def _name(found: dict[str, Any]) -> str:
    head = "head, " if "node:__internal_head__" in found["Resources"] else ""
    return f"{found['NodeManagerAddress']} ({head}{found['NodeID'][:6]})"
