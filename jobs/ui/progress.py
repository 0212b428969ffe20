"""Progress of long work: a live bar on a terminal, a line now and then in a job's log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int, int, str], None]  # done so far, in total, words to show beside them

LOG_SECONDS = 10.0

console = Console(stderr=True, highlight=False)


@contextmanager
def progress(title: str, unit: str = "images") -> Iterator[Advance]:
    """Shows how many are done; the block calls what it is given whenever it knows more."""
    with _bar(title) if console.is_terminal else _lines(title, unit) as advance:
        yield advance


@contextmanager
def _bar(title: str) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[words]}"), console=console) as bars:
        task = bars.add_task(title, total=None, words="")

        def advance(done: int, total: int, words: str) -> None:
            bars.update(task, completed=min(done, total), total=total, words=words)

        yield advance


@contextmanager
def _lines(title: str, unit: str) -> Iterator[Advance]:
    shown, last = time.monotonic(), -1

    def advance(done: int, total: int, words: str) -> None:
        nonlocal shown, last
        if time.monotonic() - shown >= LOG_SECONDS or (done >= total and done != last):
            shown, last = time.monotonic(), done
            console.print(f"{title}: {min(done, total):,} of {total:,} {unit}  {words}".rstrip(), soft_wrap=True)

    yield advance
