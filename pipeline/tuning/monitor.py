"""The monitor of a search: an actor that takes events from trials to the driver, and requests to stop back to them."""

from typing import NamedTuple

from raygan.pipeline.launch.monitor import Event


class TrialEvent(NamedTuple):
    """An event of one trial."""

    trial: str
    event: Event


class SearchMonitor:
    """Like the Monitor of a run, for all trials of a search."""

    def __init__(self) -> None:
        self._events: list[TrialEvent] = []
        self._stopped: set[str] = set()
        self._all = False

    def post(self, event: TrialEvent) -> bool:
        """Adds an event; returns whether the driver wants this trial to stop."""
        self._events.append(event)
        return self._all or event.trial in self._stopped

    def collect(self) -> list[TrialEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def stop_one(self, trial: str) -> None:
        """Asks one trial, by name, to stop."""
        self._stopped.add(trial)

    def stop(self) -> None:
        """Asks all trials to stop; no other begins."""
        self._all = True

    def stopping(self) -> bool:
        """Whether the whole search is being stopped."""
        return self._all
