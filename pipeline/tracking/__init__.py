"""MLflow: the only package that imports it.

The driver creates a run and ends it (`runs`), one worker writes to it (`writer`) by way of a spool on its disk
(`spool`, `delivery`), and later commands find it, deliver what was left and close it if its driver died (`liveness`).
"""

from pipeline.tracking.client import local_uri
from pipeline.tracking.runs import RunInfo, close_dead_runs, create_run, end_run, find_run, list_runs, resume_run
from pipeline.tracking.writer import Flushed, Writer, flush

__all__ = [
    "Flushed",
    "RunInfo",
    "Writer",
    "close_dead_runs",
    "create_run",
    "end_run",
    "find_run",
    "flush",
    "list_runs",
    "local_uri",
    "resume_run",
]
