"""The results of the checks, as lines or as JSON; from this process, or from a job on the cluster."""

import json
from datetime import datetime

from cyclopts import App
from rich.markup import escape

from raygan.jobs.cluster import follow as following
from raygan.jobs.cluster import send as sending
from raygan.jobs.cluster.job_server import JobServer
from raygan.jobs.doctor.examine import examine
from raygan.jobs.doctor.results import CheckResult, Requirements
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import RunError

COLOURS = {"ok": "green", "failed": "red", "skipped": "dim"}


def report(required: Requirements, as_json: bool) -> None:
    """Checks the cluster at RAY_ADDRESS and prints the results. Raises RunError if a check failed, or UserError."""
    results = []
    for result in examine(required):
        results.append(result)
        if not as_json:
            _show(result)
    if as_json:
        print(json.dumps([result.model_dump() for result in results]))
    if failed := [result.check for result in results if result.status == "failed"]:
        raise RunError(f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}")


def remote(app: App, address: str, required: Requirements, as_json: bool) -> None:
    """Sends the same check to a cluster as a job, prints its results, and exits as the job does."""
    server = JobServer(address)
    words = ["doctor", "--workers", str(required.workers), "--cpus-per-worker", str(required.cpus_per_worker)]
    for flag in ("shards", "runs", "tracking"):
        if value := getattr(required, flag):
            words += [f"--{flag}", value]
    words += ["--gpu"] * required.gpu + ["--json"] * as_json
    id = sending.send(app, server, f"doctor-{datetime.now():%Y%m%d-%H%M%S}", words)
    if not as_json:
        following.follow(server, id)
    job = following.wait(server, id)
    lines = [line for line in server.log(job).splitlines() if line.startswith("[{")]
    print("\n".join(lines) or server.log(job))
    following.exit_as(job)


def _show(result: CheckResult) -> None:
    mark = f"[{COLOURS[result.status]}]{result.status:8}[/]"
    console.print(f"{mark} {result.check:14} {escape(result.found)}", soft_wrap=True)
    if result.remedy:
        console.print(f"{'':23} remedy: {result.remedy}", markup=False, soft_wrap=True)
