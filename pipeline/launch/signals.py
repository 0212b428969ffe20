"""How a driver waits for its work: it forwards events to whoever shows them, and SIGINT and SIGTERM to the monitor."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import Any

POLL_SECONDS = 0.5


def run_monitored(work: Callable[[], Any], monitor: Any, progress: Callable[[Any], bool | None] | None) -> Any:
    """Runs `work` in a thread, where Ray installs no signal handlers, and returns its result.

    Hands all events of `monitor`, an actor with Monitor's methods, to `progress`, which may return True to stop the
    work. The first SIGINT or SIGTERM asks for the same; the second has its usual effect, at once.
    """
    import ray

    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as e:
            future.set_exception(e)

    threading.Thread(target=run, name="work", daemon=True).start()
    with _signals_call(lambda: monitor.stop.remote()):
        while True:
            ended = wait([future], timeout=POLL_SECONDS).done
            for event in ray.get(monitor.collect.remote()):
                if progress is not None and progress(event):
                    monitor.stop.remote()
            if ended:
                return future.result()


@contextmanager
def _signals_call(ask: Callable[[], Any]) -> Iterator[None]:
    signals = (signal.SIGINT, signal.SIGTERM)
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only a main thread gets signals; a trial's driver is none
        yield
        return
    before = {number: signal.getsignal(number) for number in signals}

    def asked(number: int, frame: FrameType | None) -> None:
        restore()
        ask()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in signals:
        signal.signal(number, asked)
    try:
        yield
    finally:
        restore()
