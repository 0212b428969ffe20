"""What raygan leaves in MLflow, asked of a real server and of the local SQLite store."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.pipeline import tracking
from raygan.pipeline.tracking import runs
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.spool.delivery import Delivery
from raygan.pipeline.tracking.spool.spool import Spool
from raygan.sharding.errors import UserError

FACE = np.full((8, 8, 3), 200, np.uint8)


@pytest.fixture(scope="module")
def local_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tracking.local_uri(tmp_path_factory.mktemp("runs"))


@pytest.fixture(params=["mlflow_server", "local_store"])
def uri(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def new_run(uri: str, name: str = "a-run") -> str:
    return tracking.create_run(uri, "faces", name, {"seed": 7, "generator": {"width": 64}}, {"data": "abc123"})


def points(uri: str, run_id: str, key: str) -> list[tuple[int, float]]:
    history = client(uri).get_metric_history(run_id, key)
    return sorted((metric.step, metric.value) for metric in history)


def test_everything_written_is_in_mlflow(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    (tmp_path / "note.md").write_text("hello")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "weights").write_bytes(b"123")
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    for position in range(0, 640, 64):
        writer.metrics({"loss/generator": position / 2, "loss/discriminator": 1.0}, position)
    writer.image("faces/averaged", FACE, 320)
    writer.artifact(tmp_path / "note.md", "notes")
    writer.artifact(tmp_path / "checkpoint", "checkpoints")
    writer.tags({"identity": "randconv"})
    assert writer.close(60) == 0
    assert not (tmp_path / "spool").exists()

    assert points(uri, run_id, "loss/generator") == [(p, p / 2) for p in range(0, 640, 64)]
    assert points(uri, run_id, "loss/discriminator") == [(p, 1.0) for p in range(0, 640, 64)]
    server = client(uri)
    assert [file.path for file in server.list_artifacts(run_id, "notes")] == ["notes/note.md"]
    assert [file.path for file in server.list_artifacts(run_id, "checkpoints/checkpoint")] == [
        "checkpoints/checkpoint/weights"
    ]
    run = tracking.find_run(uri, run_id)
    assert run.parameters == {"seed": "7", "generator.width": "64"}
    assert run.tags["data"] == "abc123"
    assert run.tags["identity"] == "randconv"


def test_images_have_the_names_that_mlflow_gives_to_stepped_images(uri: str, tmp_path: Path) -> None:
    """Delivery names them itself, so that repeating is harmless; this fails when MLflow changes its layout."""
    run_id, theirs = new_run(uri), new_run(uri)
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    writer.image("faces/averaged", FACE, 320)
    assert writer.close(60) == 0
    server = client(uri)
    server.log_image(theirs, FACE, key="faces/averaged", step=320)

    def names(run: str) -> list[list[str]]:
        parts = [file.path.replace(".", "+").split("+") for file in server.list_artifacts(run, "images")]
        return [[p for i, p in enumerate(part) if i not in (4, 5)] for part in sorted(parts, key=len)]  # time, uuid

    assert names(run_id) == names(theirs)
    assert tracking.find_run(uri, run_id).tags["mlflow.loggedImages"] == "True"


def test_a_worker_restarted_from_a_checkpoint_repeats_itself_without_a_trace(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    for attempt, first in enumerate((0, 128)):  # the second worker starts on another machine: its spool is new
        writer = tracking.Writer(uri, run_id, tmp_path / f"spool-{attempt}")
        for position in range(first, 320, 64):
            writer.metrics({"loss/generator": position + attempt}, position)
            writer.image("faces/averaged", FACE, position)
        assert writer.close(60) == 0
    assert points(uri, run_id, "loss/generator") == [(p, float(p)) for p in range(0, 320, 64)]
    assert len(client(uri).list_artifacts(run_id, "images")) == 2 * 5


def test_a_reply_lost_after_the_server_stored_the_request_changes_nothing(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, server = new_run(uri), client(uri)
    spool = Spool(tmp_path / "spool", uri, run_id)
    for position, value in enumerate((1.0, math.nan, 1.0)):
        spool.append({"kind": "metrics", "values": {"loss": value}, "position": position, "time": 1000})
    spool.append({"kind": "image", "key": "faces", "path": spool.keep_image(FACE), "position": 3, "time": 1000})
    for method in ("log_batch", "log_artifact", "set_tag"):
        real = getattr(server, method)

        def stored_but_unanswered(*args: Any, real: Any = real, failed: list[bool] = [], **kwargs: Any) -> None:  # noqa: B006
            real(*args, **kwargs)
            if len(failed) < 2:
                failed.append(True)
                raise ConnectionError("no reply")

        monkeypatch.setattr(server, method, stored_but_unanswered)
    delivery, failures = Delivery(server, spool), 0
    while True:
        try:
            delivery.drain()
            break
        except ConnectionError:
            failures += 1
    assert failures == 6
    assert [position for position, _ in points(uri, run_id, "loss")] == [0, 1, 2]
    assert len(server.list_artifacts(run_id, "images")) == 2


def test_a_killed_writer_leaves_a_spool_that_flush_delivers(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    program = """
import os, sys
from pathlib import Path
from typing import Any
from raygan.pipeline.tracking.spool.spool import Spool
spool = Spool(Path(sys.argv[3]), sys.argv[1], sys.argv[2])
for position in range(2500):
    spool.append({"kind": "metrics", "values": {"loss": position / 3}, "position": position, "time": 1})
spool._records.write(b'{"kind": "metr')
os.kill(os.getpid(), 9)
"""
    spool = tmp_path / "spools" / run_id
    subprocess.run([sys.executable, "-c", program, uri, run_id, str(spool)], check=False)
    assert [(f.run_id, f.left, f.reason) for f in tracking.flush(tmp_path / "spools")] == [(run_id, 0, "")]
    assert points(uri, run_id, "loss") == [(p, p / 3) for p in range(2500)]
    assert tracking.flush(tmp_path / "spools") == []


def test_a_deleted_picture_does_not_hold_up_what_was_written_after_it(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    spool = Spool(tmp_path / "spool", uri, run_id)
    picture = spool.keep_image(FACE)
    spool.append({"kind": "image", "key": "faces", "path": picture, "position": 0, "time": 1})
    spool.append({"kind": "metrics", "values": {"loss": 1.0}, "position": 0, "time": 1})
    spool.forget(picture)
    Delivery(client(uri), spool).drain()
    assert points(uri, run_id, "loss") == [(0, 1.0)]


def test_infinities_become_gaps_in_charts_and_a_tag(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    writer.metrics({"loss/generator": math.inf, "loss/discriminator": math.nan}, 64)
    assert writer.close(60) == 0
    assert math.isnan(points(uri, run_id, "loss/generator")[0][1])
    assert math.isnan(points(uri, run_id, "loss/discriminator")[0][1])
    assert "at position 64" in tracking.find_run(uri, run_id).tags["not finite"]


def test_no_mistake_in_a_write_reaches_the_training_loop(
    local_store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri, run_id = local_store, new_run(local_store)
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    with caplog.at_level(logging.ERROR):
        writer.metrics({"loss/generator": "much"}, 0)  # type: ignore[dict-item]
        writer.image("faces", np.zeros((8, 8, 3), np.float32), 0)
        writer.artifact(tmp_path / "missing")
        writer.metrics({"/loss//generator": 1.0}, 0)
        writer.metrics({"who put (this) here?": 1.0}, 0)
    assert writer.close(60) == 4
    assert points(uri, run_id, "who put _this_ here_") == [(0, 1.0)]


def test_the_server_away_costs_nothing_and_loses_nothing(mlflow_server: str, tmp_path: Path) -> None:
    run_id = new_run(mlflow_server)
    nowhere = "http://127.0.0.1:9"
    writer = tracking.Writer(nowhere, run_id, tmp_path / "spool")
    writer.metrics({"loss": 1.0}, 0)
    writer.image("faces", FACE, 0)
    assert writer.close(1.5) == 2
    header = tmp_path / "spool" / "header.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"uri": mlflow_server}))  # the server moved
    assert [flushed.left for flushed in tracking.flush(tmp_path)] == [0]
    assert points(mlflow_server, run_id, "loss") == [(0, 1.0)]


def test_a_run_ends_as_it_ended(uri: str, tmp_path: Path) -> None:
    run_id = new_run(uri)
    assert tracking.end_run(uri, run_id, "FAILED", "shard train-000003.tar changed")
    run = tracking.find_run(uri, run_id)
    assert (run.status, run.tags["reason"]) == ("FAILED", "shard train-000003.tar changed")
    tracking.resume_run(uri, run_id)
    run = tracking.find_run(uri, run_id)
    assert run.status == "RUNNING"
    assert "reason" not in run.tags


def test_an_end_that_the_server_misses_is_delivered_later(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(uri)

    def away(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(runs, "_end", away)
    monkeypatch.setattr("raygan.sharding.storage.retries.BUSY_SECONDS", 0)
    (tmp_path / "file").touch()
    assert not tracking.end_run(uri, run_id, "FAILED", spool=tmp_path / "file" / "spool"), "nor can it be kept"
    assert not tracking.end_run(uri, run_id, "FINISHED", spool=tmp_path / "spool")
    assert tracking.find_run(uri, run_id).status == "RUNNING"
    tracking.flush(tmp_path)
    assert tracking.find_run(uri, run_id).status == "FINISHED"


def test_runs_are_found_by_id_and_by_name(uri: str) -> None:
    older, newer = new_run(uri, "same-name"), new_run(uri, "same-name")
    assert tracking.find_run(uri, older).id == older
    assert tracking.find_run(uri, "same-name").id == newer
    assert [run.id for run in tracking.list_runs(uri, "faces", limit=2)] == [newer, older]
    with pytest.raises(UserError, match="no run has the id or the name 'nobody'"):
        tracking.find_run(uri, "nobody")


def test_a_server_that_does_not_answer_is_a_mistake_told_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^MLflow at http://127.0.0.1:9 [^\n]*$"):
        new_run("http://127.0.0.1:9")


def test_a_server_that_is_busy_for_a_moment_is_waited_for(local_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    real, answers = MlflowClient.create_run, [503, 503]

    def busy(*args: object, **kwargs: object) -> object:
        if answers:
            raise MlflowException(
                f"Max retries exceeded (Caused by ResponseError('too many {answers.pop()} error responses'))"
            )
        return real(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "create_run", busy)
    assert tracking.find_run(local_store, new_run(local_store)).status == "RUNNING"
    assert answers == []


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(UserError, match="MLFLOW_TRACKING_USERNAME"):
        new_run("http://anna:secret@mlflow.example.org")
