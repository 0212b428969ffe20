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
