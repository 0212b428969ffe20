"""Servers as they are: killed and restarted under a run, or PostgreSQL with many writers at once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from raygan.pipeline import tracking
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.spool import writer as writing
from raygan.sharding.errors import UserError
from tests import postgresql
from tests.pipeline.tracking.killable_server import ADMIN, Server

FACE = np.zeros((16, 16, 3), np.uint8)


@pytest.mark.server
def test_a_server_killed_three_times_during_a_run_holds_every_point_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "GATHER", 0.05)
    monkeypatch.setattr(writing, "LONGEST_PAUSE", 0.2)
    server = Server(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        run_id = tracking.create_run(server.address, "faces", "unlucky", {})
        writer = tracking.Writer(server.address, run_id, tmp_path / "spool")
        own_log: list[tuple[int, float]] = []
        for position in range(2500):
            own_log.append((position, position / 7))
            writer.metrics({"loss/generator": position / 7}, position)
            if position % 100 == 0:
                writer.image("faces", FACE, position)
            if position % 1000 == 400:
                server.kill()
            if position % 1000 == 700:
                server.start()
            time.sleep(0.001)
        server.start()
        assert writer.close(120) == 0
        stored = client(server.address).get_metric_history(run_id, "loss/generator")
        assert sorted((metric.step, metric.value) for metric in stored) == own_log
        assert len(client(server.address).list_artifacts(run_id, "images")) == 2 * 25
    finally:
        server.close()


@pytest.mark.server
def test_a_server_with_a_login_takes_the_credentials_of_the_environment_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "canary-4f1d-of-the-admin"
    server = Server(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}", password)
    refusal = r"^MLflow at http://127\.0\.0\.1:\d+ refuses the login: set MLFLOW_TRACKING_USERNAME and [^\n]*$"
    try:
        for user, given in (("", ""), (ADMIN, "canary-of-nobody")):
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", given)
            with pytest.raises(UserError, match=refusal):
                tracking.create_run(server.address, "faces", "locked out", {})
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        run_id = tracking.create_run(server.address, "faces", "let in", {"note": password}, {"note": password})
        writer = tracking.Writer(server.address, run_id, tmp_path / "spool")
        writer.metrics({"loss/generator": 2.0}, 64)
        writer.image("faces", FACE, 64)
        writer.tags({"warning": password})
        assert writer.close(60) == 0
        tracking.end_run(server.address, run_id, "FINISHED")
        info = tracking.find_run(server.address, "let in")
        assert (info.status, info.metrics["loss/generator"]) == ("FINISHED", 2.0)
    finally:
        server.close()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) > 5
    assert [path for path in left if b"canary" in path.read_bytes()] == []


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a new PostgreSQL database."""
    initdb = postgresql.installed()
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    with postgresql.database(initdb) as address:
        yield address


@pytest.mark.server
def test_eight_writers_at_once_on_postgresql_with_proxied_artifacts(tmp_path: Path, postgres: str) -> None:
    server = Server(tmp_path, postgres)
    try:
        write_with_eight(server.address, tmp_path)
    finally:
        server.close()


def test_eight_writers_at_once_on_the_local_store(tmp_path: Path) -> None:
    write_with_eight(tracking.local_uri(tmp_path / "runs"), tmp_path)


def write_with_eight(uri: str, folder: Path) -> None:
    """Eight trials of one search, each with its own run and writer."""
    parent = tracking.create_run(uri, "faces", "search", {})
    trials = [tracking.create_run(uri, "faces", f"trial-{i}", {"i": i}, parent=parent) for i in range(8)]
    left: dict[str, int] = {}

    def trial(run_id: str) -> None:
        writer = tracking.Writer(uri, run_id, folder / run_id)
        for position in range(200):
            writer.metrics({"loss/generator": position / 7, "loss/discriminator": 1.0}, position)
            if position % 100 == 0:
                writer.image("faces", FACE, position)
        left[run_id] = writer.close(120)

    threads = [threading.Thread(target=trial, args=(run_id,)) for run_id in trials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left == dict.fromkeys(trials, 0)
    for run_id in trials:
        stored = client(uri).get_metric_history(run_id, "loss/generator")
        assert sorted((metric.step, metric.value) for metric in stored) == [(p, p / 7) for p in range(200)]
        assert len(client(uri).list_artifacts(run_id, "images")) == 2 * 2
        assert tracking.find_run(uri, run_id).tags["mlflow.parentRunId"] == parent
