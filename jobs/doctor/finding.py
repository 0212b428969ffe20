"""What is asked, and what a check found."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from raygan.jobs.ui.flags import as_flags


class Asked(NamedTuple):
    """What the cluster shall be fit for."""

    shards: str | None
    runs: str | None
    tracking: str | None
    workers: int
    cpus_per_worker: int
    gpu: bool


class Node(NamedTuple):
    """A living node, and what it found out about itself: by look (see node.py) its outcome, or a Trouble."""

    name: str
    id: str
    resources: dict[str, float]
    labels: dict[str, str]
    seen: dict[str, Any]
    ahead: float  # seconds that its clock is ahead of the driver's

    def room(self, asked: Asked) -> int:
        """How many of the asked workers it can hold."""
        cpus = self.resources.get("CPU", 0) // asked.cpus_per_worker
        return int(min(cpus, self.resources.get("GPU", 0)) if asked.gpu else cpus)


class Trouble(NamedTuple):
    """Why a look came to nothing."""

    words: str


class Cluster(NamedTuple):
    """What the checks judge."""

    asked: Asked
    nodes: Sequence[Node]
    silent: Sequence[str]  # names of nodes that did not answer
    dashboard: str | None  # URL
    written: Sequence[str]  # what the driver finds beside the runs after each node has written there
    unwritten: str  # why the driver could not write there itself


class Finding(BaseModel):
    """One line of the table."""

    check: str
    status: Literal["ok", "failed", "skipped"]
    found: str
    remedy: str = ""


def judged(check: str, problems: Sequence[str], fine: str, remedy: str) -> Finding:
    """Failed with its remedy if there are problems, else ok."""
    if problems:
        return Finding(check=check, status="failed", found=as_flags("; ".join(problems)), remedy=remedy)
    return Finding(check=check, status="ok", found=fine)


def skipped(check: str, why: str) -> Finding:
    return Finding(check=check, status="skipped", found=why)
