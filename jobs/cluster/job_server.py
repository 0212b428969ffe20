"""The job server of a cluster, which is part of Ray's dashboard: all that a client has to reach.

A job of raygan has a name. Each time it is resumed it gets a new submission id: NAME, then NAME.2, NAME.3 ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from raygan.jobs.cluster import token
from raygan.sharding.errors import RunError, UserError

ADDRESS = "http://127.0.0.1:8265"  # where `kubectl port-forward`, `ray attach` and Compose put it

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]


class JobOptions(NamedTuple):
    """How the cluster runs a command."""

    installed: bool = False  # with the nodes' own raygan, so that no code is sent
    cpus: float = 0.0  # CPU cores for the command itself, apart from its workers
    gpus: float = 0.0  # GPUs for the command itself


class Job(NamedTuple):
    """One submission."""

    id: str
    name: str
    attempt: int
    status: Status
    message: str  # Ray's explanation of the status
    command: str  # as typed after `raygan submit --`
    user: str
    commit: str
    run: str  # name of the run or search; empty for other commands
    options: JobOptions
    started: datetime | None
    ended: datetime | None
    exit_code: int | None

    @property
    def done(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.status not in ("PENDING", "RUNNING")


class JobServer:
    """A connection. Every method raises UserError if the server cannot be reached or refuses the token."""

    def __init__(self, address: str | None = None) -> None:
        """`address`: of the dashboard (http://HOST:8265) or of the head (HOST:6379); else RAY_ADDRESS, else ADDRESS."""
        self.address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS") or ADDRESS
        self.flag = f" --address {address}" if address else ""  # what the next command must repeat
        for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):  # Ray would prefer them to what was typed
            os.environ.pop(name, None)
        token.require()
        from ray.job_submission import JobSubmissionClient

        for handler in logging.getLogger("ray").handlers:  # its loggers have levels of their own
            handler.setLevel(logging.ERROR)
        with self._answering():
            self._client = JobSubmissionClient(self.address)

    def jobs(self) -> list[Job]:
        """All jobs of this cluster, sent by raygan or otherwise, oldest first."""
        with self._answering():
            found = [_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.started or datetime.max.replace(tzinfo=UTC))

    def get(self, id: str) -> Job:
        """The submission of this id."""
        with self._answering():
            return _job(self._client.get_job_info(id))

    def attempts(self, name: str) -> list[Job]:
        """The submissions of one name, oldest first."""
        return sorted((job for job in self.jobs() if job.name == name), key=lambda job: job.attempt)

    def newest(self, name: str) -> Job:
        """The last submission of this name, or the one of this id. Raises UserError, naming the jobs there are."""
        jobs = self.jobs()
        found = [job for job in jobs if job.name == name] or [job for job in jobs if job.id == name]
        if not found:
            known = ", ".join(sorted({job.name for job in jobs})) or "none yet"
            raise UserError(f"{name}: no such job at {self.address} (jobs there: {known})")
        return max(found, key=lambda job: job.attempt)

    def send(
        self, id: str, entrypoint: str, runtime_env: dict[str, Any], metadata: dict[str, str], options: JobOptions
    ) -> None:
        """Submits a job. Raises RunError if there is one of this id already."""
        with self._answering():
            self._client.submit_job(
                submission_id=id,
                entrypoint=entrypoint,
                runtime_env=runtime_env,
                metadata=metadata,
                entrypoint_num_cpus=options.cpus or None,
                entrypoint_num_gpus=options.gpus or None,
            )

    def stop(self, job: Job) -> None:
        """Asks a job to end and returns at once."""
        with self._answering():
            self._client.stop_job(job.id)

    def log(self, job: Job) -> str:
        """What the job has printed so far."""
        with self._answering():
            return str(self._client.get_job_logs(job.id))

    async def tail(self, id: str) -> AsyncIterator[str]:
        """The log from its first line to its last, as it grows. Ends early, or raises, if the connection is lost."""
        async for part in self._client.tail_job_logs(id):
            yield part

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from ray.exceptions import AuthenticationError
        from requests import RequestException

        try:
            yield
        except AuthenticationError as e:
            raise token.refusal(self.address, e) from e
        except (ConnectionError, RequestException) as e:
            raise UserError(
                f"{self.address}: no Ray job server answers there; give the dashboard's address with --address"
            ) from e
        except RuntimeError as e:
            raise RunError(f"{self.address}: the job server failed: {_last_line(str(e))}") from e


def _job(details: Any) -> Job:
    metadata = details.metadata or {}
    return Job(
        id=details.submission_id,
        name=metadata.get("name", details.submission_id),
        attempt=int(metadata.get("attempt", 1)),
        status=details.status.value,
        message=details.message or "",
        command=metadata.get("command", details.entrypoint),
        user=metadata.get("user", ""),
        commit=metadata.get("commit", ""),
        run=metadata.get("run", ""),
        options=JobOptions(
            metadata.get("code") == "installed", float(metadata.get("cpus", 0)), float(metadata.get("gpus", 0))
        ),
        started=_time(details.start_time),
        ended=_time(details.end_time),
        exit_code=details.driver_exit_code,
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _last_line(text: str) -> str:
    """The last line of an answer, which is a traceback whose last line names the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it gave no reason"
