"""Where the driver and rank 0 meet: news in one direction, the wish to stop in the other. On a cluster, an actor."""

from typing import NamedTuple


class News(NamedTuple):
    """What rank 0 has to say at a position (images)."""

    position: int
    metrics: dict[str, float]
    words: str = ""


class Desk:
    """Holds what one side has left until the other side calls."""

    def __init__(self) -> None:
        self._news: list[News] = []
        self._stop = False

    def post(self, news: News) -> bool:
        """Leaves news; returns whether the driver wants the run to stop."""
        self._news.append(news)
        return self._stop

    def collect(self) -> list[News]:
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        self._stop = True
