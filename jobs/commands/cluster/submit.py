"""`raygan submit`: any raygan command, sent to a cluster as a job."""

from typing import Annotated

from cyclopts import Parameter

from raygan.jobs.app import Address, app, say


@app.command
def submit(
    *command: str,
    address: Address = None,
    name: Annotated[
        str | None, Parameter(help="Name of the job, and of the run it trains. [default: the command's own --name]")
    ] = None,
    resume: Annotated[
        bool, Parameter(help="Continue the job of this name, which must have ended, with this command.", negative="")
    ] = False,
    installed: Annotated[
        bool,
        Parameter(help="Send no code: the nodes have this raygan installed, as in the published image.", negative=""),
    ] = False,
    num_cpus: Annotated[
        float, Parameter(help="CPU cores for the command itself, which then runs on any node that has them free.")
    ] = 0.0,
    num_gpus: Annotated[float, Parameter(help="GPUs for the command itself, such as `evaluate --device cuda`.")] = 0.0,
    follow: Annotated[bool, Parameter(help="Print the job's log until it ends or Ctrl-C.")] = True,
) -> None:
    """Send a raygan command to a cluster as a job: raygan submit --name first -- train --shards s3://... --workers 8

    The code of this raygan is sent along; folders must be shared by all nodes. The job keeps running when this command
    ends. The cluster's token is read from RAY_AUTH_TOKEN_PATH, RAY_AUTH_TOKEN or ~/.ray/auth_token.

    Parameters
    ----------
    command
        Any raygan command, after two dashes, as it would be typed on the cluster.
    """
    from raygan.jobs.cluster import follow as logs
    from raygan.jobs.cluster import send as sending
    from raygan.jobs.cluster.job_server import JobOptions, JobServer

    server = JobServer(address)
    id = sending.send(app, server, name, command, JobOptions(installed, num_cpus, num_gpus), resume)
    say(f"job {id} was sent to {server.address}", f"raygan jobs logs -f {id}{server.flag}")
    if follow:
        logs.follow(server, id)
