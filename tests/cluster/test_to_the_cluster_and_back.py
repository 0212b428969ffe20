"""From a client that sees no disk of the cluster: shard, train, evaluate; followed, stopped, resumed, a node lost."""

import json
import re
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from raygan.pipeline.training.header import HEADER, read_header
from raygan.sharding.storage.folder import Folder
from tests.cluster.conftest import CANARY, TOKEN, Cloud
from tests.cluster.nodes import kill
from tests.cluster.waiting import until
from tests.infra.programs import INFRA

OURS = set(re.findall(r"ray_raygan_\w+", (INFRA / "observability" / "dashboard.json").read_text()))


def positions(run: Path) -> list[int]:
    """Of the run's whole checkpoints, oldest first."""
    return sorted(int(header.parent.name.partition("_")[2]) for header in run.glob(f"checkpoint_*/{HEADER}"))


def exported(cloud: Cloud) -> set[str]:
    """The names of the metrics that Prometheus would scrape from the cluster's nodes now."""
    nodes = json.loads((cloud.cluster.folder / "prom_metrics_service_discovery.json").read_text())
    names: set[str] = set()
    for address in nodes[0]["targets"]:
        with suppress(OSError), urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            names |= set(re.findall(r"^(ray_\w+){", answer.read().decode(), re.M))
    return names


def test_a_job_is_followed_to_its_end_and_a_second_of_its_name_is_refused(cloud: Cloud, sharded: str) -> None:
    assert "64 train, 8 valid, 8 test images; 9 shards written" in " ".join(sharded.split())
    assert "job faces succeeded" in sharded
    refused = cloud.run("submit", "--name", "faces", "--", "shard", "/a", "/b", ends=2)
    assert "a job of that name has ended (SUCCEEDED); continue it with: raygan jobs resume faces" in refused
    resumed = cloud.run("jobs", "resume", "faces")
    assert "0 shards written, 9 reused" in " ".join(resumed.split())
    assert "job faces.2 succeeded" in resumed


@pytest.mark.timeout(600)
def test_a_run_outlives_a_node_is_stopped_with_a_checkpoint_resumed_and_scored(cloud: Cloud, sharded: str) -> None:
    runs, run = cloud.data / "runs", cloud.data / "runs" / "first"
    words = ["--runs", str(runs), "--tracking", cloud.tracking, "--workers", "1:2", "--preset", "smoke"]
    words += ["--cpus-per-worker", "2"]  # one on each node
    words += ["--shards", cloud.shards, "--images", "10000000", "--evaluation.every", "100000", "--max-failures", "3"]
    client = cloud.start("submit", "--name", "first", "--", "train", *words)
    until(lambda: positions(run) and exported(cloud) >= OURS)
    client.send_signal(signal.SIGINT)
    said = client.communicate(timeout=60)[0]
    assert client.returncode == 130, said
    assert "detached; job first keeps running" in said

    kill(cloud.cluster.running("RayTrainWorker")[0])
    lost_at = positions(run)[-1]
    until(lambda: positions(run)[-1] > lost_at + 256, 240)  # Ray takes a minute to believe that a node is gone
    assert "RUNNING" in cloud.run("jobs", "status", "first")

    assert "STOPPED" in cloud.run("jobs", "stop", "first")
    stopped_at = positions(run)[-1]
    said = cloud.run("jobs", "logs", "first")
    assert "starts again from the newest checkpoint, with 1 worker(s)" in said
    assert f"stopped at {stopped_at:,} images" in said

    end = str(stopped_at + 256)
    said = cloud.run(
        "submit",
        "--name",
        "first",
        "--resume",
        "--",
        "train",
        "--resume",
        "first",
        "--runs",
        str(runs),
        "--images",
        end,
    )
    assert "job first.2 succeeded" in said
    header = read_header(Folder(str(run)) / f"checkpoint_{int(end):012d}")
    assert header.position == int(end)

    scores = cloud.run("submit", "--num-cpus", "1", "--", "evaluate", "first", "--runs", str(runs), "--count", "40")
    assert "fd_randconv: " in scores


def test_who_has_no_token_or_another_is_told_so_in_one_line(cloud: Cloud) -> None:
    strangers = [cloud.start("jobs", "list", token=token) for token in (None, "another-token-0123456789")]
    said = [stranger.communicate(timeout=60)[0].splitlines() for stranger in strangers]
    assert [stranger.returncode for stranger in strangers] == [2, 2]
    assert [len(lines) for lines in said] == [1, 1], said
    assert "it asks for a token, and there is none" in said[0][0]
    assert "it does not know this token" in said[1][0]


def test_no_credential_of_the_client_is_kept_by_the_cluster(cloud: Cloud, sharded: str) -> None:
    request = urllib.request.Request(f"{cloud.cluster.dashboard}/api/jobs/")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        jobs = answer.read().decode()
    assert json.loads(jobs)
    logs = "".join(
        path.read_text(errors="replace") for path in cloud.cluster.folder.glob("session_*/logs/job-driver-*")
    )
    assert "Running entrypoint" in logs
    assert CANARY not in jobs + logs
    assert TOKEN not in jobs + logs
    leaking = cloud.run("submit", "--", "train", "--shards", f"s3://{CANARY}/x", ends=2)
    assert "[redacted]" in leaking
    assert CANARY not in leaking
