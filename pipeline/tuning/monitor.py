"""Where a search's driver and its trials meet: events in one direction, the wish to stop in the other. An actor."""

from typing import NamedTuple

from raygan.pipeline.launch.monitor import Event


class TrialEvent(NamedTuple):
    """What a trial has to say."""

    trial: str
    event: Event


class SearchMonitor:
    """A Desk for many."""

    def __init__(self) -> None:
        self._events: list[TrialEvent] = []
        self._stopped: set[str] = set()
        self._all = False

    def post(self, event: TrialEvent) -> bool:
        """Leaves an event; returns whether the driver wants this trial to stop."""
        self._events.append(event)
        return self._all or event.trial in self._stopped

    def collect(self) -> list[TrialEvent]:
        events, self._events = self._events, []
        return events

    def stop_one(self, trial: str) -> None:
        self._stopped.add(trial)

    def stop(self) -> None:
        """Stops all trials, and lets no other begin."""
        self._all = True

    def stopping(self) -> bool:
        return self._all
