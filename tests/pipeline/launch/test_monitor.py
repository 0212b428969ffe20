import pytest

from raygan.pipeline.launch.monitor import Event, Monitor, Worker

FIRST, SECOND = (Worker(rank, 2, "10.0.0.1", 100 + rank) for rank in range(2))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


@pytest.fixture
def monitor(now: list[float]) -> Monitor:
    monitor = Monitor(silence=20)
    monitor.group_started(FIRST)
    monitor.heartbeat(FIRST)
    monitor.heartbeat(SECOND)
    return monitor


def messages(monitor: Monitor) -> list[str]:
    return [event.message for event in monitor.collect() if event.message]


def test_a_silent_worker_is_reported_once_with_its_rank_node_and_process(monitor: Monitor, now: list[float]) -> None:
    now[0] = 19
    monitor.heartbeat(FIRST)
    assert messages(monitor) == []
    now[0] = 21
    assert messages(monitor) == ["rank 1 on node 10.0.0.1 (process 101) has sent no heartbeat for 20 seconds"]
    assert messages(monitor) == []
    assert monitor.silent() == [SECOND]


def test_once_a_worker_left_the_others_are_being_ended_and_their_silence_is_not_reported(
    monitor: Monitor, now: list[float]
) -> None:
    monitor.left(FIRST)
    now[0] = 100
    assert messages(monitor) == []
    assert (monitor.present(), monitor.silent()) == ([SECOND], [SECOND])


def test_a_group_that_is_silent_as_a_whole_is_being_replaced(monitor: Monitor, now: list[float]) -> None:
    now[0] = 100
    assert messages(monitor) == []
    assert monitor.silent() == [FIRST, SECOND]


def test_a_new_group_is_reported_with_its_size_and_the_old_one_forgotten(monitor: Monitor, now: list[float]) -> None:
    monitor.post(Event(640, {}))
    now[0] = 100
    monitor.group_started(FIRST._replace(world_size=1, process=200))
    assert monitor.collect()[-1] == Event(640, {}, "training starts again from the newest checkpoint, with 1 worker(s)")
    assert monitor.silent() == []


def test_the_request_to_stop_reaches_whoever_posts_an_event(monitor: Monitor) -> None:
    assert not monitor.post(Event(1, {}))
    monitor.stop()
    assert monitor.post(Event(2, {}))
