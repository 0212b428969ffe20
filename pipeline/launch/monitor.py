"""What driver and workers exchange: events one way, the request to stop the other way. On a cluster: an actor."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

HEARTBEAT_EVERY = 2.0  # seconds
SILENCE = 20.0  # seconds without a heartbeat until the user gets a message


class Event(NamedTuple):
    """What rank 0 reports at a position (images)."""

    position: int
    metrics: dict[str, float]
    message: str = ""  # for the user


class Worker(NamedTuple):
    """One rank's process, named so that a person can find it."""

    rank: int
    world_size: int
    node: str
    process: int

    def __str__(self) -> str:
        return f"rank {self.rank} on node {self.node} (process {self.process})"


class Monitor:
    """Holds what the workers report until the driver asks, and whether the driver wants them to stop."""

    def __init__(self, silence: float = SILENCE) -> None:
        self._events: list[Event] = []
        self._stop = False
        self._silence = silence
        self._position = 0
        self._groups = 0  # worker groups that have started
        self._heartbeats: dict[Worker, float] = {}  # of the present group: when each sent its last
        self._reported: set[Worker] = set()
        self._ends = False  # a worker of the group has left, so that Ray ends the others

    def post(self, event: Event) -> bool:
        """Adds an event; returns whether the driver wants the run to stop."""
        self._events.append(event)
        self._position = max(event.position, self._position)
        return self._stop

    def collect(self) -> list[Event]:
        """The events since the last call, with one for each worker that has become silent."""
        silent = self.silent()
        # If all are silent, Ray has probably ended them to start another group.
        some = len(silent) < len(self._heartbeats) or len(self._heartbeats) == 1
        for worker in silent:
            if some and worker not in self._reported and not self._ends:
                self._reported.add(worker)
                self.say(f"{worker} has sent no heartbeat for {self._silence:g} seconds")
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        """The driver wants the run to stop."""
        self._stop = True

    def group_started(self, first: Worker) -> None:
        """Rank 0 of a new group of workers calls it; the group before it is forgotten."""
        self._groups += 1
        self._heartbeats.clear()
        self._ends = False
        if self._groups > 1:
            self.say(f"training starts again from the newest checkpoint, with {first.world_size} worker(s)")

    def heartbeat(self, worker: Worker) -> None:
        """The worker's process is alive."""
        self._heartbeats[worker] = time.monotonic()

    def left(self, worker: Worker) -> None:
        """The worker ends, well or with an error of its own."""
        self._heartbeats.pop(worker, None)
        self._ends = True

    def silent(self) -> list[Worker]:
        """Workers that neither left nor sent a heartbeat lately: dead, stopped, or on a node that is cut off."""
        now = time.monotonic()
        return sorted(worker for worker, sent in self._heartbeats.items() if now - sent > self._silence)

    def present(self) -> list[Worker]:
        """Workers that have not left."""
        return sorted(self._heartbeats)

    def say(self, message: str) -> None:
        """Adds a message for the user."""
        self._events.append(Event(self._position, {}, message))


class Heartbeat:
    """Sends heartbeats from a thread while a worker's process runs, however long its main thread waits for others."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send, self._ended = send, threading.Event()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._send()
            self._ended.wait(HEARTBEAT_EVERY)

    def end(self) -> None:
        """No more are sent."""
        self._ended.set()
