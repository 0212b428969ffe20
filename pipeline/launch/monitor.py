"""Where driver and workers meet: news in one direction, the wish to stop in the other. On a cluster, an actor."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

BEAT_EVERY = 2.0  # seconds
SILENCE = 20.0  # seconds without a beat until the user is told


class Event(NamedTuple):
    """What rank 0 has to say at a position (images)."""

    position: int
    metrics: dict[str, float]
    words: str = ""


class Worker(NamedTuple):
    """One rank's process, as a person finds it."""

    rank: int
    world_size: int
    node: str
    process: int

    def __str__(self) -> str:
        return f"rank {self.rank} on node {self.node} (process {self.process})"


class Monitor:
    """Holds what one side has left until the other side calls."""

    def __init__(self, silence: float = SILENCE) -> None:
        self._news: list[Event] = []
        self._stop = False
        self._silence = silence
        self._position = 0
        self._group = 0  # worker groups that there have been
        self._heard: dict[Worker, float] = {}  # of the present group
        self._told: set[Worker] = set()
        self._ends = False  # one of the group left, so that Ray ends the others

    def post(self, news: Event) -> bool:
        """Leaves news; returns whether the driver wants the run to stop."""
        self._news.append(news)
        self._position = max(news.position, self._position)
        return self._stop

    def collect(self) -> list[Event]:
        silent = self.silent()
        # All of them together are more likely to be ended by Ray, which makes room for another group.
        some = len(silent) < len(self._heard) or len(self._heard) == 1
        for worker in silent:
            if some and worker not in self._told and not self._ends:
                self._told.add(worker)
                self.say(f"{worker} has not been heard of for {self._silence:g} seconds")
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        self._stop = True

    def enter(self, first: Worker) -> None:
        """Rank 0 of a new group of workers; the group before, if there was one, is forgotten."""
        self._group += 1
        self._heard.clear()
        self._ends = False
        if self._group > 1:
            self.say(f"training starts again from the newest checkpoint, with {first.world_size} worker(s)")

    def beat(self, worker: Worker) -> None:
        """The worker's process is alive."""
        self._heard[worker] = time.monotonic()

    def leave(self, worker: Worker) -> None:
        """The worker ends, well or with an error of its own."""
        self._heard.pop(worker, None)
        self._ends = True

    def silent(self) -> list[Worker]:
        """Workers that neither left nor were heard of lately: dead, stopped, or on a node that is cut off."""
        now = time.monotonic()
        return sorted(worker for worker, heard in self._heard.items() if now - heard > self._silence)

    def present(self) -> list[Worker]:
        """Workers that have not left."""
        return sorted(self._heard)

    def say(self, words: str) -> None:
        self._news.append(Event(self._position, {}, words))


class Heartbeat:
    """Beats in a thread for as long as a worker's process runs, however long its main thread waits for others."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._ended = beat, threading.Event()
        threading.Thread(target=self._run, name="pulse", daemon=True).start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._beat()
            self._ended.wait(BEAT_EVERY)

    def end(self) -> None:
        self._ended.set()
