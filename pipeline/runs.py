"""What a run leaves in its folder, and how the next command finds it again.

RUNS/NAME/run.json is ours, written once by the driver; the checkpoints beside it are written through Ray Train.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.config import Config
from sharding.errors import UserError

RECORD = "run.json"
HEADER = "checkpoint.json"  # written last into a checkpoint's folder, so one that has it is whole


class Run(BaseModel):
    """`run.json`: what was asked, and where it is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: Config
    shards: str  # absolute folder of the data set
    data: str  # its digest
    tracking: str  # MLflow's URI
    run_id: str  # MLflow's

    def save(self, runs: Path) -> None:
        folder = runs / self.name
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{RECORD}"
        temporary.write_text(self.model_dump_json(indent=1))
        temporary.replace(folder / RECORD)


def exists(runs: Path, name: str) -> bool:
    return (runs / name / RECORD).is_file()


def load(runs: Path, name: str) -> Run:
    """Raises UserError if there is no such run, naming those there are."""
    try:
        return Run.model_validate_json((runs / name / RECORD).read_bytes())
    except OSError as e:
        known = ", ".join(sorted(path.parent.name for path in runs.glob(f"*/{RECORD}"))) or "none yet"
        raise UserError(f"{name}: no such run in {runs} (runs there: {known})") from e
    except ValidationError as e:
        raise UserError(f"{runs / name / RECORD}: not a run of this version ({e.errors()[0]['msg']})") from e


def spool(runs: Path, name: str) -> Path:
    """Where writes wait that MLflow has not taken yet."""
    return runs / name / "spool"


def newest_checkpoint(runs: Path, name: str) -> Path | None:
    """The checkpoint with the most images; their names sort by position."""
    return max((header.parent for header in (runs / name).glob(f"checkpoint_*/{HEADER}")), default=None)


def find_checkpoint(runs: Path, run_or_checkpoint: str) -> Path:
    """The folder of a checkpoint, given itself or a run's name. Raises UserError."""
    if (Path(run_or_checkpoint) / HEADER).is_file():
        return Path(run_or_checkpoint)
    run = load(runs, run_or_checkpoint)
    folder = newest_checkpoint(runs, run.name)
    if folder is None:
        raise UserError(f"{run.name}: no checkpoint yet; continue it with: raygan train --resume {run.name}")
    return folder
