"""MLflow: the only package that imports it.

The driver creates and ends a run (`runs`, `describe`, `plot`), one worker writes to it (`spool/writer`), and later
commands list runs, deliver what was left (`spool/flush`) and close runs whose driver died (`liveness`). The best
generator goes into the model registry (`registry/`). `server` shows all of it in a browser.
"""

from raygan.pipeline.tracking.check import check_registry, check_writing
from raygan.pipeline.tracking.client import local_uri
from raygan.pipeline.tracking.describe import GRID, INTERPOLATION, NOTE, ORIGIN, description, log_inputs, origin
from raygan.pipeline.tracking.plot import log_accuracy
from raygan.pipeline.tracking.registry.register import Registered, note_unregistered, register_generator
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
    "INTERPOLATION",
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
    "note_unregistered",
    "origin",
    "register_generator",
    "resume_run",
    "ui",
    "undelivered",
]
