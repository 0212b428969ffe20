"""MLflow: the only package that imports it.

The driver creates a run and ends it (`runs`), one worker writes to it (`writer`) by way of a spool on its disk
(`spool`, `delivery`), and later commands find it, deliver what was left (`afterwards`) and close it if its driver died
(`liveness`).
The best generator goes into the model registry (`model`, `served`); `server` shows it all in a browser.
"""

from raygan.pipeline.tracking.check import check_registry, check_writing
from raygan.pipeline.tracking.client import local_uri
from raygan.pipeline.tracking.describe import GRID, JOURNEY, NOTE, ORIGIN, description, log_inputs, origin
from raygan.pipeline.tracking.plot import log_accuracy
from raygan.pipeline.tracking.registry.model import Registered, register_generator
from raygan.pipeline.tracking.runs import (
    RunInfo,
    Status,
    close_dead_runs,
    create_run,
    end_run,
    find_run,
    list_runs,
    resume_run,
)
from raygan.pipeline.tracking.server import ui
from raygan.pipeline.tracking.spool.flush import Flushed, flush
from raygan.pipeline.tracking.spool.spool import undelivered
from raygan.pipeline.tracking.spool.writer import Writer

__all__ = [
    "GRID",
    "JOURNEY",
    "NOTE",
    "ORIGIN",
    "Flushed",
    "Registered",
    "RunInfo",
    "Status",
    "Writer",
    "check_registry",
    "check_writing",
    "close_dead_runs",
    "create_run",
    "description",
    "end_run",
    "find_run",
    "flush",
    "list_runs",
    "local_uri",
    "log_accuracy",
    "log_inputs",
    "origin",
    "register_generator",
    "resume_run",
    "ui",
    "undelivered",
]
