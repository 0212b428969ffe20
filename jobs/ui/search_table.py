"""The trials of a search and their status: a live table on a terminal, in a log a line per trial at intervals."""

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
    """A function that shows a search: on a terminal as a table that stays in place, in a log as lines (`Log`)."""
    printed = 0

    def print_new_messages(coordinator: Coordinator) -> None:
        nonlocal printed
        for text in coordinator.messages[printed:]:
            console.print(as_flags(text), style="yellow", markup=False, soft_wrap=not console.is_terminal)
        printed = len(coordinator.messages)

    if not console.is_terminal:
        log = Log()

        def write(coordinator: Coordinator) -> None:
            print_new_messages(coordinator)
            log.update(coordinator)

        yield write
        return

    with Live(console=console, refresh_per_second=2) as live:

        def update(coordinator: Coordinator) -> None:
            print_new_messages(coordinator)
            live.update(table(coordinator, max(1, min(ROWS, console.height - AROUND))))

        yield update


class Log:
    """Lines in place of a table: for a running trial every LOG_SECONDS, for any trial when it ends."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._ended: set[str] = set()

    def update(self, coordinator: Coordinator) -> None:
        """Prints the lines that are due."""
        due = time.monotonic() - self._last >= LOG_SECONDS
        for status in list(coordinator.statuses.values()):
            running = status.state == "running"
            if due if running else status.name not in self._ended:
                self._print(line(coordinator, status))
            if not running:
                self._ended.add(status.name)
        if due:
            self._last = time.monotonic()
            self._print(summary(coordinator))

    def _print(self, text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)


def table(coordinator: Coordinator, height: int = ROWS) -> Group:
    """The running trials, then the best of the others, in at most `height` rows below a summary."""
    search, statuses = coordinator.search, list(coordinator.statuses.values())
    running = [status for status in statuses if status.state == "running"]
    others = sorted(
        (status for status in statuses if status.state != "running"),
        key=lambda status: (status.state != "finished", -status.position, status.score or 0.0),
    )
    rows = Table(box=None, pad_edge=False, collapse_padding=True)  # three fields fit on a screen of 80 columns
    headings = ("state", search.options.score, *(["rung"] if search.rungs else []), "done", "images/s", "left")
    fields = list(search.space)
    for heading in ("trial", *headings):
        rows.add_column(heading, no_wrap=True, justify="left" if heading in ("trial", "state") else "right")
    for field in fields:
        rows.add_column(field.replace(".", "\n"), justify="right", overflow="fold")
    for status in [*running, *others][:height]:
        cells, values = _cells(coordinator, status), status.values
        rows.add_row(
            status.name,
            *(cells.get(heading, "") for heading in headings),
            *(short(values[field]) for field in fields),
            style=STYLES[status.state],
        )
    return Group(summary(coordinator), rows)


def line(coordinator: Coordinator, status: TrialStatus) -> str:
    """The status of a trial in one line."""
    cells = _cells(coordinator, status)
    state = cells.pop("state")
    words = {"done": "{} done", "images/s": "{} images/s", "left": "{} left"}
    rest = ", ".join(words.get(heading, f"{heading} {{}}").format(cell) for heading, cell in cells.items())
    values = " ".join(f"{field}={short(value)}" for field, value in status.values.items())
    return f"trial {status.name} {state}: {rest}; {values}"


def summary(coordinator: Coordinator) -> str:
    """How many trials are in each state."""
    states = [status.state for status in coordinator.statuses.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STYLES if state in states)
    return f"search {coordinator.search.name}: {counts or 'starting'}, of {coordinator.total} trials"


def _cells(coordinator: Coordinator, status: TrialStatus) -> dict[str, str]:
    """What is known of a trial, by the heading of its column."""
    search, images = coordinator.search, coordinator.search.config.images
    throughput = status.images_per_second
    cells: dict[str, str] = {"state": status.state}
    if status.score is not None:
        cells[search.options.score] = f"{status.score:.4g}"
    if search.rungs:
        cells["rung"] = f"{status.rung}/{search.rungs.passed(images - 1)}"
    cells["done"] = f"{status.position / images:.0%}"
    if throughput:
        cells["images/s"] = f"{throughput:,.0f}"
    if throughput and status.state == "running":
        left = (images - status.position) / throughput
        cells["left"] = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    return cells
