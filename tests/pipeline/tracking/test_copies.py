"""A run in an object store has its spool on a node's disk; a copy of what waits there outlives the node."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from raygan.pipeline import tracking
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.spool.flush import leave_copy
from raygan.pipeline.tracking.spool.spool import Spool
from raygan.sharding.storage.folder import Folder

FACE = np.full((8, 8, 3), 200, np.uint8)


def lost_node(uri: str, run_id: str, disk: Path, home: Folder) -> None:
    """Leaves a copy of two points, a picture and a tag with the run; then its disk is gone."""
    spool = Spool(disk, uri, run_id)
    for position in (0, 64):
        spool.append({"kind": "metrics", "values": {"loss": 1.0}, "position": position, "time": 1})
    spool.append({"kind": "image", "key": "faces", "path": spool.keep_image(FACE), "position": 0, "time": 1})
    spool.append({"kind": "tags", "tags": {"warning": "old"}, "time": 1})
    leave_copy(spool, home)
    spool.close()
    shutil.rmtree(disk)


def positions(uri: str, run_id: str) -> list[int]:
    return sorted(point.step for point in client(uri).get_metric_history(run_id, "loss"))


def test_the_next_worker_delivers_what_a_lost_node_left_and_then_its_own(mlflow_server: str, tmp_path: Path) -> None:
    run_id, home = tracking.create_run(mlflow_server, "faces", "a", {}), Folder(f"memory://{tmp_path}/a")
    lost_node(mlflow_server, run_id, tmp_path / "node-1", home)
    writer = tracking.Writer(mlflow_server, run_id, tmp_path / "node-2", home)
    writer.metrics({"loss": 2.0}, 128)
    writer.tags({"warning": "new"})
    assert writer.close(60) == 0
    assert positions(mlflow_server, run_id) == [0, 64, 128]
    assert len(client(mlflow_server).list_artifacts(run_id, "images")) == 2  # the picture, and MLflow's small one
    assert tracking.find_run(mlflow_server, run_id).tags["warning"] == "new"
    assert home.list() == ({}, ()), "nothing is left with the run"


def test_flush_delivers_what_lies_with_the_runs_of_a_store_and_can_be_repeated(
    mlflow_server: str, tmp_path: Path
) -> None:
    run_id, runs = tracking.create_run(mlflow_server, "faces", "b", {}), f"memory://{tmp_path}/runs"
    lost_node(mlflow_server, run_id, tmp_path / "node", Folder(runs) / "b")
    assert [(f.run_id, f.left, f.reason) for f in tracking.flush(runs)] == [(run_id, 0, "")]
    assert positions(mlflow_server, run_id) == [0, 64]
    assert tracking.flush(runs) == []


def test_an_end_that_comes_late_ends_no_run_that_was_resumed(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = f"memory://{tmp_path}/runs"
    ended, resumed = (tracking.create_run(mlflow_server, "faces", name, {}) for name in "de")

    def away(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("raygan.pipeline.tracking.runs._end", away)
        patch.setattr("raygan.sharding.storage.retries.BUSY_SECONDS", 0)
        for run_id in (ended, resumed):
            assert not tracking.end_run(mlflow_server, run_id, "FAILED", "", tmp_path / run_id, Folder(runs) / run_id)
    tracking.resume_run(mlflow_server, resumed)
    assert [flushed.left for flushed in tracking.flush(runs)] == [0, 0]
    assert [tracking.find_run(mlflow_server, run_id).status for run_id in (ended, resumed)] == ["FAILED", "RUNNING"]
