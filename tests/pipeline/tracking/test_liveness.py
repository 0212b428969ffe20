"""Runs whose driver died are found and closed; those whose driver lives are left alone."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raygan.pipeline import tracking
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.liveness import DRIVER, HEARTBEAT, PRESUMED_DEAD, SILENT_AFTER, death_of, this_driver


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tracking.local_uri(tmp_path_factory.mktemp("liveness"))


DRIVER_PROGRAM = """
import sys, time
from raygan.pipeline import tracking
print(tracking.create_run(sys.argv[1], "faces", "orphan", {}), flush=True)
time.sleep(600)
"""


def test_a_killed_drivers_run_is_closed_by_the_next_command(uri: str) -> None:
    mine = tracking.create_run(uri, "faces", "mine", {})
    driver = subprocess.Popen([sys.executable, "-c", DRIVER_PROGRAM, uri], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    orphan = driver.stdout.readline().strip()
    assert tracking.close_dead_runs(uri) == []
    driver.kill()
    driver.wait()
    assert [run.id for run in tracking.close_dead_runs(uri)] == [orphan]
    closed = tracking.find_run(uri, orphan)
    assert closed.status == "KILLED"
    assert closed.tags["reason"].startswith(f"its driver (process {driver.pid} on ")
    assert tracking.find_run(uri, mine).status == "RUNNING"
    assert tracking.close_dead_runs(uri) == []


def elsewhere() -> str:
    return json.dumps(json.loads(this_driver()) | {"place": "another boot/1", "host": "node-7"})


def test_a_driver_that_cannot_be_looked_at_is_judged_by_its_heartbeat() -> None:
    now = time.time()
    assert death_of(elsewhere(), now - SILENT_AFTER + 5, now) is None
    assert death_of(elsewhere(), now - SILENT_AFTER - 60, now) == (
        f"its driver (process {json.loads(elsewhere())['pid']} on node-7) has been silent for 16 minutes"
    )


def test_a_process_with_a_reused_number_is_not_the_driver() -> None:
    earlier = json.dumps(json.loads(this_driver()) | {"started": 1.0})
    assert death_of(earlier, time.time()) is not None
    assert death_of(this_driver(), 0.0) is None


def test_a_run_taken_for_dead_opens_itself_again(uri: str, tmp_path: Path) -> None:
    run_id = tracking.create_run(uri, "faces", "cut-off", {})
    client(uri).set_tag(run_id, DRIVER, elsewhere())
    client(uri).set_tag(run_id, HEARTBEAT, "1000")
    assert [run.id for run in tracking.close_dead_runs(uri)] == [run_id]
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    deadline = time.monotonic() + 60
    while PRESUMED_DEAD in (run := tracking.find_run(uri, run_id)).tags and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.status == "RUNNING"
    assert "reason" not in run.tags
    assert writer.close(60) == 0
    assert tracking.close_dead_runs(uri) == []


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_an_ended_run_is_left_alone(uri: str, status: tracking.Status) -> None:
    run_id = tracking.create_run(uri, "faces", "done", {})
    client(uri).set_tag(run_id, DRIVER, elsewhere())
    client(uri).set_tag(run_id, HEARTBEAT, "1000")
    tracking.end_run(uri, run_id, status)
    assert tracking.close_dead_runs(uri) == []
    assert tracking.find_run(uri, run_id).status == status
