"""`raygan doctor`: is a cluster fit for what it is meant to do?"""

import os
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs.app import Address, app
from raygan.sharding.errors import UserError


@app.command
def doctor(
    *,
    address: Address = None,
    shards: Annotated[str | None, Parameter(help="Data set that every node must be able to read.")] = None,
    runs: Annotated[str | None, Parameter(help="Folder that every node must be able to write to.")] = None,
    tracking: Annotated[str | None, Parameter(help="MLflow server that every node must reach.")] = None,
    workers: Annotated[int, Parameter(help="Workers that must fit.")] = 1,
    cpus_per_worker: Annotated[int, Parameter(help="CPU cores per worker.")] = 1,
    gpu: Annotated[bool, Parameter(help="A GPU per worker.", negative="")] = False,
    json: Annotated[bool, Parameter(help="Print the results as JSON, in one line.", negative="")] = False,
) -> None:
    """Check a cluster before it is paid for: every node, its storage, its servers. Exit status 1 if something is wrong.

    Also closes the MLflow runs of drivers that died. Given a dashboard's address, it sends itself there as a job.
    """
    from raygan.jobs.doctor.report import remote, report
    from raygan.jobs.doctor.results import Requirements

    if tracking and not tracking.startswith("http"):
        raise UserError(f"--tracking {tracking}: give the address of an MLflow server; nodes cannot share a file")
    required = Requirements(shards, runs, tracking, workers, cpus_per_worker, gpu)
    where = address or os.environ.get("RAY_ADDRESS", "")
    if where.startswith("http"):
        remote(app, where, required, json)
    if address:
        os.environ["RAY_ADDRESS"] = address
    report(required, json)
