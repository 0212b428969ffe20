"""The longer way round, outside of every change's tests: a search, with PostgreSQL behind MLflow."""

import os
from pathlib import Path

import pytest

from pipeline import tracking
from tests.cluster.conftest import Cloud
from tests.cluster.waiting import until
from tests.pipeline.killable_server import Server
from tests.pipeline.test_tracking_servers import postgres  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif("RAYGAN_LONG" not in os.environ, reason="takes minutes: set RAYGAN_LONG=1")


def test_a_search_is_stopped_resumed_and_found_in_mlflow_on_postgresql(
    cloud: Cloud,
    sharded: str,
    tmp_path: Path,
    postgres: str,  # noqa: F811
) -> None:
    server = Server(tmp_path, postgres)
    try:
        folder = cloud.data / "runs" / "search"
        words = ["--shards", cloud.shards, "--runs", str(folder.parent), "--tracking", server.address]
        words += ["--preset", "smoke", "--images", "512", "--trials", "4", "--finalists", "1", "--seeds", "2"]
        cloud.run("submit", "--no-follow", "--name", "search", "--", "tune", *words)
        until(lambda: list(folder.glob("trials/*/checkpoint_*")), 200)
        assert "STOPPED" in cloud.run("jobs", "stop", "search")
        assert "job search.2 succeeded" in cloud.run("jobs", "resume", "search")
        assert (folder / "best.yaml").exists()
        runs = tracking.list_runs(server.address)
        parents = {run.id for run in runs if run.name == "search"}
        assert len([run for run in runs if run.tags.get("mlflow.parentRunId") in parents]) >= 4
    finally:
        server.close()
