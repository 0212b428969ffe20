"""What a search was asked to do, and what it leaves in its folder for the next command to find.

RUNS/NAME/search.json is the record, RUNS/NAME/journal.log the trials (study.py), RUNS/NAME/trials/ holds a run each.
"""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from pydantic import Field, ValidationError

from raygan.pipeline.config import Config, Launch, Settings
from raygan.pipeline.tuning.space import Space, check, grid_points
from raygan.sharding.errors import UserError

RECORD, JOURNAL, TRIALS = "search.json", "journal.log", "trials"
Score: TypeAlias = Literal["kid", "fid"]


class Rungs(NamedTuple):
    """Positions at which trials are compared and all but one of `reduction` stopped: ASHA, arXiv 1810.05934."""

    first: int  # images
    reduction: int

    def passed(self, position: int) -> int:
        count = 0
        while position >= self.first * self.reduction**count:
            count += 1
        return count


class Options(Settings):
    """How a search goes about it."""

    trials: int = Field(16, ge=1, description="Configurations to try; a grid is tried whole.")
    search: Literal["optuna", "random", "grid"] = Field(
        "optuna", description="Who proposes the next: Optuna's TPE, chance, or a grid."
    )
    steps: int = Field(3, ge=1, description="Values per range of a grid.")
    scheduler: Literal["asha", "none"] = Field("asha", description="asha stops trials that fall behind at a rung.")
    first_rung: int | None = Field(None, ge=1, description="Images until the first rung. [default: images / 9]")
    reduction: int = Field(3, ge=2, description="One trial of so many goes on after a rung; the next is as much later.")
    rung_count: int = Field(1_000, ge=2, description="Generated images scored at a rung; the end has evaluation.count.")
    score: Score = Field("kid", description="What decides. KID has no bias from few images; FID has.")
    cost: bool = Field(False, description="Look for what is cheap, too: score and cost are minimised together.")
    finalists: int = Field(3, ge=0, description="Best configurations that are run again with other seeds.")
    seeds: int = Field(3, ge=1, description="Seeds of a finalist, the first one's included.")
    concurrent: int | None = Field(None, ge=1, description="Trials side by side. [default: as many as fit]")


class Search(Settings):
    """`search.json`."""

    config: Config  # what all trials share, as it was asked for
    launch: Launch  # of the search: its name, and what each trial may use; its folders are absolute
    space: Space
    options: Options
    data: str  # digest of the data set
    tracking: str = ""  # MLflow's URI
    run_id: str = ""  # MLflow's, of the run that is the parent of all trials'

    @property
    def name(self) -> str:
        return self.launch.name

    @property
    def folder(self) -> Path:
        return Path(str(self.launch.runs)) / self.name

    @property
    def base(self) -> Config:
        """A trial's configuration before its values: scored at every rung, and at the end as `config` asks for."""
        return _of_a_trial(self.config, self.options)

    @property
    def journal(self) -> Path:
        return self.folder / JOURNAL

    @property
    def trials(self) -> Path:
        """The folder of the trials' runs."""
        return self.folder / TRIALS

    @property
    def rungs(self) -> Rungs | None:
        return Rungs(self.base.evaluation.every, self.options.reduction) if self.options.scheduler == "asha" else None

    @property
    def workers(self) -> int:
        return int(self.launch.workers)

    @property
    def parts(self) -> int:
        """CPU cores or GPUs that a trial holds, by which its seconds are multiplied."""
        return self.workers * (1 if self.launch.gpu else self.launch.cpus_per_worker)

    @property
    def count(self) -> int:
        """Trials, finalists aside."""
        if self.options.search == "grid":
            return len(grid_points(self.space, self.config, self.options.steps))
        return self.options.trials

    def save(self) -> None:
        self.trials.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{RECORD}"
        temporary.write_text(self.model_dump_json(indent=1))
        temporary.replace(self.folder / RECORD)

    def how_to_resume(self) -> str:
        return f"go on with: raygan tune --resume {self.name} --runs {self.launch.runs}"


def plan(config: Config, launch: Launch, space: Space, options: Options, data: str) -> Search:
    """A search, checked as far as that is possible without a cluster. Raises UserError."""
    check(space, config, launch)
    if "://" in str(launch.runs):
        raise UserError(f"`runs` {launch.runs}: a search keeps a journal there: give a folder that all nodes share")
    if options.cost and (options.search != "optuna" or options.scheduler != "none"):
        raise UserError(
            "`cost`: only Optuna has two objectives, and no trial may be stopped for one of them: "
            "set `search` to optuna and `scheduler` to none"
        )
    if not str(launch.workers).isdecimal():
        raise UserError(f"`workers_per_trial` {launch.workers}: a trial has a fixed number of workers")
    _of_a_trial(config, options)
    return Search(config=config, launch=launch, space=space, options=options, data=data)


def _of_a_trial(config: Config, options: Options) -> Config:
    """Raises UserError if there is no room for a rung."""
    # In the trial's own process: what is judged aside comes too late for a rung, and for the end.
    evaluation = config.evaluation.model_copy(update={"place": "workers"})
    checkpoints = config.checkpoints.model_copy(update={"keep": 1})
    if options.scheduler == "none":
        return config.model_copy(update={"evaluation": evaluation, "checkpoints": checkpoints})
    batches = -(-config.images // (options.reduction**2 * config.batch))
    every = options.first_rung or batches * config.batch
    if every > config.images:
        raise UserError(f"`first_rung` {every}: a trial ends after {config.images} images; give less")
    count, final_count = config.evaluation.count, config.evaluation.final_count
    rungs = {"every": every, "growth": options.reduction, "count": min(options.rung_count, count)}
    rungs["final_count"] = final_count or count
    return config.model_copy(
        update={
            "evaluation": evaluation.model_copy(update=rungs),
            "checkpoints": checkpoints.model_copy(update={"every": every}),
            "log_every": min(config.log_every, every),
        }
    )


def exists(runs: str | Path, name: str) -> bool:
    return (Path(str(runs)) / name / RECORD).is_file()


def load(runs: str | Path, name: str) -> Search:
    """Raises UserError, naming the searches there are."""
    path = Path(str(runs)) / name / RECORD
    try:
        return Search.model_validate_json(path.read_bytes())
    except OSError as e:
        known = ", ".join(sorted(found.parent.name for found in Path(str(runs)).glob(f"*/{RECORD}"))) or "none yet"
        raise UserError(f"{name}: no such search in {runs} (searches there: {known})") from e
    except ValidationError as e:
        raise UserError(f"{path}: not a search of this version ({e.errors()[0]['msg']})") from e
