"""What is made of the nodes' answers; tests/cluster plants faults in real nodes."""

import http.server
import threading

import pytest

from raygan.jobs.doctor import checks
from raygan.jobs.doctor.probes import installed
from raygan.jobs.doctor.results import Node, ProbedCluster, ProbeError, Requirements

NOTHING = Requirements(None, None, None, 1, 1, False)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_node_with_another_version_is_the_one_that_is_named_whichever_it_is(position: int) -> None:
    nodes = [Node(f"node {i}", str(i), {}, {}, {"versions": installed()}, 0.0) for i in range(3)]
    nodes[position].probed["versions"] = installed() | {"raygan": "9.9"}
    found = checks.versions(ProbedCluster(NOTHING, nodes, (), None, (), ""))
    assert found.found == f"node {position} has raygan 9.9 (the driver: {installed()['raygan']})"


class Open(http.server.BaseHTTPRequestHandler):
    """A dashboard that asks for no token."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_a_dashboard_that_asks_for_no_token_fails_the_check() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Open) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dashboard = f"http://127.0.0.1:{server.server_port}"
        found = checks.token(ProbedCluster(NOTHING, (), (), dashboard, (), ""))
        server.shutdown()
    assert (found.status, found.found) == ("failed", "anyone who reaches the dashboard can run code here")


def node(cpus: float, **labels: str) -> Node:
    return Node(f"node with {cpus:g} CPUs", "0", {"CPU": cpus}, labels, {}, 0.0)


@pytest.mark.parametrize(
    ("cpus", "labels", "status", "found"),
    [
        ((4.0, 5.0), {}, "ok", "2 worker(s) asked for, 4 fit: 2 such run(s) at once"),
        ((3.0, 1.0), {}, "failed", "2 worker(s) asked for, 1 fit"),
        ((3.0, 1.0), {checks.GROUP: "gpu"}, "skipped", "2 worker(s) asked for, 1 fit yet; the cluster may grow"),
    ],
)
def test_workers_must_fit_unless_the_cluster_may_grow(
    cpus: tuple[float, ...], labels: dict[str, str], status: str, found: str
) -> None:
    required = NOTHING._replace(workers=2, cpus_per_worker=2)
    result = checks.capacity(ProbedCluster(required, [node(count, **labels) for count in cpus], (), None, (), ""))
    assert (result.status, result.found) == (status, found)


def test_settings_in_a_librarys_message_are_printed_as_flags() -> None:
    failing = node(1.0)
    failing.probed["disks"] = ProbeError("`shard_cache` /x: full")
    result = checks.disks(ProbedCluster(NOTHING, [failing], (), None, (), ""))
    assert result.found == "node with 1 CPUs: --shard-cache /x: full"
