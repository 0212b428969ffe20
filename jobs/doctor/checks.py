"""The checks, in the order of the table. Each judges one thing, and says the remedy."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from raygan.jobs.cluster.connect import GROUP
from raygan.jobs.doctor import collective
from raygan.jobs.doctor.finding import Cluster, Finding, Node, Trouble, judged, skipped
from raygan.jobs.doctor.node import installed
from raygan.pipeline import tracking as mlflow
from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest

CLOCK_SECONDS = 2.0
SHARED_MEMORY = 500e6  # bytes; Docker gives 64 MB, NCCL and Ray's object store want much more
FULL = 0.95  # of a disk; from there on Ray places no objects


def nodes(cluster: Cluster) -> Finding:
    problems = [f"{name} did not run a task within a minute" for name in cluster.silent]
    return judged(
        "nodes", problems, f"{len(cluster.nodes)} answer", "look at the node, or end its `ray start` and begin it anew"
    )


def versions(cluster: Cluster) -> Finding:
    problems, ours = list(_troubles(cluster, "versions")), installed()
    for node, found in _seen(cluster, "versions"):
        differ = [f"{name} {found[name]} (the driver: {ours[name]})" for name in ours if found[name] != ours[name]]
        problems += [f"{node.name} has {', '.join(differ)}"] if differ else []
    fine = ", ".join(f"{name} {number}" for name, number in ours.items())
    return judged("versions", problems, fine, "use one image, or one requirements.txt, on all nodes")


def gpus(cluster: Cluster) -> Finding:
    total = sum(node.resources.get("GPU", 0) for node in cluster.nodes)
    if not (total or cluster.asked.gpu):
        return skipped("gpus", "none, and none asked for (--gpu)")
    problems = list(_troubles(cluster, "gpus")) if total else ["no node has one"]
    for node, usable in _seen(cluster, "gpus"):
        if usable < (claimed := node.resources.get("GPU", 0)):
            problems.append(f"Ray counts {claimed:g} on {node.name}, torch can use {usable}")
    return judged("gpus", problems, f"torch can use all {total:g}", "install the driver and torch's CUDA build there")


def clocks(cluster: Cluster) -> Finding:
    wrong = [node for node in cluster.nodes if abs(node.ahead) > CLOCK_SECONDS]
    problems = [f"{node.name} is {node.ahead:+.1f} s from the driver" for node in wrong]
    return judged(
        "clocks", problems, f"within {CLOCK_SECONDS:g} s", "let chrony or systemd-timesyncd set the clock of the node"
    )


def shared_memory(cluster: Cluster) -> Finding:
    problems = list(_troubles(cluster, "shared_memory"))
    seen = list(_seen(cluster, "shared_memory"))
    problems += [f"{node.name} has {size / 1e6:.0f} MB" for node, size in seen if size < SHARED_MEMORY]
    fine = f"at least {min((size for _, size in seen), default=0) / 1e9:.1f} GB"
    return judged("shared memory", problems, fine, "give containers --shm-size=8g, or a memory volume at /dev/shm")


def disks(cluster: Cluster) -> Finding:
    problems = list(_troubles(cluster, "disks"))
    for node, found in _seen(cluster, "disks"):
        for path, (total, free) in found.items():
            if free < (1 - FULL) * total:
                problems.append(f"{node.name}: {path} has {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
    return judged("disks", problems, "none is nearly full", "make room, or move Ray with --temp-dir of `ray start`")


def shards(cluster: Cluster) -> Finding:
    if cluster.asked.shards is None:
        return skipped("shards", "not asked for (--shards)")
    try:
        digest = Manifest.load(cluster.asked.shards).digest
    except UserError as e:
        return judged(
            "shards", [f"driver: {e}"], "", "make the data set with raygan shard, on storage that all nodes reach"
        )
    problems = list(_troubles(cluster, "shards"))
    problems += [f"{node.name} reads another data set" for node, found in _seen(cluster, "shards") if found != digest]
    fine = f"every node reads {digest[:12]}"
    return judged("shards", problems, fine, "give every node the same address of, and the same rights to, the storage")


def storage(cluster: Cluster) -> Finding:
    if cluster.asked.runs is None:
        return skipped("storage", "not asked for (--runs)")
    problems = [f"driver: {cluster.unwritten}"] if cluster.unwritten else list(_troubles(cluster, "storage"))
    seen = _seen(cluster, "storage")
    problems += [
        f"the driver does not see what {node.name} wrote" for node, name in seen if name not in cluster.written
    ]
    fine = "every node writes, and sees what others wrote"
    return judged(
        "storage", problems, fine, "mount one shared file system, writable, at this path on every node; or use s3://"
    )


def tracking(cluster: Cluster) -> Finding:
    if cluster.asked.tracking is None:
        return skipped("tracking", "not asked for (--tracking)")
    problems = list(_troubles(cluster, "tracking"))
    try:
        mlflow.check_writing(cluster.asked.tracking)
    except UserError as e:
        problems.append(f"driver: {e}")
    fine = "every node reaches it, and the driver writes"
    return judged(
        "tracking", problems, fine, "start the server, admit this name with --allowed-hosts, give nodes its credentials"
    )


def registry(cluster: Cluster) -> Finding:
    if cluster.asked.tracking is None:
        return skipped("registry", "not asked for (--tracking)")
    try:
        mlflow.check_registry(cluster.asked.tracking)
    except UserError as e:
        return judged(
            "registry", [str(e)], "", "give the server a database as its registry, and us the right to write to it"
        )
    return judged("registry", [], "takes models", "")


def dead_runs(cluster: Cluster) -> Finding:
    if cluster.asked.tracking is None:
        return skipped("dead runs", "not asked for (--tracking)")
    try:
        closed = [run.name for run in mlflow.close_dead_runs(cluster.asked.tracking)]
    except UserError as e:
        return judged("dead runs", [str(e)], "", "as for tracking")
    return judged("dead runs", [], f"closed {', '.join(closed)}" if closed else "none", "")


def token(cluster: Cluster) -> Finding:
    """A stranger asks the dashboard for its jobs."""
    if cluster.dashboard is None:
        return skipped("token", "this cluster has no dashboard")
    try:
        urllib.request.urlopen(f"{cluster.dashboard}/api/jobs/", timeout=20).close()
    except urllib.error.HTTPError as e:
        problems = [] if e.code == 401 else [f"the dashboard answers {e.code}"]
    except OSError as e:
        problems = [f"the dashboard does not answer ({e})"]
    else:
        problems = ["whoever reaches the dashboard may run code here"]
    return judged("token", problems, "who has none is refused", "start Ray with RAY_AUTH_MODE=token on every node")


def room(cluster: Cluster) -> Finding:
    asked = cluster.asked
    fitting = sum(node.room(asked) for node in cluster.nodes)
    words = f"{asked.workers} worker(s) asked for, room for {fitting}"
    if fitting >= asked.workers:
        return judged("room", [], f"{words}: {fitting // asked.workers} such run(s) at once", "")
    if any(GROUP in node.labels for node in cluster.nodes):
        return skipped("room", f"{words} yet; the cluster may grow")
    return judged("room", [words], "", "add nodes, or ask for fewer --workers or --cpus-per-worker")


def all_reduce(cluster: Cluster) -> Finding:
    able = [node for node in cluster.nodes if node.room(cluster.asked)]
    places = [node.id for node in able] * (min(2, able[0].room(cluster.asked)) if len(able) == 1 else 1)
    if len(places) < 2:
        return skipped("all-reduce", "there is room for one worker, which has nobody to reduce with")
    try:
        speed = collective.bandwidth(places, cluster.asked.gpu)
    except Exception as e:
        problems = [" ".join(str(e).split())[-300:]]
        remedy = "open the network between the nodes; name its interface in GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME"
        return judged("all-reduce", problems, "", remedy)
    return judged("all-reduce", [], f"{len(places)} ranks on {len(able)} node(s), {speed / 1e6:,.0f} MB/s each", "")


CHECKS: tuple[Callable[[Cluster], Finding], ...] = (
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
    room,
    all_reduce,
)


def _all(cluster: Cluster, look: str) -> Iterator[tuple[Node, Any]]:
    return ((node, node.seen[look]) for node in cluster.nodes)


def _seen(cluster: Cluster, look: str) -> Iterator[tuple[Node, Any]]:
    return ((node, found) for node, found in _all(cluster, look) if not isinstance(found, Trouble))


def _troubles(cluster: Cluster, look: str) -> Iterator[str]:
    return (f"{node.name}: {found.words}" for node, found in _all(cluster, look) if isinstance(found, Trouble))
