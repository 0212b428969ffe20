"""A job's log as it grows, and the end of the job as this command's own end."""

import asyncio
import sys
import time
from contextlib import suppress
from typing import NoReturn

from raygan.jobs.cluster.job_server import Job, JobServer
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import RunError, UserError

PAUSE = 0.3  # seconds between two looks at a job
LOST_AFTER = 120.0  # seconds without an answer until we give up; a head that restarts is back by then
STOPPED = 130  # the exit status of a `raygan` command that a signal stopped


def follow(server: JobServer, id: str) -> NoReturn:
    """Prints the job's log until it ends, and exits as it did. Ctrl-C only stops watching. Raises RunError."""
    try:
        exit_as(_watch(server, id))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"detached, and job {id} goes on; watch it again with: raygan jobs logs -f {id}{server.flag}; "
            f"end it with: raygan jobs stop {id}{server.flag}"
        ) from None


def exit_as(job: Job) -> NoReturn:
    """Exits with the status of a job that is over, after one line on how it ended."""
    if job.status == "SUCCEEDED":
        console.print(f"job {job.id} succeeded")
        sys.exit(0)
    if job.status == "STOPPED":
        console.print(f"job {job.id} was stopped; continue it with: raygan jobs resume {job.name}", soft_wrap=True)
        sys.exit(STOPPED)
    if job.exit_code is None:  # the command never ran, or was lost with its node
        raise RunError(f"job {job.id} failed: {' '.join(job.message.split())[:500]}")
    console.print(f"raygan: job {job.id} failed with status {job.exit_code}", style="red", markup=False)
    sys.exit(job.exit_code)


def wait(server: JobServer, id: str) -> Job:
    """Waits until the job is over."""
    while not (job := server.get(id)).over:
        time.sleep(PAUSE)
    return job


def _watch(server: JobServer, id: str) -> Job:
    shown, answered = Shown(), time.monotonic()
    while True:
        with suppress(RuntimeError, OSError):  # a lost connection, which is made anew
            asyncio.run(_tail(server, id, shown))
        try:
            job = server.get(id)
            if job.over:
                shown.show(server.log(job), 0)
                return job
            answered = time.monotonic()
        except (UserError, RunError) as e:
            if time.monotonic() - answered > LOST_AFTER:
                raise RunError(f"{e}; job {id} may go on without us") from e
        time.sleep(PAUSE)


async def _tail(server: JobServer, id: str, shown: "Shown") -> None:
    position = 0
    async for part in server.tail(id):
        shown.show(part, position)
        position += len(part)


class Shown:
    """What of a log is on the screen already: each new connection tells it from its beginning."""

    def __init__(self) -> None:
        self._characters = 0

    def show(self, part: str, position: int) -> None:
        """Prints what is new in a part of the log that begins at `position` characters."""
        new = part[max(0, self._characters - position) :]
        self._characters = max(self._characters, position + len(part))
        sys.stdout.write(new)
        sys.stdout.flush()
