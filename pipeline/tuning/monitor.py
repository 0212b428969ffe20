"""Where a search's driver and its trials meet: news in one direction, the wish to stop in the other. An actor."""

from typing import NamedTuple

from raygan.pipeline.launch.monitor import Event


class TrialEvent(NamedTuple):
    """What a trial has to say."""

    trial: str
    news: Event


class SearchMonitor:
    """A Desk for many."""

    def __init__(self) -> None:
        self._news: list[TrialEvent] = []
        self._stopped: set[str] = set()
        self._all = False

    def post(self, news: TrialEvent) -> bool:
        """Leaves news; returns whether the driver wants this trial to stop."""
        self._news.append(news)
        return self._all or news.trial in self._stopped

    def collect(self) -> list[TrialEvent]:
        news, self._news = self._news, []
        return news

    def stop_one(self, trial: str) -> None:
        self._stopped.add(trial)

    def stop(self) -> None:
        """Stops all trials, and lets no other begin."""
        self._all = True

    def stopping(self) -> bool:
        return self._all
