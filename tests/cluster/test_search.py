"""A search is sent to the cluster: trials of two workers on its nodes, found in MLflow and gone on with."""

import pytest

from raygan.pipeline import tracking
from tests.cluster.conftest import Cloud


@pytest.mark.timeout(600)
def test_a_search_on_the_cluster_leaves_its_trials_in_mlflow_and_the_best_configuration(
    cloud: Cloud, sharded: str
) -> None:
    folder = cloud.data / "runs" / "search"
    words = ["--shards", cloud.shards, "--runs", str(folder.parent), "--tracking", cloud.tracking]
    words += ["--preset", "smoke", "--images", "128", "--trials", "2", "--workers-per-trial", "2", "--finalists", "0"]
    words += ["--scheduler", "none"]
    assert "job search succeeded" in cloud.run("submit", "--name", "search", "--", "tune", *words)
    assert (folder / "best.yaml").exists()
    runs = tracking.list_runs(cloud.tracking)
    (parent,) = [run.id for run in runs if run.name == "search"]
    trials = [run for run in runs if run.tags.get("mlflow.parentRunId") == parent]
    assert [run.status for run in trials] == ["FINISHED"] * 2
    assert all("score/kid_randconv" in run.metrics for run in trials)

    assert "job search.2 succeeded" in cloud.run("jobs", "resume", "search")  # and has nothing left to do
    assert len(tracking.list_runs(cloud.tracking)) == len(runs)
