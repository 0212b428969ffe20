"""Prints a job's log while it runs, and exits with the status of the job."""

import asyncio
import sys
import time
from contextlib import suppress
from typing import NoReturn

from raygan.jobs.cluster.job_server import Job, JobServer
from raygan.jobs.ui.progress import console
from raygan.jobs.ui.waiting import waiting
from raygan.sharding.errors import RunError, UserError

POLL_SECONDS = 0.3  # between two requests for a job's status
GIVE_UP_SECONDS = 120.0  # without an answer; a head that restarts is back by then
STOPPED = 130  # the exit status of a `raygan` command that a signal stopped


def follow(server: JobServer, id: str) -> NoReturn:
    """Prints the job's log until it ends, and exits with its status. Ctrl-C only stops watching. Raises RunError."""
    try:
        exit_as(_watch(server, id))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"detached; job {id} keeps running; watch it with: raygan jobs logs -f {id}{server.flag}; "
            f"stop it with: raygan jobs stop {id}{server.flag}"
        ) from None


def exit_as(job: Job) -> NoReturn:
    """Exits with the status of a job that has ended, after one line on how it ended. Raises RunError."""
    if job.status == "SUCCEEDED":
        console.print(f"job {job.id} succeeded")
        sys.exit(0)
    if job.status == "STOPPED":
        console.print(f"job {job.id} was stopped; continue it with: raygan jobs resume {job.name}", soft_wrap=True)
        sys.exit(STOPPED)
    if job.exit_code is None:  # the command never started, or its node was lost
        raise RunError(f"job {job.id} failed: {' '.join(job.message.split())[:500]}")
    console.print(f"raygan: job {job.id} failed with status {job.exit_code}", style="red", markup=False)
    sys.exit(job.exit_code)


def wait(server: JobServer, id: str) -> Job:
    """Waits until the job has ended."""
    with waiting(f"job {id} to end"):
        while not (job := server.get(id)).done:
            time.sleep(POLL_SECONDS)
    return job


def _watch(server: JobServer, id: str) -> Job:
    printer, answered = LogPrinter(), time.monotonic()
    while True:
        with suppress(RuntimeError, OSError):  # a lost connection, which the next round replaces
            asyncio.run(_tail(server, id, printer))
        try:
            job = server.get(id)
            if job.done:
                printer.show(server.log(job), 0)
                return job
            answered = time.monotonic()
        except (UserError, RunError) as e:
            if time.monotonic() - answered > GIVE_UP_SECONDS:
                raise RunError(f"{e}; job {id} may still be running") from e
        time.sleep(POLL_SECONDS)


async def _tail(server: JobServer, id: str, printer: "LogPrinter") -> None:
    position = 0
    async for part in server.tail(id):
        printer.show(part, position)
        position += len(part)


class LogPrinter:
    """Prints each part of a log once, although every new connection sends the log from its beginning."""

    def __init__(self) -> None:
        self._printed = 0  # characters

    def show(self, part: str, position: int) -> None:
        """Prints what is new in a part of the log that begins at `position` characters."""
        new = part[max(0, self._printed - position) :]
        self._printed = max(self._printed, position + len(part))
        sys.stdout.write(new)
        sys.stdout.flush()
