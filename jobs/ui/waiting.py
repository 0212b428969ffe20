"""What a silent command waits for, said every few seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from raygan.jobs.ui.progress import console

SECONDS = 9.0  # between two lines; a person who sees nothing for ten seconds takes a command for hung


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Prints `what` the block is waiting for, again and again while it lasts. Prints nothing if it is quick."""
    done, start = Event(), time.monotonic()

    def speak() -> None:
        while not done.wait(SECONDS):
            console.print(f"waiting for {what} ({time.monotonic() - start:.0f} s)", markup=False, soft_wrap=True)

    speaker = Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield
    finally:
        done.set()
        speaker.join()
