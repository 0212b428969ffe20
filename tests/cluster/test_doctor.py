"""A node with a fault of every kind joins a healthy cluster, and the doctor finds each by name."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.pipeline import tracking
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.liveness import DRIVER, this_driver
from tests.cluster.conftest import Cloud, may_unshare
from tests.cluster.nodes import kill

# What the node sees is its own: a small /dev/shm, a runs folder that only looks shared, a home that is nearly full.
FAULTY = (
    'mount -t tmpfs -o size=64m none /dev/shm && mount -t tmpfs none "$1" && mount -t tmpfs -o size=20m none "$2" && '
    'head -c 19500k /dev/zero >"$2/full" && shift 2 && exec "$@"'
)
CLOCK = "import time\nright = time.time\ntime.time = lambda: right() + 30\n"


def examined(cloud: Cloud, *words: str, ends: int) -> dict[str, dict[str, str]]:
    """The results of `raygan doctor` by the name of their check."""
    said = cloud.run("doctor", "--json", "--runs", str(cloud.data / "runs"), *words, ends=ends)
    results = next(line for line in said.splitlines() if line.startswith("[{"))
    return {result["check"]: result for result in json.loads(results)}


def leave_a_run(uri: str) -> None:
    """A run that its driver, which is dead, has not closed."""
    left = tracking.create_run(uri, "raygan", "left", {})
    client(uri).set_tag(left, DRIVER, json.dumps(json.loads(this_driver()) | {"started": 0.0}))


def test_a_healthy_cluster_passes_every_check_and_the_runs_of_dead_drivers_are_closed(
    cloud: Cloud, sharded: str
) -> None:
    leave_a_run(cloud.tracking)
    found = examined(cloud, "--shards", cloud.shards, "--tracking", cloud.tracking, "--workers", "2", ends=0)
    assert [name for name, result in found.items() if result["status"] != "ok"] == ["gpus"]
    assert "left" in found["dead runs"]["found"]
    assert tracking.find_run(cloud.tracking, "left").status == "KILLED"


@pytest.fixture
def faulty(cloud: Cloud, tmp_path: Path) -> Iterator[None]:
    if not may_unshare():
        pytest.skip("faults of one node need a mount namespace of its own: run as root")
    python, home, runs = tmp_path / "python", tmp_path / "home", cloud.data / "runs"
    for folder in (python / "raygan-9.9.dist-info", home, runs):
        folder.mkdir(parents=True, exist_ok=True)
    (python / "raygan-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: raygan\nVersion: 9.9\n")
    (python / "sitecustomize.py").write_text(CLOCK)
    node = cloud.cluster.add(
        "--num-cpus=1",
        "--num-gpus=1",
        before=("unshare", "--mount", "sh", "-c", FAULTY, "sh", str(runs), str(home)),
        PYTHONPATH=str(python),
        HOME=str(home),
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        GLOO_SOCKET_IFNAME="nowhere0",
    )
    yield
    kill(node)


def test_ten_planted_faults_are_found_by_name_and_the_job_fails(cloud: Cloud, sharded: str, faulty: None) -> None:
    dead = "http://127.0.0.1:9"
    found = examined(cloud, "--shards", cloud.shards, "--tracking", dead, "--workers", "90", ends=1)
    failed = {name: result for name, result in found.items() if result["status"] == "failed"}
    for name, words in {
        "versions": "has raygan 9.9",
        "gpus": "Ray counts 1 on",
        "clocks": "+30.",
        "shared memory": "has 67 MB",
        "disks": "GB free",
        "shards": "http://127.0.0.1:9",
        "storage": "does not see what the driver wrote",
        "tracking": "refused",
        "registry": dead,
        "capacity": "90 worker(s) asked for, 5 fit",
        "all-reduce": "",
    }.items():
        assert words in failed[name]["found"], failed[name]
        assert failed[name]["remedy"]
