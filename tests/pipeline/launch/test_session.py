"""What a worker's session keeps and reports, without a cluster and while MLflow is away."""

from pathlib import Path

import pytest

from raygan.pipeline import tracking
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.session import ClusterSession
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.header import Header
from raygan.pipeline.training.runs import Run


def begun(runs: str) -> Run:
    launch = Launch(name="a", shards="/shards", runs=runs)
    return Run(config=smoke(), launch=launch, data="d", tracking="http://127.0.0.1:9", run_id="0123")


def test_each_checkpoint_carries_a_copy_of_what_the_server_has_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where the node's spools are
    run = begun(f"memory://{tmp_path}/runs")
    session = ClusterSession(run, is_main=True, post=lambda event: False)
    session.metrics({"loss": 1.0}, 64)
    header = Header(position=64, config=smoke(), size=32, data="d", identity={}, scores={})
    session.save(Snapshot(header, memoryview(b"state")))
    session.finish()
    ((where, run_id, left, _),) = tracking.flush(run.launch.runs)
    assert (where.startswith(f"{run.folder}/"), run_id, left) == (True, "0123", 1)
    session.close(0)


def test_writes_that_not_even_the_disk_took_are_reported_at_the_end(tmp_path: Path) -> None:
    events: list[Event] = []

    def post(event: Event) -> bool:
        events.append(event)
        return False

    session = ClusterSession(begun(str(tmp_path)), is_main=True, post=post)
    session.metrics(
        {"/loss/": 1.0}, 64
    )  # no key that MLflow takes, so it is lost like one for which a disk has no space
    session.close(0)
    assert "1 write(s) to MLflow are lost" in events[-1].message
