"""Delivers afterwards what killed workers, lost nodes and servers that were away left undelivered.

A run in an object store has its spool on the disk of a node, which may be lost with the node. So a copy of what waits
is left in the run's folder: one file for each spool, COPIES/ID.tar, replaced as a whole.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from raygan.pipeline.tracking.client import client, first_line
from raygan.pipeline.tracking.spool.delivery import Delivery
from raygan.pipeline.tracking.spool.spool import Spool, undelivered
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder

COPIES = "spool"


class Flushed(NamedTuple):
    """What became of one spool: where it lies, the run it belongs to, writes left in it, and why they were left."""

    folder: str
    run_id: str
    left: int
    reason: str


def flush(runs: str | Path) -> list[Flushed]:
    """Delivers the spools anywhere under the folder `runs`, or the copies of each run in that folder of a store.

    Raises UserError for a folder that does not exist. A spool that a living run writes to is left alone.
    """
    where = Folder(str(runs))
    if where.local is None:
        try:
            return [flushed for name in where.list()[1] for flushed in flush_copies(where / name)]
        except OSError as error:
            raise UserError(f"{where}: the store does not answer ({error})") from error
    if not where.local.is_dir():
        raise UserError(f"{runs}: no such folder; name the folder that holds the spools")
    return [_flush_one(header.parent) for header in sorted(where.local.rglob("header.json"))]


def copy(spool: Spool, run_folder: Folder) -> None:
    """Leaves with the run what `spool` holds undelivered, or nothing if there is nothing. Raises OSError."""
    name, waiting = f"{spool.id}.tar", spool.packed()
    if waiting is None:
        (run_folder / COPIES).remove(name)
    else:
        (run_folder / COPIES).write(name, waiting)


def flush_copies(run_folder: Folder, but: str = "") -> list[Flushed]:
    """Delivers the copies left with a run, but for the spool with that id. Those that arrived are removed. OSError."""
    home, found = run_folder / COPIES, []
    for name in sorted(home.list()[0]):
        if name == f"{but}.tar":
            continue
        with tempfile.TemporaryDirectory() as scratch:
            with tarfile.open(fileobj=io.BytesIO(home.read(name))) as packed:
                packed.extractall(folder := Path(scratch) / "spool", filter="data")
            flushed = _flush_one(folder)
        if not flushed.left:
            home.remove(name)
        found.append(flushed._replace(folder=f"{home}/{name}"))
    return found


def _flush_one(folder: Path) -> Flushed:
    run_id = json.loads((folder / "header.json").read_text())["run_id"]
    try:
        spool = Spool.reopen(folder)
    except RunError:
        return Flushed(str(folder), run_id, undelivered(folder), "its run is still writing")
    reason = ""
    try:
        Delivery(client(spool.uri), spool).drain()
    except Exception as error:
        reason = first_line(error)
    spool.close()
    return Flushed(str(folder), run_id, undelivered(folder), reason)
