"""What a conversion has finished so far, kept in OUT, so that an interrupted one does only what is missing."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from sharding.errors import UserError
from sharding.manifest import NAME, Manifest, ShardEntry
from sharding.plan import PlannedShard
from sharding.stores import Folder

FOLDER = ".conversion"  # in OUT until the manifest is there
REJECTS = "rejects.jsonl"


class Reject(NamedTuple):
    """An image that cannot be used, and why."""

    file: str
    reason: str


class Written(BaseModel):
    """A finished shard: its entry, and what was left out of it."""

    model_config = ConfigDict(frozen=True)

    identity: str
    entry: ShardEntry
    rejects: tuple[Reject, ...] = ()

    @property
    def seen(self) -> int:
        """Images read, used or not."""
        return self.entry.count + len(self.rejects)


class Journal:
    """One record for each finished shard, written after the shard itself; the manifest replaces them all.

    `identity` is a digest of the input and the options: a record of another identity belongs to another data set.
    """

    def __init__(self, folder: Folder, identity: str) -> None:
        """Raises UserError if `folder` holds another data set, or files that are none of ours."""
        self.folder, self.records, self.identity = folder, folder / FOLDER, identity

    def finished(self, planned: Iterable[PlannedShard]) -> dict[str, Written]:
        """The planned shards that are there, by name."""
        files, folders = self.folder.list()
        if not files and not folders:
            return {}
        if NAME in files:
            records = self._published()
        else:
            names = [name for name in self.records.list()[0] if name.endswith(".json")]
            records = [record for name in names if (record := self._record(name))]
            if not names and FOLDER not in folders:
                raise UserError(f"{self.folder}: holds other files; give an empty or a new folder")
        if any(record.identity != self.identity for record in records):
            raise UserError(
                f"{self.folder}: holds another data set (another source or other options); choose another folder, "
                f"or remove this one"
            )
        wanted = {shard.name for shard in planned}
        return {
            record.entry.name: record
            for record in records
            if record.entry.name in wanted and files.get(record.entry.name) == record.entry.bytes
        }

    def _record(self, name: str) -> Written | None:
        try:
            return Written.model_validate_json(self.records.read(name))
        except (ValidationError, FileNotFoundError):
            return None

    def _published(self) -> list[Written]:
        """Records of a finished data set, from its manifest."""
        manifest = Manifest.load(self.folder)
        rejects: dict[str, list[Reject]] = {}
        if manifest.rejects:
            for line in self.folder.read(REJECTS).decode().splitlines():
                found = json.loads(line)
                rejects.setdefault(found["shard"], []).append(Reject(found["file"], found["reason"]))
        return [
            Written(identity=manifest.identity, entry=entry, rejects=tuple(rejects.get(entry.name, ())))
            for entry in manifest.shards
        ]

    def record(self, written: Written) -> None:
        """Notes that a shard is finished."""
        self.records.write(f"{written.entry.name}.json", written.model_dump_json().encode())

    def list_rejects(self, rejects: Sequence[Reject]) -> None:
        """Writes rejects.jsonl: one line for each unusable image."""
        lines = [json.dumps({"file": reject.file, "reason": reject.reason}) for reject in rejects]
        self.folder.write(REJECTS, "\n".join([*lines, ""]).encode())

    def publish(self, manifest: Manifest, rejects: Sequence[Reject]) -> None:
        """Writes the manifest, last of all, and removes the records."""
        if rejects:
            self.list_rejects(rejects)
        else:
            self.folder.remove(REJECTS)
        self.folder.write(NAME, manifest.to_bytes())
        self.records.remove_all()
        for name in list(self.folder.leftovers()):
            self.folder.remove(name)
