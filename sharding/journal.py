"""Records in OUT what a conversion has finished, so that an interrupted one writes only what is missing."""

import json
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import NAME, Manifest, ShardEntry
from raygan.sharding.plan import PlannedShard
from raygan.sharding.sources.source import Reject
from raygan.sharding.storage.folder import Folder

FOLDER = ".conversion"  # in OUT until the manifest is there
_PLAN = "plan.json"
REJECTS = "rejects.jsonl"


class Written(BaseModel):
    """A finished shard: its entry, and the images that were left out of it."""

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
        self.folder, self.records, self.identity = folder, folder / FOLDER, identity

    def finished(self, planned: Iterable[PlannedShard]) -> dict[str, Written]:
        """The planned shards that are there, by name; records in the folder which data set it will hold.

        Raises UserError if the folder holds another data set, or other files.
        """
        files, folders = self.folder.list()
        names = self.records.list()[0]
        identity = self.identity
        records: list[Written] = []
        if NAME in files:
            manifest = Manifest.load(self.folder)
            identity, records = manifest.identity, self._published(manifest)
        elif _PLAN in names:
            identity = json.loads(self.records.read(_PLAN))["identity"]
            records = [record for name in names if name.endswith(".tar.json") and (record := self._record(name))]
        elif any(not name.startswith(".") for name in (*files, *folders)):
            self.records.remove_all()
            raise UserError(f"{self.folder}: holds other files; give an empty or a new folder")
        if identity != self.identity:
            if NAME in files:
                self.records.remove_all()
            raise UserError(
                f"{self.folder}: holds another data set (another source or other options); choose another folder, "
                f"or remove this one"
            )
        if NAME not in files:
            self.records.write(_PLAN, json.dumps({"identity": self.identity}).encode())
        wanted = {shard.name for shard in planned}
        return {
            record.entry.name: record
            for record in records
            if record.identity == identity
            and record.entry.name in wanted
            and files.get(record.entry.name) == record.entry.bytes
        }

    def _record(self, name: str) -> Written | None:
        try:
            return Written.model_validate_json(self.records.read(name))
        except (ValidationError, FileNotFoundError):
            return None

    def _published(self, manifest: Manifest) -> list[Written]:
        """Records of a finished data set."""
        rejects: dict[str, list[Reject]] = {}
        if manifest.rejects:
            for line in self.folder.read(REJECTS).decode().splitlines():
                found = json.loads(line)
                rejects.setdefault(found["shard"], []).append(Reject(**found))
        return [
            Written(identity=manifest.identity, entry=entry, rejects=tuple(rejects.get(entry.name, ())))
            for entry in manifest.shards
        ]

    def record(self, written: Written) -> None:
        """Records that a shard is finished; a record that a power cut damaged counts as none."""
        self.records.write(f"{written.entry.name}.json", written.model_dump_json().encode(), lasting=False)

    def list_rejects(self, rejects: Sequence[Reject]) -> None:
        """Writes rejects.jsonl: one line for each unusable image."""
        lines = [json.dumps(reject._asdict()) for reject in rejects]
        self.folder.write(REJECTS, "\n".join([*lines, ""]).encode())

    def publish(self, manifest: Manifest, rejects: Sequence[Reject]) -> None:
        """Writes the manifest last, and removes the records."""
        if rejects:
            self.list_rejects(rejects)
        else:
            self.folder.remove(REJECTS)
        self.folder.write(NAME, manifest.to_bytes())
        self.records.remove_all()
        for name in list(self.folder.leftovers()):
            self.folder.remove(name)
