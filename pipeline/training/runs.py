"""What a run leaves in its folder, and how the next command finds it again.

RUNS/NAME/run.json is written by the driver, RUNS/NAME/checkpoint_POSITION/ by rank 0. RUNS is a folder or the URL of
one in an object store.
"""

import re
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygan.pipeline.config import Config, Launch
from raygan.pipeline.training.header import HEADER, best, read_header
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.locations import cache_folder

RECORD = "run.json"
CHECKPOINT = re.compile(r"checkpoint_\d{12,}")
Which = Literal["best", "newest"]


class Run(BaseModel):
    """`run.json`: what was asked, and where it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    launch: Launch  # its folders are absolute
    data: str  # digest of the data set
    tracking: str  # MLflow's URI
    run_id: str  # MLflow's
    began: float = Field(default_factory=time.time)  # seconds since 1970
    recorded: int = 0  # position (images) whose images, checkpoint and model are in MLflow

    @property
    def name(self) -> str:
        """The name of the run and of its folder."""
        return self.launch.name

    @property
    def folder(self) -> Folder:
        """Holds run.json and the checkpoints; local or in an object store."""
        return Folder(self.launch.runs) / self.launch.name

    @property
    def spool(self) -> Path:
        """Where writes wait that MLflow has not taken yet: on a disk, whatever the runs are in."""
        local = self.folder.local
        return local / "spool" if local else cache_folder() / "spools" / self.run_id

    @property
    def home(self) -> Folder | None:
        """The folder, if it is in an object store, where a copy of what waits in the spool outlives a node."""
        return self.folder if self.folder.local is None else None

    def save(self) -> None:
        """Writes run.json. Raises OSError."""
        self.folder.write(RECORD, self.model_dump_json(indent=1).encode())

    def what_remains(self) -> str:
        """What a run that did not reach its end leaves, and how to continue it, in words."""
        try:
            kept = checkpoints(self.folder)
            words = f"its newest checkpoint is {kept[0]}" if kept else "it has no checkpoint yet"
        except OSError as e:
            words = f"its checkpoints are out of reach in {self.folder} ({e})"
        return f"{words}; continue it with: raygan train `resume` {self.name} `runs` {self.launch.runs}"


def checkpoint_name(position: int) -> str:
    """The name of the folder of the checkpoint at a position (images)."""
    return f"checkpoint_{position:012d}"


def position_of(checkpoint: Folder) -> int:
    """The position (images) in the name of a checkpoint's folder."""
    return int(checkpoint.name.removeprefix("checkpoint_"))


def exists(runs: str | Path, name: str) -> bool:
    """Whether there is a run of this name in the folder `runs`."""
    return (Folder(str(runs)) / name).size(RECORD) is not None


def load(runs: str | Path, name: str) -> Run:
    """The run as it was left, in `runs` wherever that lies now. Raises UserError, naming the runs there are."""
    where = Folder(str(runs))
    try:
        run = Run.model_validate_json((where / name).read(RECORD))
    except ConnectionError as e:
        raise UserError(f"{where}: the store does not answer ({e})") from e
    except OSError as e:
        known = ", ".join(other for other in where.list()[1] if exists(runs, other)) or "none yet"
        raise UserError(f"{name}: no such run in {where} (runs there: {known})") from e
    except ValidationError as e:
        raise UserError(f"{where / name / RECORD}: not a run of this version ({e.errors()[0]['msg']})") from e
    return run.model_copy(update={"launch": run.launch.model_copy(update={"runs": str(where.local or where)})})


def checkpoint_folders(run_folder: Folder) -> list[Folder]:
    """Newest first, whether whole or not: their names sort by position."""
    return [run_folder / name for name in sorted(run_folder.list()[1], reverse=True) if CHECKPOINT.fullmatch(name)]


def checkpoints(run_folder: Folder) -> list[Folder]:
    """The whole ones, newest first."""
    return [folder for folder in checkpoint_folders(run_folder) if folder.size(HEADER) is not None]


def find_checkpoint(runs: str | Path, run_or_checkpoint: str | Path, which: Which = "newest") -> Folder:
    """The folder of a checkpoint, given itself or a run's name. Raises UserError.

    The best is the one with the lowest score (header.py says which); it is the newest where no checkpoint has a score.
    """
    itself = Folder(str(run_or_checkpoint))
    if itself.size(HEADER) is not None:
        return itself
    run = load(runs, str(run_or_checkpoint))
    kept = checkpoints(run.folder)
    if not kept:
        raise UserError(f"{run.name}: {run.what_remains()}")
    if which == "newest":
        return kept[0]
    return best((folder, read_header(folder)) for folder in kept) or kept[0]
