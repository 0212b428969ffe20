"""What the doctor says: a table, line by line as it is found, or JSON; from here, or from a job on the cluster."""

import json
from datetime import datetime

from cyclopts import App
from rich.markup import escape

from raygan.jobs.cluster import follow as following
from raygan.jobs.cluster import send as submit
from raygan.jobs.cluster.job_server import JobServer
from raygan.jobs.doctor.examine import examine
from raygan.jobs.doctor.finding import Asked, Finding
from raygan.jobs.ui.progress import console
from raygan.sharding.errors import RunError

COLOURS = {"ok": "green", "failed": "red", "skipped": "dim"}


def report(asked: Asked, as_json: bool) -> None:
    """Examines the cluster that this process reaches. Raises RunError if a check failed, or UserError."""
    findings = []
    for finding in examine(asked):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print(json.dumps([finding.model_dump() for finding in findings]))
    if failed := [finding.check for finding in findings if finding.status == "failed"]:
        raise RunError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")


def remote(app: App, address: str, asked: Asked, as_json: bool) -> None:
    """Sends the same examination to a cluster as a job, shows what it says, and exits as it does."""
    server = JobServer(address)
    words = ["doctor", "--workers", str(asked.workers), "--cpus-per-worker", str(asked.cpus_per_worker)]
    for flag in ("shards", "runs", "tracking"):
        if value := getattr(asked, flag):
            words += [f"--{flag}", value]
    words += ["--gpu"] * asked.gpu + ["--json"] * as_json
    id = submit.send(app, server, f"doctor-{datetime.now():%Y%m%d-%H%M%S}", words)
    if not as_json:
        following.follow(server, id)
    job = following.wait(server, id)
    lines = [line for line in server.log(job).splitlines() if line.startswith("[{")]
    print("\n".join(lines) or server.log(job))
    following.exit_as(job)


def _show(finding: Finding) -> None:
    mark = f"[{COLOURS[finding.status]}]{finding.status:8}[/]"
    console.print(f"{mark} {finding.check:14} {escape(finding.found)}", soft_wrap=True)
    if finding.remedy:
        console.print(f"{'':23} remedy: {finding.remedy}", markup=False, soft_wrap=True)
