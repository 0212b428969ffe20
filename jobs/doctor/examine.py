"""All checks of a cluster, from this process, which is connected to it or runs as a job on it."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raygan.jobs.cluster.connect import cluster, dashboard
from raygan.jobs.doctor import probes
from raygan.jobs.doctor.checks import CHECKS
from raygan.jobs.doctor.results import CheckResult, Node, ProbedCluster, Requirements
from raygan.jobs.ui.waiting import waiting
from raygan.sharding.storage.folder import Folder

PATIENCE = 60.0  # seconds for a node to run a small task


def examine(required: Requirements) -> Iterator[CheckResult]:
    """Connects to the cluster at RAY_ADDRESS, or starts one here, and yields the result of each check.

    Raises UserError and RunError if there is no cluster to check.
    """
    with cluster():
        probed = _probe(required)
        for check in CHECKS:
            yield check(probed)


def _probe(required: Requirements) -> ProbedCluster:
    """Runs the probes on all nodes at once."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    with _scratch(required) as (scratch, unwritten):
        contexts = [probes.NodeContext(n, node["Resources"].get("GPU", 0), scratch) for n, node in enumerate(alive)]
        tasks = [
            _on(node["NodeID"], probes.probe, required, context) for node, context in zip(alive, contexts, strict=True)
        ]
        with waiting(f"{len(tasks)} node(s) to answer"):
            ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)
        outcomes = list(zip(alive, map(_outcome, tasks), strict=True))
        written = tuple(scratch.list()[0]) if scratch is not None else ()
    nodes = [
        Node(_name(node), node["NodeID"], node["Resources"], node["Labels"], probed, _clock_offset(node["NodeID"]))
        for node, probed in outcomes
        if probed is not None
    ]
    unresponsive = [_name(node) for node, probed in outcomes if probed is None]
    return ProbedCluster(required, nodes, unresponsive, dashboard(), written, unwritten)


@contextmanager
def _scratch(required: Requirements) -> Iterator[tuple[Folder | None, str]]:
    """A folder beside the runs with a file in it, while the nodes are probed; or None, and why there is none."""
    if required.runs is None:
        yield None, ""
        return
    scratch = Folder(required.runs) / f".doctor-{secrets.token_hex(4)}"
    try:
        scratch.write(probes.WRITTEN, b"")
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


def _outcome(task: Any) -> dict[str, Any] | None:
    """What a node's probes gave; None if the node did not answer in time."""
    import ray

    try:
        return ray.get(task, timeout=0)
    except ray.exceptions.RayError:
        return None


def _clock_offset(id: str) -> float:
    """Seconds that a node's clock is ahead of ours. The node has a worker process by now, so that a call is short."""
    import ray

    before = time.time()
    there = ray.get(_on(id, probes.clock), timeout=PATIENCE)
    after = time.time()
    return there - min(max(there, before), after)


def _name(node: dict[str, Any]) -> str:
    head = "head, " if "node:__internal_head__" in node["Resources"] else ""
    return f"{node['NodeManagerAddress']} ({head}{node['NodeID'][:6]})"
