"""What a cluster must be fit for, what its nodes have found out, and the result of a check."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from raygan.jobs.ui.flags import as_flags


class Requirements(NamedTuple):
    """What the cluster must be fit for; None: not asked for, so not checked."""

    shards: str | None
    runs: str | None
    tracking: str | None
    workers: int
    cpus_per_worker: int
    gpu: bool


class Node(NamedTuple):
    """A node that is alive, and the outcome of each probe on it (see probes.py), by name: a value or a ProbeError."""

    name: str
    id: str
    resources: dict[str, float]
    labels: dict[str, str]
    probed: dict[str, Any]
    clock_offset: float  # seconds that its clock is ahead of the driver's

    def capacity(self, required: Requirements) -> int:
        """How many of the required workers fit on it."""
        cpus = self.resources.get("CPU", 0) // required.cpus_per_worker
        return int(min(cpus, self.resources.get("GPU", 0)) if required.gpu else cpus)


class ProbeError(NamedTuple):
    """Why a probe failed, in one line."""

    message: str


class ProbedCluster(NamedTuple):
    """What the checks are given."""

    required: Requirements
    nodes: Sequence[Node]
    unresponsive: Sequence[str]  # names of nodes that did not run a task
    dashboard: str | None  # URL
    written: Sequence[str]  # what the driver finds beside the runs after each node has written there
    unwritten: str  # why the driver could not write there itself; empty if it could


class CheckResult(BaseModel):
    """One line of the table."""

    check: str
    status: Literal["ok", "failed", "skipped"]
    found: str
    remedy: str = ""


def verdict(check: str, problems: Sequence[str], fine: str, remedy: str) -> CheckResult:
    """Failed, with its remedy, if there are problems; else ok, with the words `fine`."""
    if problems:
        return CheckResult(check=check, status="failed", found=as_flags("; ".join(problems)), remedy=remedy)
    return CheckResult(check=check, status="ok", found=fine)


def skipped(check: str, why: str) -> CheckResult:
    """The result of a check that does not apply."""
    return CheckResult(check=check, status="skipped", found=why)
