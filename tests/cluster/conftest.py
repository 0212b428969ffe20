"""A cluster as a client meets it: a head and two nodes, an object store, a shared folder, MLflow, and a token."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from raygan.sharding.synthetic import synthesize
from tests.cluster.nodes import Cluster
from tests.conftest import free_port

TOKEN = "cluster-token-0123456789"
CANARY = "mlflow-canary-0123456789"
# A client in a mount namespace of its own, where the cluster's folder is empty.
APART = 'mount -t tmpfs none "$1" && shift && exec "$@"'


class Cloud(NamedTuple):
    cluster: Cluster
    data: Path  # the folder that all nodes share
    shards: str
    tracking: str

    def start(self, *words: str, token: str | None = TOKEN, apart: bool = True) -> "subprocess.Popen[str]":
        """Starts a `raygan` command as a client that knows the dashboard and the token, and nothing else."""
        command = [sys.executable, "-c", "from raygan.jobs.cli import main; main()", *words]
        if apart and may_unshare():
            command = ["unshare", "--mount", "sh", "-c", APART, "sh", str(self.data), *command]
        kept = ("PATH", "PYTHONPATH", "OMP_NUM_THREADS")  # PYTHONPATH: the raygan under test, wherever it lies
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"HOME": "/nonexistent", "RAY_ADDRESS": self.cluster.dashboard, "MLFLOW_TRACKING_TOKEN": CANARY}
        if token:
            environment["RAY_AUTH_TOKEN"] = token
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: str, ends: int = 0) -> str:
        """Runs a command to its end and returns what it said; the test fails if it does not end so."""
        process = self.start(*words)
        said = process.communicate(timeout=300)[0]
        assert process.returncode == ends, said
        return said


def may_unshare() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="package")
def cloud(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=free_port(), verbose=False)
    server.start()
    store = f"http://127.0.0.1:{server._port}"
    keys = {"AWS_ENDPOINT_URL": store, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    data = tmp_path_factory.mktemp("data")
    cluster = Cluster(TOKEN, keys | {"AWS_DEFAULT_REGION": "us-east-1", "RAYGAN_CACHE": str(data / "cache")})
    try:
        cluster.add("--num-cpus=2")
        cluster.add("--num-cpus=2")
        make_bucket(keys)
        yield Cloud(cluster, data, "s3://faces/shards", mlflow_server)
    finally:
        cluster.close()
        server.stop()


@pytest.fixture(scope="package")
def sharded(cloud: Cloud) -> str:
    """What the client was told while the cluster's faces became shards in the object store."""
    synthesize(cloud.data / "celeba", 80)
    words = ["shard", str(cloud.data / "celeba"), cloud.shards, "--size", "32", "--samples-per-shard", "10"]
    return cloud.run("submit", "--name", "faces", "--", *words)


def make_bucket(keys: dict[str, str]) -> None:
    import boto3

    store = boto3.client(
        "s3",
        endpoint_url=keys["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    store.create_bucket(Bucket="faces")
