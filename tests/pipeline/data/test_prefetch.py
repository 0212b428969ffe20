"""The thread ahead of the loop: order kept, bounded, and no failure that hangs."""

import itertools
import threading
import time

import pytest

from raygan.pipeline.data.prefetch import Prefetch
from raygan.sharding.errors import RunError


def nothing() -> tuple[()]:
    return ()


def test_items_come_in_order_and_no_more_are_made_than_asked() -> None:
    made: list[int] = []

    def make(_: object) -> int:
        made.append(len(made))
        return made[-1]

    prefetch = Prefetch(make, nothing, ahead=3, name="counter")
    assert list(itertools.islice(prefetch, 50)) == list(range(50))
    prefetch.close()
    assert len(made) <= 50 + 3
    assert prefetch.ready <= 3 + 1


def test_what_make_gets_was_prepared_by_the_taker() -> None:
    prefetch = Prefetch(lambda thread: thread, threading.get_ident, ahead=2, name="counter")
    assert set(itertools.islice(prefetch, 9)) == {threading.get_ident()}
    prefetch.close()


def test_waiting_is_counted() -> None:
    prefetch = Prefetch(lambda _: time.sleep(0.02), nothing, ahead=3, name="counter")
    list(itertools.islice(prefetch, 5))
    assert prefetch.waited > 0.05
    prefetch.close()


def test_a_failure_is_raised_before_what_is_ready_and_again_later() -> None:
    failed = threading.Event()
    items = iter(range(3))

    def make(_: object) -> int:
        try:
            return next(items)
        except StopIteration:
            failed.set()
            raise RunError("shard gone") from None

    prefetch = Prefetch(make, nothing, ahead=9, name="counter")
    assert failed.wait(10)
    for _ in range(2):
        with pytest.raises(RunError, match="shard gone"):
            list(prefetch)


def test_a_thread_that_hangs_ends_the_wait_with_its_name() -> None:
    release = threading.Event()
    prefetch = Prefetch(lambda _: release.wait(), nothing, ahead=2, name="the reader of faces", patience=0.2)
    with pytest.raises(RunError, match="the reader of faces: nothing came"):
        next(prefetch)
    release.set()
    prefetch.close()
