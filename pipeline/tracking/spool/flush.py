"""Delivers the spools that killed workers, lost nodes and unreachable servers left behind.

The spool of a run in an object store is on the disk of a node, which may be lost with the node. So a copy of its
undelivered records is kept in the run's folder: one file per spool, COPIES/ID.tar, replaced as a whole.
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
    """The result for one spool: where it is, its run, the records left in it, and why they were left."""

    folder: str
    run_id: str
    left: int
    reason: str


def flush(runs: str | Path) -> list[Flushed]:
    """Delivers the spools anywhere under the folder `runs`; if that is in a store, the copies in each run's folder.

    A spool that a process has open is left as it is. Raises UserError for a folder that does not exist, and for a
    store that does not answer.
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


def leave_copy(spool: Spool, run_folder: Folder) -> None:
    """Copies the undelivered records of `spool` to the run's folder; removes the copy if there are none.

    Raises OSError when the store does not answer.
    """
    name, undelivered_records = f"{spool.id}.tar", spool.packed()
    if undelivered_records is None:
        (run_folder / COPIES).remove(name)
    else:
        (run_folder / COPIES).write(name, undelivered_records)


def flush_copies(run_folder: Folder, but: str = "") -> list[Flushed]:
    """Delivers the copies in a run's folder, except that of the spool with the id `but`; removes those delivered.

    Raises OSError when the store does not answer.
    """
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
