"""How the trials of a search stand: a live table on a terminal, lines now and then in a job's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.table import Table

from raygan.jobs.ui.flags import as_flags
from raygan.jobs.ui.progress import LOG_SECONDS, console
from raygan.pipeline.tuning.coordinator import Coordinator, TrialStatus
from raygan.pipeline.tuning.space import short

ROWS = 20  # of the live table, where the screen is high enough
AROUND = 6  # lines of the screen that are not rows: headings, the summary, what was said last
STYLES = {"running": "bold", "finished": "green", "stopped": "dim", "failed": "red", "interrupted": "yellow"}

Show = Callable[[Coordinator], None]


@contextmanager
def shown() -> Iterator[Show]:
    """On a terminal a table that stays in place, in a log a line per running trial now and then."""
    said = 0

    def say_new(conductor: Coordinator) -> None:
        nonlocal said
        for text in conductor.words[said:]:
            console.print(as_flags(text), style="yellow", markup=False, soft_wrap=not console.is_terminal)
        said = len(conductor.words)

    if not console.is_terminal:
        log = Log()

        def write(conductor: Coordinator) -> None:
            say_new(conductor)
            log.update(conductor)

        yield write
        return

    with Live(console=console, refresh_per_second=2) as live:

        def update(conductor: Coordinator) -> None:
            say_new(conductor)
            live.update(table(conductor, max(1, min(ROWS, console.height - AROUND))))

        yield update


class Log:
    """Lines in place of a table: of trials that run every LOG_SECONDS, of the others when they end."""

    def __init__(self) -> None:
        self._looked = time.monotonic()
        self._ended: set[str] = set()

    def update(self, conductor: Coordinator) -> None:
        due = time.monotonic() - self._looked >= LOG_SECONDS
        for standing in list(conductor.standings.values()):
            running = standing.state == "running"
            if due if running else standing.name not in self._ended:
                self._say(line(conductor, standing))
            if not running:
                self._ended.add(standing.name)
        if due:
            self._looked = time.monotonic()
            self._say(summary(conductor))

    def _say(self, words: str) -> None:
        console.print(words, markup=False, soft_wrap=True)


def table(conductor: Coordinator, height: int = ROWS) -> Group:
    """The running trials, and of the others the best, in at most `height` rows."""
    search, standings = conductor.search, list(conductor.standings.values())
    running = [standing for standing in standings if standing.state == "running"]
    others = sorted(
        (standing for standing in standings if standing.state != "running"),
        key=lambda standing: (standing.state != "finished", -standing.position, standing.score or 0.0),
    )
    rows = Table(box=None, pad_edge=False, collapse_padding=True)  # three fields fit on a screen of 80 columns
    headings = ("state", search.options.score, *(["rung"] if search.rungs else []), "done", "images/s", "left")
    fields = list(search.space)
    for heading in ("trial", *headings):
        rows.add_column(heading, no_wrap=True, justify="left" if heading in ("trial", "state") else "right")
    for field in fields:
        rows.add_column(field.replace(".", "\n"), justify="right", overflow="fold")
    for standing in [*running, *others][:height]:
        cells, values = _cells(conductor, standing), standing.values
        rows.add_row(
            standing.name,
            *(cells.get(heading, "") for heading in headings),
            *(short(values[field]) for field in fields),
            style=STYLES[standing.state],
        )
    return Group(summary(conductor), rows)


def line(conductor: Coordinator, standing: TrialStatus) -> str:
    """A trial in words."""
    cells = _cells(conductor, standing)
    state = cells.pop("state")
    words = {"done": "{} done", "images/s": "{} images/s", "left": "{} left"}
    told = ", ".join(words.get(heading, f"{heading} {{}}").format(cell) for heading, cell in cells.items())
    values = " ".join(f"{field}={short(value)}" for field, value in standing.values.items())
    return f"trial {standing.name} {state}: {told}; {values}"


def summary(conductor: Coordinator) -> str:
    states = [standing.state for standing in conductor.standings.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STYLES if state in states)
    return f"search {conductor.search.name}: {counts or 'starting'}, of {conductor.total} trials"


def _cells(conductor: Coordinator, standing: TrialStatus) -> dict[str, str]:
    """What is known, by its heading."""
    search, pace = conductor.search, standing.images_per_second
    images = search.config.images
    cells: dict[str, str] = {"state": standing.state}
    if standing.score is not None:
        cells[search.options.score] = f"{standing.score:.4g}"
    if search.rungs:
        cells["rung"] = f"{standing.rung}/{search.rungs.passed(images - 1)}"
    cells["done"] = f"{standing.position / images:.0%}"
    if pace:
        cells["images/s"] = f"{pace:,.0f}"
    if pace and standing.state == "running":
        left = (images - standing.position) / pace
        cells["left"] = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    return cells
