"""The checks, in the order of the table: one function each, which also names the remedy."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from raygan.jobs.cluster.connect import GROUP
from raygan.jobs.doctor import collective
from raygan.jobs.doctor.probes import installed
from raygan.jobs.doctor.results import CheckResult, Node, ProbedCluster, ProbeError, skipped, verdict
from raygan.pipeline import tracking as mlflow
from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest

CLOCK_SECONDS = 2.0
SHARED_MEMORY = 500e6  # bytes; Docker gives 64 MB, NCCL and Ray's object store want much more
FULL = 0.95  # of a disk; from there on Ray places no objects


def nodes(cluster: ProbedCluster) -> CheckResult:
    """Every node must run a task."""
    problems = [f"{name} did not run a task within a minute" for name in cluster.unresponsive]
    return verdict(
        "nodes",
        problems,
        f"{len(cluster.nodes)} answer",
        "look at the node, or stop its `ray start` and start it again",
    )


def versions(cluster: ProbedCluster) -> CheckResult:
    """Python, Ray, torch and raygan must be the driver's on every node."""
    problems, ours = list(_failed(cluster, "versions")), installed()
    for node, found in _probed(cluster, "versions"):
        differ = [f"{name} {found[name]} (the driver: {ours[name]})" for name in ours if found[name] != ours[name]]
        problems += [f"{node.name} has {', '.join(differ)}"] if differ else []
    fine = ", ".join(f"{name} {number}" for name, number in ours.items())
    return verdict("versions", problems, fine, "use one image, or one requirements.txt, on all nodes")


def gpus(cluster: ProbedCluster) -> CheckResult:
    """torch must be able to use as many GPUs as Ray counts."""
    total = sum(node.resources.get("GPU", 0) for node in cluster.nodes)
    if not (total or cluster.required.gpu):
        return skipped("gpus", "none, and none asked for (--gpu)")
    problems = list(_failed(cluster, "gpus")) if total else ["no node has one"]
    for node, usable in _probed(cluster, "gpus"):
        if usable < (claimed := node.resources.get("GPU", 0)):
            problems.append(f"Ray counts {claimed:g} on {node.name}, torch can use {usable}")
    return verdict("gpus", problems, f"torch can use all {total:g}", "install the driver and torch's CUDA build there")


def clocks(cluster: ProbedCluster) -> CheckResult:
    """The nodes' clocks must agree with the driver's."""
    wrong = [node for node in cluster.nodes if abs(node.clock_offset) > CLOCK_SECONDS]
    problems = [f"{node.name} is {node.clock_offset:+.1f} s from the driver" for node in wrong]
    return verdict(
        "clocks", problems, f"within {CLOCK_SECONDS:g} s", "let chrony or systemd-timesyncd set the clock of the node"
    )


def shared_memory(cluster: ProbedCluster) -> CheckResult:
    """/dev/shm must be large enough for Ray's object store and NCCL."""
    problems = list(_failed(cluster, "shared_memory"))
    seen = list(_probed(cluster, "shared_memory"))
    problems += [f"{node.name} has {size / 1e6:.0f} MB" for node, size in seen if size < SHARED_MEMORY]
    fine = f"at least {min((size for _, size in seen), default=0) / 1e9:.1f} GB"
    return verdict("shared memory", problems, fine, "give containers --shm-size=8g, or a memory volume at /dev/shm")


def disks(cluster: ProbedCluster) -> CheckResult:
    """No disk that Ray or the cache uses may be nearly full."""
    problems = list(_failed(cluster, "disks"))
    for node, found in _probed(cluster, "disks"):
        for path, (total, free) in found.items():
            if free < (1 - FULL) * total:
                problems.append(f"{node.name}: {path} has {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
    return verdict(
        "disks", problems, "none is nearly full", "free some space, or move Ray with --temp-dir of `ray start`"
    )


def shards(cluster: ProbedCluster) -> CheckResult:
    """Every node must read the same data set."""
    if cluster.required.shards is None:
        return skipped("shards", "not asked for (--shards)")
    try:
        digest = Manifest.load(cluster.required.shards).digest
    except UserError as e:
        return verdict(
            "shards", [f"driver: {e}"], "", "make the data set with raygan shard, on storage that all nodes reach"
        )
    problems = list(_failed(cluster, "shards"))
    problems += [f"{node.name} reads another data set" for node, found in _probed(cluster, "shards") if found != digest]
    fine = f"every node reads {digest[:12]}"
    return verdict("shards", problems, fine, "give every node the same address of, and the same rights to, the storage")


def storage(cluster: ProbedCluster) -> CheckResult:
    """Every node must write beside the runs, and see what the others wrote."""
    if cluster.required.runs is None:
        return skipped("storage", "not asked for (--runs)")
    problems = [f"driver: {cluster.unwritten}"] if cluster.unwritten else list(_failed(cluster, "storage"))
    seen = _probed(cluster, "storage")
    problems += [
        f"the driver does not see what {node.name} wrote" for node, name in seen if name not in cluster.written
    ]
    fine = "every node writes, and sees what others wrote"
    return verdict(
        "storage", problems, fine, "mount one shared file system, writable, at this path on every node; or use s3://"
    )


def tracking(cluster: ProbedCluster) -> CheckResult:
    """Every node must reach MLflow, and the driver must be able to write there."""
    if cluster.required.tracking is None:
        return skipped("tracking", "not asked for (--tracking)")
    problems = list(_failed(cluster, "tracking"))
    try:
        mlflow.check_writing(cluster.required.tracking)
    except UserError as e:
        problems.append(f"driver: {e}")
    fine = "every node reaches it, and the driver writes"
    return verdict(
        "tracking", problems, fine, "start the server, admit this name with --allowed-hosts, give nodes its credentials"
    )


def registry(cluster: ProbedCluster) -> CheckResult:
    """MLflow must take registered models."""
    if cluster.required.tracking is None:
        return skipped("registry", "not asked for (--tracking)")
    try:
        mlflow.check_registry(cluster.required.tracking)
    except UserError as e:
        return verdict(
            "registry", [str(e)], "", "give the server a database as its registry, and us the right to write to it"
        )
    return verdict("registry", [], "takes models", "")


def dead_runs(cluster: ProbedCluster) -> CheckResult:
    """Closes the MLflow runs whose driver has died."""
    if cluster.required.tracking is None:
        return skipped("dead runs", "not asked for (--tracking)")
    try:
        closed = [run.name for run in mlflow.close_dead_runs(cluster.required.tracking)]
    except UserError as e:
        return verdict("dead runs", [str(e)], "", "as for tracking")
    return verdict("dead runs", [], f"closed {', '.join(closed)}" if closed else "none", "")


def token(cluster: ProbedCluster) -> CheckResult:
    """The dashboard must refuse its list of jobs to a request without a token."""
    if cluster.dashboard is None:
        return skipped("token", "this cluster has no dashboard")
    try:
        urllib.request.urlopen(f"{cluster.dashboard}/api/jobs/", timeout=20).close()
    except urllib.error.HTTPError as e:
        problems = [] if e.code == 401 else [f"the dashboard answers {e.code}"]
    except OSError as e:
        problems = [f"the dashboard does not answer ({e})"]
    else:
        problems = ["anyone who reaches the dashboard can run code here"]
    return verdict(
        "token", problems, "a request without one is refused", "start Ray with RAY_AUTH_MODE=token on every node"
    )


def capacity(cluster: ProbedCluster) -> CheckResult:
    """The required workers must fit, now or when the cluster has grown."""
    required = cluster.required
    fitting = sum(node.capacity(required) for node in cluster.nodes)
    words = f"{required.workers} worker(s) asked for, {fitting} fit"
    if fitting >= required.workers:
        return verdict("capacity", [], f"{words}: {fitting // required.workers} such run(s) at once", "")
    if any(GROUP in node.labels for node in cluster.nodes):
        return skipped("capacity", f"{words} yet; the cluster may grow")
    return verdict("capacity", [words], "", "add nodes, or ask for fewer --workers or --cpus-per-worker")


def all_reduce(cluster: ProbedCluster) -> CheckResult:
    """An all-reduce over the nodes must work; says how fast it is."""
    able = [node for node in cluster.nodes if node.capacity(cluster.required)]
    ranks = [node.id for node in able] * (min(2, able[0].capacity(cluster.required)) if len(able) == 1 else 1)
    if len(ranks) < 2:
        return skipped("all-reduce", "only one worker fits, and an all-reduce takes two")
    try:
        speed = collective.bandwidth(ranks, cluster.required.gpu)
    except Exception as e:
        problems = [" ".join(str(e).split())[-300:]]
        remedy = "open the network between the nodes; name its interface in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME"
        return verdict("all-reduce", problems, "", remedy)
    return verdict("all-reduce", [], f"{len(ranks)} ranks on {len(able)} node(s), {speed / 1e6:,.0f} MB/s each", "")


CHECKS: tuple[Callable[[ProbedCluster], CheckResult], ...] = (
    nodes,
    versions,
    gpus,
    clocks,
    shared_memory,
    disks,
    shards,
    storage,
    tracking,
    registry,
    dead_runs,
    token,
    capacity,
    all_reduce,
)


def _probed(cluster: ProbedCluster, probe: str) -> Iterator[tuple[Node, Any]]:
    """The nodes on which a probe succeeded, with its outcome."""
    for node in cluster.nodes:
        if not isinstance(outcome := node.probed[probe], ProbeError):
            yield node, outcome


def _failed(cluster: ProbedCluster, probe: str) -> Iterator[str]:
    """The nodes on which a probe failed, and why."""
    for node in cluster.nodes:
        if isinstance(outcome := node.probed[probe], ProbeError):
            yield f"{node.name}: {outcome.message}"
