import pytest

from raygan.pipeline.launch.monitor import Event, Monitor, Worker

FIRST, SECOND = (Worker(rank, 2, "10.0.0.1", 100 + rank) for rank in range(2))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    return time


@pytest.fixture
def desk(now: list[float]) -> Monitor:
    desk = Monitor(silence=20)
    desk.enter(FIRST)
    desk.beat(FIRST)
    desk.beat(SECOND)
    return desk


def words(desk: Monitor) -> list[str]:
    return [news.words for news in desk.collect() if news.words]


def test_a_worker_that_falls_silent_is_told_once_with_its_rank_node_and_process(
    desk: Monitor, now: list[float]
) -> None:
    now[0] = 19
    desk.beat(FIRST)
    assert words(desk) == []
    now[0] = 21
    assert words(desk) == ["rank 1 on node 10.0.0.1 (process 101) has not been heard of for 20 seconds"]
    assert words(desk) == []
    assert desk.silent() == [SECOND]


def test_once_a_worker_left_the_others_are_being_ended_and_their_silence_says_nothing(
    desk: Monitor, now: list[float]
) -> None:
    desk.leave(FIRST)
    now[0] = 100
    assert words(desk) == []
    assert (desk.present(), desk.silent()) == ([SECOND], [SECOND])


def test_a_group_that_is_silent_as_a_whole_is_being_replaced(desk: Monitor, now: list[float]) -> None:
    now[0] = 100
    assert words(desk) == []
    assert desk.silent() == [FIRST, SECOND]


def test_a_new_group_is_told_with_its_size_and_the_old_one_forgotten(desk: Monitor, now: list[float]) -> None:
    desk.post(Event(640, {}))
    now[0] = 100
    desk.enter(FIRST._replace(world_size=1, process=200))
    assert desk.collect()[-1] == Event(640, {}, "training starts again from the newest checkpoint, with 1 worker(s)")
    assert desk.silent() == []


def test_the_wish_to_stop_reaches_who_posts(desk: Monitor) -> None:
    assert not desk.post(Event(1, {}))
    desk.stop()
    assert desk.post(Event(2, {}))
