"""What the tests share: one local Ray cluster and one MLflow server per session, started when first asked for."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import wait_until_it_answers

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.3")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")


def obey_signals() -> None:
    """SIGTERM ends a session as Ctrl-C does, so that nothing it started outlives it.

    SIGINT is set, too: a shell that starts the session in the background has it ignored, and every child inherits that.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


obey_signals()


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache of real statistics; workers inherit this."""
    os.environ["RAYGAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def ray_cluster(cache_of_its_own: None) -> Iterator[str]:
    """The address of a local cluster of four logical CPUs."""
    import ray

    context = ray.init(num_cpus=4, include_dashboard=True, log_to_driver=False, logging_level="ERROR")
    obey_signals()  # Ray has put its own way out in its place
    yield context.address_info["address"]
    ray.shutdown()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a new database: PostgreSQL as on a cluster, or SQLite where that is not installed."""
    from tests import postgresql

    if initdb := postgresql.installed():
        with postgresql.database(initdb) as address:
            yield address
    else:
        yield f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="session")
def mlflow_server(mlflow_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server."""
    root: Path = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", mlflow_store, "--artifacts-destination", str(root / "artifacts")]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (root / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=root, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    wait_until_it_answers(f"{address}/health", server, root / "server.log", 90)
    yield address
    os.killpg(server.pid, signal.SIGTERM)  # the server's workers too, which outlive it else
    server.wait(20)


@pytest.fixture(scope="session")
def shards(ray_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of drawn faces, 32 pixels: 64 for training, 8 to validate, 8 to test."""
    from raygan.sharding.convert import convert
    from raygan.sharding.options import ShardingOptions
    from raygan.sharding.synthetic import synthesize

    root = tmp_path_factory.mktemp("data")
    synthesize(root / "faces", 80)
    convert(str(root / "faces"), str(root / "shards"), ShardingOptions(size=32, samples_per_shard=10))
    return root / "shards"
