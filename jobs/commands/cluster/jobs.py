"""`raygan jobs list`, `status`, `logs`, `stop` and `resume`: what was sent to a cluster."""

import shlex
from typing import Annotated

from cyclopts import App, Parameter

from raygan.jobs.app import Address, app, say
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import UserError

jobs = App(name="jobs", help="What was sent to a cluster with `raygan submit`.")
app.command(jobs)

Name = Annotated[str, Parameter(help="Name of the job, as `raygan jobs list` shows it.")]


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
    """Print the status of a job, its command and who sent it. Of several jobs of one name, the last."""
    from raygan.jobs.cluster.job_server import JobServer

    job = JobServer(address).newest(name)
    for label, value in (job._asdict() | job.options._asdict()).items():
        if value not in ("", None, job.options):
            print(f"{label:10}{value}")


@jobs.command
def logs(
    name: Name,
    *,
    follow: Annotated[
        bool,
        Parameter(name=["--follow", "-f"], help="Print until the job ends, then exit with its status.", negative=""),
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
    """Stop a job and wait until it has ended. A run saves a checkpoint first, for which it has five minutes."""
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster.job_server import JobServer

    server = JobServer(address)
    job = server.newest(name)
    if job.done:
        raise UserError(f"{name}: that job has ended ({job.status})")
    server.stop(job)
    console.print(f"job {job.id} is stopping; a run saves a checkpoint first")
    job = following.wait(server, job.id)
    say(f"job {job.id}: {job.status}", f"raygan jobs resume {job.name}{server.flag}")


@jobs.command(name="resume")
def resume_job(
    name: Name,
    *,
    address: Address = None,
    follow: Annotated[bool, Parameter(help="Print the job's log until it ends or Ctrl-C.")] = True,
) -> None:
    """Continue a job that has ended: a run from its newest checkpoint, a conversion from its last shard."""
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster import send as sending
    from raygan.jobs.cluster.job_server import JobServer

    server = JobServer(address)
    job = server.newest(name)
    id = sending.send(app, server, job.name, shlex.split(job.command), job.options, resume=True)
    say(f"job {id} was sent to {server.address}", f"raygan jobs logs -f {id}{server.flag}")
    if follow:
        following.follow(server, id)
