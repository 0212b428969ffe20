import socket
import time

import pytest
from ray.exceptions import RpcError

from raygan.jobs.cluster import connect
from raygan.jobs.ui import waiting
from raygan.sharding.errors import RunError, UserError


def test_a_fixed_cluster_refuses_what_it_cannot_hold_and_a_growing_one_says_that_it_waits(
    ray_cluster: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="asks for 900 CPUs, and this cluster has 4: ask for fewer or add nodes"):
        connect.check_capacity(900, 0)
    monkeypatch.setattr(connect, "GROUP", "ray.io/node-id")  # a label that every node has
    connect.check_capacity(900, 1)
    said = capsys.readouterr().err.splitlines()
    assert ["waiting for its nodes" in line for line in said] == [True, True]
    assert "asks for 1 GPUs, and this cluster has 0 yet" in said[1]


@pytest.mark.parametrize(
    ("address", "error", "complaint"),
    [
        ("http://head:8265", None, "this dashboard takes jobs: type raygan submit"),
        ("nowhere", None, "RAY_ADDRESS=nowhere: not the address of a cluster; give HOST:PORT of its head"),
        ("auto", ConnectionError("no instance\nwas found"), "no Ray cluster answers there; start one or unset it"),
        ("auto", RpcError("Timed out"), r"not the head of a Ray cluster \(Timed out\); check host and port"),
        ("auto", RuntimeError("Version\nmismatch"), r"\(Version mismatch\); use its versions of Python and Ray"),
    ],
)
def test_an_address_that_leads_to_no_cluster_is_refused_with_a_remedy(
    address: str, error: Exception | None, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**options: object) -> None:
        assert error is not None
        raise error

    if error is not None:
        monkeypatch.setattr(connect, "_initialise", fails)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(UserError, match=complaint):
        connect._connect(address)


def test_a_port_that_nobody_listens_on_is_found_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError, match=f"RAY_ADDRESS={address}: no Ray cluster answers there"):
            connect._connect(address)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError("AF_UNIX path length cannot exceed 107 bytes"), "set RAY_TMPDIR to a folder with a short path"),
        (ValueError("RAY_X must be an integer"), "unset the RAY_ variable that it names"),
        (RuntimeError("Failed to start GCS.\nLast 3 lines"), "try again when the machine has memory and time to spare"),
        (Exception("The current node timed out during startup."), "try again when the machine"),
    ],
)
def test_a_ray_that_does_not_start_here_is_one_line_with_a_remedy(
    error: Exception, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**options: object) -> None:
        raise error

    monkeypatch.setattr(connect, "_initialise", fails)
    with pytest.raises(RunError, match="Ray does not start on this machine") as raised:
        connect._start(1)
    assert remedy in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_wait_is_said_again_and_again_and_only_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "SECONDS", 0.05)
    with waiting.waiting("a test"):
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert set(lines) == {"waiting for a test (0 s)"}
