"""`raygan jobs list`, `status`, `logs`, `stop` and `resume`: what was sent to a cluster."""

import shlex
from typing import Annotated

from cyclopts import App, Parameter

from raygan.jobs.app import Address, app, say
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import UserError

jobs = App(name="jobs", help="What was sent to a cluster with `raygan submit`.")
app.command(jobs)

Name = Annotated[str, Parameter(help="Of the job, as `raygan jobs list` shows it.")]


@jobs.command(name="list")
def list_jobs(*, address: Address = None) -> None:
    """Show all jobs of a cluster, oldest first."""
    from rich.table import Table

    from raygan.jobs.cluster.job_server import JobServer

    table = Table("job", "status", "started", "user", "command", box=None, pad_edge=False)
    for job in JobServer(address).jobs():
        started = f"{job.started.astimezone():%Y-%m-%d %H:%M}" if job.started else ""
        table.add_row(job.id, job.status, started, job.user, job.command)
    console.print(table)


@jobs.command
def status(name: Name, *, address: Address = None) -> None:
    """Say how a job is, and where it came from. With several of a name, the last."""
    from raygan.jobs.cluster.job_server import JobServer

    job = JobServer(address).newest(name)
    for label, value in (job._asdict() | job.how._asdict()).items():
        if value not in ("", None, job.how):
            print(f"{label:10}{value}")


@jobs.command
def logs(
    name: Name,
    *,
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Until the job ends, then exit as it did.", negative="")
    ] = False,
    address: Address = None,
) -> None:
    """Print what a job has printed."""
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster.job_server import JobServer

    server = JobServer(address)
    job = server.newest(name)
    if follow:
        following.follow(server, job.id)
    print(server.log(job), end="")


@jobs.command
def stop(name: Name, *, address: Address = None) -> None:
    """End a job: a run saves a checkpoint first, for which it has five minutes. Returns when it has ended."""
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster.job_server import JobServer

    server = JobServer(address)
    job = server.newest(name)
    if job.over:
        raise UserError(f"{name}: that job is over ({job.status})")
    server.stop(job)
    console.print(f"job {job.id} was told to stop; a run saves its checkpoint first")
    job = following.wait(server, job.id)
    say(f"job {job.id}: {job.status}", f"raygan jobs resume {job.name}{server.flag}")


@jobs.command(name="resume")
def go_on(
    name: Name,
    *,
    address: Address = None,
    follow: Annotated[bool, Parameter(help="Print the job's log until it ends or Ctrl-C.")] = True,
) -> None:
    """Send a job that is over once more: a run goes on from its newest checkpoint, a conversion from its last shard."""
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster import send as submit
    from raygan.jobs.cluster.job_server import JobServer

    server = JobServer(address)
    job = server.newest(name)
    id = submit.send(app, server, job.name, shlex.split(job.command), job.how, resume=True)
    say(f"job {id} was sent to {server.address}", f"raygan jobs logs -f {id}{server.flag}")
    if follow:
        following.follow(server, id)
