"""Progress of long work: a live bar on a terminal, a line now and then in a job's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[..., None]  # images done so far, and words to show beside them

LOG_SECONDS = 10.0

console = Console(stderr=True, highlight=False)


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Shows how many of `total` images are done; the block calls what it is given with the count and some words."""
    with _bar(title, total) if console.is_terminal else _lines(title, total) as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[words]}"), console=console) as bars:
        task = bars.add_task(title, total=total, words="")

        def advance(done: int, words: str = "") -> None:
            bars.update(task, completed=min(done, total), words=words)

        yield advance


@contextmanager
def _lines(title: str, total: int) -> Iterator[Advance]:
    start = shown = time.monotonic()
    first: int | None = None

    def advance(done: int, words: str = "") -> None:
        nonlocal shown, first
        first = done if first is None else first
        now = time.monotonic()
        if now - shown < LOG_SECONDS and done < total:
            return
        shown = now
        pace = (done - first) / (now - start)
        left = f", {max(total - done, 0) / pace:,.0f} s left" if pace > 0 and done < total else ""
        console.print(f"{title}: {min(done, total):,} of {total:,} images{left} {words}".rstrip(), soft_wrap=True)

    console.print(f"{title}: {total:,} images", soft_wrap=True)
    yield advance
