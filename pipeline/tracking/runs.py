"""Runs as the driver and the commands see them: create, resume, end, find, list, close those whose driver is dead."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from raygan.pipeline.config.base import dotted
from raygan.pipeline.tracking.client import answering, client, local_folder, redact, retried, retried_while_away
from raygan.pipeline.tracking.liveness import DRIVER, HEARTBEAT, OPENED, PRESUMED_DEAD, death_of, this_driver
from raygan.pipeline.tracking.private import KIND
from raygan.pipeline.tracking.spool.flush import leave_copy
from raygan.pipeline.tracking.spool.spool import Spool
from raygan.pipeline.tracking.view import saved_view
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
PARENT = "mlflow.parentRunId"
PARAMETERS_PER_REQUEST = 100  # MLflow's limit
Status = Literal["FINISHED", "FAILED", "KILLED"]


class RunInfo(BaseModel):
    """A run as MLflow knows it; `metrics` holds the last value of each key."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    experiment: str
    status: str
    started: datetime
    ended: datetime | None
    parameters: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float]
    artifacts: str


def create_run(
    uri: str,
    experiment: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
) -> str:
    """Creates a run (and its experiment, and a local store) and returns its id; the driver calls it once.

    `parameters` may nest: {"generator": {"width": 64}} becomes `generator.width`. `parent` is the id of the run that
    this one is a trial of. Raises UserError when the server does not answer.
    """
    with answering(uri) as server:
        from mlflow.entities import Param

        all_tags = {
            **{key: redact(str(value)) for key, value in (tags or {}).items()},
            **({PARENT: parent} if parent else {}),
            DRIVER: this_driver(),
            HEARTBEAT: f"{time.time():.0f}",
        }
        experiment_id = retried(_experiment_id, server, uri, experiment)
        run = retried(server.create_run, experiment_id, tags=all_tags, run_name=name)
        flat = [Param(key, redact(str(value))) for key, value in dotted(parameters)]
        for first in range(0, len(flat), PARAMETERS_PER_REQUEST):
            some = flat[first : first + PARAMETERS_PER_REQUEST]
            retried(server.log_batch, run.info.run_id, params=some, synchronous=True)
        return str(run.info.run_id)


def resume_run(uri: str, run_id: str, tags: Mapping[str, str] | None = None) -> None:
    """Sets a run to RUNNING again, with the calling process as its driver; its parameters stay as they were.

    Raises UserError when the server does not answer.
    """
    with answering(uri) as server:
        server.update_run(run_id, status="RUNNING")
        now = time.time()
        ours = {DRIVER: this_driver(), HEARTBEAT: f"{now:.0f}", OPENED: f"{now * 1000:.0f}"}
        for key, value in {**(tags or {}), **ours}.items():
            server.set_tag(run_id, key, redact(value))
        for stale in {"reason", PRESUMED_DEAD} & server.get_run(run_id).data.tags.keys():
            server.delete_tag(run_id, stale)


def end_run(
    uri: str,
    run_id: str,
    status: Status,
    reason: str = "",
    spool: str | Path | None = None,
    home: Folder | None = None,
) -> bool:
    """Ends a run with a status and the reason, one line; tries for half a minute, then returns False.

    The end is then kept in `spool`, and in its copy in the run's folder `home`, for `flush`; without a spool the error
    of the server is raised.
    """
    record = {"kind": "end", "status": status, "reason": redact(reason), "time": int(time.time() * 1000)}
    try:
        retried_while_away(_end, client(uri), run_id, status, redact(reason))
    except Exception:
        if spool is None:
            raise
        try:
            with contextlib.closing(Spool.beside(Path(spool).resolve(), uri, run_id)) as kept:
                kept.append(record)
                if home is not None:
                    leave_copy(kept, home)
        except OSError as error:  # the disk is full, or a store is away: the caller still reports what ended the run
            log.warning("MLflow does not know how run %s ended (%s: %s)", run_id, spool, error)
        return False
    return True


def find_run(uri: str, run: str) -> RunInfo:
    """The run with this id, or the newest with this name. Raises UserError if there is none."""
    with answering(uri) as server:
        names = _experiment_names(server)
        quoted = run.replace("'", "")
        for condition in (f"attributes.run_id = '{quoted}'", f"attributes.run_name = '{quoted}'"):
            if found := _search(server, names, condition, 1):
                return found[0]
    raise UserError(f"no run has the id or the name {run!r} in {uri}: see `raygan runs`")


def list_runs(uri: str, experiment: str | None = None, limit: int = 100) -> list[RunInfo]:
    """The newest runs first, of one experiment or of all. Raises UserError for an experiment that does not exist."""
    with answering(uri) as server:
        names = _experiment_names(server)
        if experiment is not None:
            names = {id: name for id, name in names.items() if name == experiment}
            if not names:
                raise UserError(f"no experiment is called {experiment!r} in {uri}")
        return _search(server, names, "", limit)


def close_dead_runs(uri: str) -> list[RunInfo]:
    """Marks as KILLED every running run whose driver is dead (see liveness.py), and returns those.

    A run whose driver is alive after all opens itself again when it next reaches the server. Raises UserError when the
    server does not answer.
    """
    closed = []
    with answering(uri) as server:
        for run in _search(server, _experiment_names(server), "attributes.status = 'RUNNING'", 1000):
            if DRIVER not in run.tags:
                continue
            if reason := death_of(run.tags[DRIVER], float(run.tags.get(HEARTBEAT, 0))):
                server.set_tag(run.id, PRESUMED_DEAD, f"{time.time():.0f}")
                server.set_tag(run.id, "reason", reason)
                server.set_terminated(run.id, "KILLED")
                closed.append(run.model_copy(update={"status": "KILLED"}))
    return closed


def _experiment_id(server: MlflowClient, uri: str, name: str) -> str:
    from mlflow.exceptions import RestException

    if (found := server.get_experiment_by_name(name)) is None:
        folder = local_folder(uri)
        try:
            artifacts = (folder / "artifacts").as_uri() if folder else None
            return str(server.create_experiment(name, artifacts, KIND | saved_view()))
        except RestException:  # another driver has just created it
            found = server.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        raise UserError(f"experiment {name!r} in {uri} was deleted: restore it, or choose another name")
    return str(found.experiment_id)


def _experiment_names(server: MlflowClient) -> dict[str, str]:
    return {found.experiment_id: found.name for found in server.search_experiments()}


def _search(server: MlflowClient, experiments: dict[str, str], condition: str, limit: int) -> list[RunInfo]:
    order = ["attributes.start_time DESC"]
    runs = server.search_runs(list(experiments), condition, max_results=limit, order_by=order)
    return [_info(run, experiments[run.info.experiment_id]) for run in runs]


def _info(run: Any, experiment: str) -> RunInfo:
    return RunInfo(
        id=run.info.run_id,
        name=run.info.run_name,
        experiment=experiment,
        status=run.info.status,
        started=_time(run.info.start_time),
        ended=_time(run.info.end_time) if run.info.end_time else None,
        parameters=run.data.params,
        tags=run.data.tags,
        metrics=run.data.metrics,
        artifacts=run.info.artifact_uri,
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _end(server: MlflowClient, run_id: str, status: Status, reason: str) -> None:
    if reason:
        server.set_tag(run_id, "reason", reason)
    server.set_terminated(run_id, status)
