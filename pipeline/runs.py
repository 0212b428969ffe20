"""What a run leaves in its folder, and how the next command finds it again.

RUNS/NAME/run.json is ours, written by the driver; the checkpoints beside it are written through Ray Train.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config import Config, Launch
from sharding.errors import UserError

RECORD = "run.json"
HEADER = "checkpoint.json"  # written last into a checkpoint's folder, so one that has it is whole


class Run(BaseModel):
    """`run.json`: what was asked, and where it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    launch: Launch  # its folders are absolute
    data: str  # digest of the data set
    tracking: str  # MLflow's URI
    run_id: str  # MLflow's

    @property
    def name(self) -> str:
        return self.launch.name

    @property
    def folder(self) -> Path:
        return self.launch.runs / self.launch.name

    @property
    def spool(self) -> Path:
        """Where writes wait that MLflow has not taken yet."""
        return self.folder / "spool"

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{RECORD}"
        temporary.write_text(self.model_dump_json(indent=1))
        temporary.replace(self.folder / RECORD)

    def what_remains(self) -> str:
        """What a run that did not reach its end leaves, and how to go on, in words."""
        kept = checkpoints(self.folder)
        words = f"its last good checkpoint is {kept[0]}" if kept else "it has no checkpoint yet"
        return f"{words}; continue it with: raygan train --resume {self.name} --runs {self.launch.runs}"


def exists(runs: Path, name: str) -> bool:
    return (runs / name / RECORD).is_file()


def load(runs: Path, name: str) -> Run:
    """The run as it was left, in `runs` wherever that lies now. Raises UserError, naming the runs there are."""
    try:
        run = Run.model_validate_json((runs / name / RECORD).read_bytes())
    except OSError as e:
        known = ", ".join(sorted(path.parent.name for path in runs.glob(f"*/{RECORD}"))) or "none yet"
        raise UserError(f"{name}: no such run in {runs} (runs there: {known})") from e
    except ValidationError as e:
        raise UserError(f"{runs / name / RECORD}: not a run of this version ({e.errors()[0]['msg']})") from e
    return run.model_copy(update={"launch": run.launch.model_copy(update={"runs": runs.resolve()})})


def checkpoints(run_folder: Path) -> list[Path]:
    """Newest first: their names sort by position."""
    return sorted((header.parent for header in run_folder.glob(f"checkpoint_*/{HEADER}")), reverse=True)


def find_checkpoint(runs: Path, run_or_checkpoint: str) -> Path:
    """The folder of a checkpoint, given itself or a run's name. Raises UserError."""
    if (Path(run_or_checkpoint) / HEADER).is_file():
        return Path(run_or_checkpoint)
    run = load(runs, run_or_checkpoint)
    kept = checkpoints(run.folder)
    if not kept:
        raise UserError(f"{run.name}: {run.what_remains()}")
    return kept[0]
