"""To a cluster and back: `raygan submit`, `raygan jobs ...` and `raygan doctor`."""

import os
import shlex
from typing import Annotated

from cyclopts import App, Parameter

from raygan.jobs.app import app, say
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import UserError

jobs = App(name="jobs", help="What was sent to a cluster with `raygan submit`.")
app.command(jobs)

Address = Annotated[
    str | None,
    Parameter(help="Of the cluster's dashboard. [default: RAY_ADDRESS, else http://127.0.0.1:8265]"),
]
Name = Annotated[str, Parameter(help="Of the job, as `raygan jobs list` shows it.")]


@app.command
def submit(
    *command: str,
    address: Address = None,
    name: Annotated[
        str | None, Parameter(help="Of the job, and of the run it trains. [default: the command's own --name]")
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Go on with the job of this name, which is over, in place of refusing it.", negative="")
    ] = False,
    installed: Annotated[
        bool, Parameter(help="Send no code: the nodes have this raygan installed, as our image has.", negative="")
    ] = False,
    num_cpus: Annotated[
        float, Parameter(help="CPU cores for the command itself, which then runs on any node that has them.")
    ] = 0.0,
    num_gpus: Annotated[float, Parameter(help="GPUs for the command itself, as `evaluate --device cuda` wants.")] = 0.0,
    follow: Annotated[bool, Parameter(help="Print the job's log until it ends or Ctrl-C.")] = True,
) -> None:
    """Send a raygan command to a cluster as a job: raygan submit --name first -- train --shards s3://... --workers 8

    The code of this raygan travels along; folders must be shared by all nodes. A job goes on when this command ends.
    The cluster's token is read from RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN or ~/.ray/auth_token.

    Parameters
    ----------
    command
        After two dashes: any raygan command, as it would be typed on the cluster.
    """
    from raygan.jobs.cluster import follow as following
    from raygan.jobs.cluster import send as submit
    from raygan.jobs.cluster.job_server import How, JobServer

    server = JobServer(address)
    id = submit.send(app, server, name, command, How(installed, num_cpus, num_gpus), resume)
    say(f"job {id} was sent to {server.address}", f"raygan jobs logs -f {id}{server.flag}")
    if follow:
        following.follow(server, id)


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


@app.command
def doctor(
    *,
    address: Address = None,
    shards: Annotated[str | None, Parameter(help="Data set that every node shall read.")] = None,
    runs: Annotated[str | None, Parameter(help="Folder that every node shall write to.")] = None,
    tracking: Annotated[str | None, Parameter(help="MLflow server that every node shall reach.")] = None,
    workers: Annotated[int, Parameter(help="That shall fit.")] = 1,
    cpus_per_worker: Annotated[int, Parameter(help="CPU cores per worker.")] = 1,
    gpu: Annotated[bool, Parameter(help="A GPU per worker.", negative="")] = False,
    json: Annotated[bool, Parameter(help="Print the findings as JSON, in one line.", negative="")] = False,
) -> None:
    """Check a cluster before it is paid for: every node, its storage, its servers. Exit status 1 if something is wrong.

    Also closes the MLflow runs of drivers that died. Given a dashboard's address, it sends itself there as a job.
    """
    from raygan.jobs.doctor.finding import Asked
    from raygan.jobs.doctor.report import remote, report

    if tracking and not tracking.startswith("http"):
        raise UserError(f"--tracking {tracking}: the address of an MLflow server is meant; nodes cannot share a file")
    asked = Asked(shards, runs, tracking, workers, cpus_per_worker, gpu)
    where = address or os.environ.get("RAY_ADDRESS", "")
    if where.startswith("http"):
        remote(app, where, asked, json)
    if address:
        os.environ["RAY_ADDRESS"] = address
    report(asked, json)
