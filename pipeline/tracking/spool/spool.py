"""The spool: what a run writes to MLflow, kept on disk until MLflow has it.

A spool is a folder: `header.json` (the id of the spool, its run, the server), `records.jsonl` (one line per write, only
appended), `delivered` (how many bytes of it are delivered) and `files/` (images and artifacts). One process owns it at
a time. This file imports neither MLflow nor torch.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import logging
import os
import shutil
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from raygan.sharding.errors import RunError

log = logging.getLogger(__name__)
Record = dict[str, Any]


class Spool:
    """An append-only log of records with a mark of how much is delivered.

    Several threads may append while one other thread reads. A line that a killed process or a full disk left incomplete
    is cut off. Raises RunError while another process owns the folder.
    """

    def __init__(self, folder: Path, uri: str, run_id: str) -> None:
        self.folder, self.uri, self.run_id = folder, uri, run_id
        (folder / "files").mkdir(parents=True, exist_ok=True)
        self._owner = (folder / "lock").open("w")
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._owner.close()
            raise RunError(f"{folder}: another process writes there now; try again when its run has ended") from None
        if not (folder / "header.json").exists():
            header = {"version": 1, "id": os.urandom(8).hex(), "uri": uri, "run_id": run_id}
            _replace(folder / "header.json", json.dumps(header))
        self.id: str = json.loads((folder / "header.json").read_text())["id"]
        self._guard = threading.Lock()
        self._records = (folder / "records.jsonl").open("ab", buffering=0)
        self._size = _end_of_last_line(folder / "records.jsonl")
        self._records.truncate(self._size)
        self._delivered = _delivered(folder)

    @classmethod
    def reopen(cls, folder: Path) -> Spool:
        """The spool that another process left in `folder`."""
        header = json.loads((folder / "header.json").read_text())
        return cls(folder, header["uri"], header["run_id"])

    @classmethod
    def beside(cls, folder: Path, uri: str, run_id: str) -> Spool:
        """The spool in `folder`, or one beside it while another process owns that."""
        try:
            return cls(folder, uri, run_id)
        except RunError:
            return cls(folder.with_name(f"{folder.name}-{os.getpid()}"), uri, run_id)

    def append(self, record: Record) -> None:
        """Adds one record. Raises OSError, and leaves no incomplete line, when the disk is full."""
        line = _line(record)
        with self._guard:
            if self._records.write(line) != len(line):
                self._records.truncate(self._size)
                raise OSError(f"{self.folder}: no space left for the record")
            self._size += len(line)

    def keep_image(self, image: np.ndarray) -> str:
        """Saves a uint8 [H, W, 3] array; returns its path within the spool."""
        path = self._new_folder() / "image.npy"
        np.save(path, image)
        return str(path.relative_to(self.folder))

    def keep_path(self, path: Path) -> str:
        """Saves a file or a folder, with hard links where the disk has them; returns its path within the spool."""
        kept = self._new_folder() / path.name
        if path.is_dir():
            shutil.copytree(path, kept, copy_function=_link_or_copy)
        else:
            _link_or_copy(str(path), str(kept))
        return str(kept.relative_to(self.folder))

    def pending(self, limit: int = 500) -> list[tuple[Record, int]]:
        """The oldest undelivered records, at most `limit`, each with the mark to set once it is delivered."""
        records: list[tuple[Record, int]] = []
        with (self.folder / "records.jsonl").open("rb") as lines:
            lines.seek(mark := self._delivered)
            while len(records) < limit and (line := lines.readline()).endswith(b"\n"):
                mark += len(line)
                try:
                    records.append((json.loads(line), mark))
                except ValueError:
                    log.warning("%s: a damaged record was skipped", self.folder)
        return records

    def advance(self, mark: int) -> None:
        """Sets the mark: everything before it is delivered."""
        _replace(self.folder / "delivered", str(mark))
        self._delivered = mark

    def forget(self, path: str) -> None:
        """Removes a delivered file of this spool."""
        shutil.rmtree((self.folder / path).parent, ignore_errors=True)

    def packed(self) -> bytes | None:
        """The undelivered records and their files as a tar of a spool with the same id; None if there are none."""
        packed = io.BytesIO()
        try:
            records = [record for record, _ in self.pending(limit=sys.maxsize)]
            if not records:
                return None
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(self.folder / "header.json", "header.json")
                lines = tarfile.TarInfo("records.jsonl")
                content = b"".join(_line(record) for record in records)
                lines.size = len(content)
                tar.addfile(lines, io.BytesIO(content))
                for path in (record["path"] for record in records if "path" in record):
                    with contextlib.suppress(FileNotFoundError):  # it was delivered in the meantime
                        tar.add(self.folder / path, path)
        except FileNotFoundError:  # the spool was closed in the meantime, with all delivered
            return None
        return packed.getvalue()

    def close(self) -> None:
        """Releases the folder; removes it when all its records are delivered."""
        if not _undelivered_in(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
        self._records.close()
        self._owner.close()

    def _new_folder(self) -> Path:
        new = self.folder / "files" / os.urandom(8).hex()
        new.mkdir()
        return new


def undelivered(folder: Path) -> int:
    """The number of undelivered records in the spool in `folder` and in those beside or below it."""
    return sum(_undelivered_in(header.parent) for header in folder.parent.glob(f"{folder.name}*/**/header.json"))


def _line(record: Record) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _undelivered_in(folder: Path) -> int:
    with (folder / "records.jsonl").open("rb") as lines:
        lines.seek(_delivered(folder))
        return sum(1 for _ in lines)


def _delivered(folder: Path) -> int:
    mark = folder / "delivered"
    return int(mark.read_text()) if mark.exists() else 0


def _end_of_last_line(path: Path) -> int:
    with path.open("rb") as records:
        position = end = records.seek(0, os.SEEK_END)
        while position > 0:
            position = max(0, position - 65536)
            records.seek(position)
            newline = records.read(min(65536, end - position)).rfind(b"\n")
            if newline >= 0:
                return position + newline + 1
    return 0


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(text)
    temporary.replace(path)
