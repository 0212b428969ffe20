"""How the trials of a search stand: a live table on a terminal, lines now and then in a job's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table

from jobs.progress import LOG_SECONDS, console
from pipeline.tuning.conductor import Conductor, Standing
from pipeline.tuning.plots import short

ROWS = 20  # of the live table; all running trials are shown, and of the others the best
STYLES = {"running": "bold", "finished": "green", "stopped": "dim", "failed": "red", "interrupted": "yellow"}


@contextmanager
def shown() -> Iterator[Callable[[Conductor], None]]:
    """On a terminal a table that stays in place, in a log a line per running trial now and then."""
    said = 0

    def say_new(conductor: Conductor) -> None:
        nonlocal said
        for text in conductor.words[said:]:
            console.print(text, style="yellow", markup=False, soft_wrap=True)
        said = len(conductor.words)

    def say(words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)

    if console.is_terminal:
        with Live(console=console, refresh_per_second=2, transient=False) as live:

            def update(conductor: Conductor) -> None:
                say_new(conductor)
                live.update(table(conductor))

            yield update
        return

    looked = time.monotonic()
    ended: set[str] = set()

    def log(conductor: Conductor) -> None:
        nonlocal looked
        say_new(conductor)
        standings = list(conductor.standings.values())
        due = time.monotonic() - looked >= LOG_SECONDS
        for standing in standings:
            if (standing.state == "running" and due) or (standing.state != "running" and standing.name not in ended):
                say("  ".join(_cells(conductor, standing)))
            if standing.state != "running":
                ended.add(standing.name)
        if due:
            looked = time.monotonic()
            say(_summary(conductor))

    yield log


def table(conductor: Conductor) -> Group:
    """Every running trial, and of the others the best."""
    standings = list(conductor.standings.values())
    running = [standing for standing in standings if standing.state == "running"]
    others = sorted(
        (standing for standing in standings if standing.state != "running"),
        key=lambda standing: (standing.state != "finished", -standing.position, standing.score or 0.0),
    )
    rows = Table(box=None, padding=(0, 1))
    for heading in ("trial", "state", conductor.search.options.score, "rung", "images", "images/s", "left", "values"):
        rows.add_column(heading, no_wrap=heading != "values")
    for standing in [*running, *others][: max(ROWS, len(running))]:
        rows.add_row(*_cells(conductor, standing), style=STYLES[standing.state])
    return Group(_summary(conductor), rows)


def _cells(conductor: Conductor, standing: Standing) -> list[str]:
    images, pace = conductor.search.config.images, standing.images_per_second
    left = (images - standing.position) / pace if pace and standing.state == "running" else None
    return [
        standing.name,
        standing.state,
        "-" if standing.score is None else f"{standing.score:.4g}",
        f"rung {standing.rung}",
        f"{standing.position:,}/{images:,}",
        f"{pace:.0f}/s" if pace else "-",
        "-" if left is None else f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s",
        " ".join(f"{field}={short(value)}" for field, value in standing.values.items()),
    ]


def _summary(conductor: Conductor) -> str:
    states = [standing.state for standing in conductor.standings.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STYLES if state in states)
    return f"search {conductor.search.name}: {counts or 'starting'}, of {conductor.search.count} trials"
