"""The thread ahead of the loop: order kept, bounded, and no failure that hangs."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.prefetch import Prefetch
from sharding.errors import RunError


def test_items_come_in_order_and_no_more_are_made_than_asked() -> None:
    made = []

    def source() -> Iterator[int]:
        for item in itertools.count():
            made.append(item)
            yield item

    prefetch = Prefetch(source(), ahead=3, name="counter")
    assert list(itertools.islice(prefetch, 50)) == list(range(50))
    prefetch.close()
    assert len(made) <= 50 + 3 + 1


def test_waiting_is_counted() -> None:
    def source() -> Iterator[int]:
        for item in itertools.count():
            time.sleep(0.02)
            yield item

    prefetch = Prefetch(source(), ahead=3, name="counter")
    list(itertools.islice(prefetch, 5))
    assert prefetch.waited > 0.05
    prefetch.close()


def test_a_failure_is_raised_before_what_is_ready_and_again_afterwards() -> None:
    failed = threading.Event()

    def source() -> Iterator[int]:
        yield from range(3)
        failed.set()
        raise RunError("shard gone")

    prefetch = Prefetch(source(), ahead=9, name="counter")
    assert failed.wait(10)
    for _ in range(2):
        with pytest.raises(RunError, match="shard gone"):
            list(prefetch)


def test_a_source_that_hangs_ends_the_wait_with_its_name() -> None:
    release = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        release.wait()

    prefetch = Prefetch(source(), ahead=2, name="the reader of faces", patience=0.2)
    assert next(prefetch) == 0
    with pytest.raises(RunError, match="the reader of faces: nothing came"):
        next(prefetch)
    release.set()
    prefetch.close()
