"""What a search was asked to do: its record, its plan, and how much of it a cluster holds at once.

RUNS/NAME/search.json is the record, journal.log beside it holds the study (study.py), and trials/ a run per trial.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from pydantic import Field, ValidationError

from raygan.pipeline.config import Config, Launch, Settings
from raygan.pipeline.tuning.space import Space, check, grid_points
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

RECORD, JOURNAL, TRIALS = "search.json", "journal.log", "trials"
Score: TypeAlias = Literal["kid", "fid"]


class Rungs(NamedTuple):
    """Positions at which trials are compared; one in `reduction` continues. This is ASHA, arXiv 1810.05934."""

    first: int  # images
    reduction: int

    def passed(self, position: int) -> int:
        """How many rungs lie at or before a position (images)."""
        count = 0
        while position >= self.first * self.reduction**count:
            count += 1
        return count


class Options(Settings):
    """How a search proposes, compares and repeats trials."""

    trials: int = Field(16, ge=1, description="Configurations to try; a grid is tried whole.")
    search: Literal["optuna", "random", "grid"] = Field(
        "optuna", description="Who proposes the next: Optuna's TPE, chance, or a grid."
    )
    steps: int = Field(3, ge=1, description="Values per range of a grid.")
    scheduler: Literal["asha", "none"] = Field("asha", description="asha stops trials that fall behind at a rung.")
    first_rung: int | None = Field(None, ge=1, description="Images until the first rung. [default: images / 9]")
    reduction: int = Field(
        3, ge=2, description="One trial of so many continues after a rung; the next rung comes so many times later."
    )
    rung_count: int = Field(1_000, ge=2, description="Generated images scored at a rung; the end has evaluation.count.")
    score: Score = Field("kid", description="What decides. KID has no bias from few images; FID has.")
    cost: bool = Field(False, description="Look for what is cheap, too: score and cost are minimised together.")
    finalists: int = Field(3, ge=0, description="Best configurations that are run again with other seeds.")
    seeds: int = Field(3, ge=1, description="Seeds of a finalist, the first one's included.")
    concurrent: int | None = Field(None, ge=1, description="Trials side by side. [default: as many as fit]")


class Search(Settings):
    """The record of a search, in `search.json`."""

    config: Config  # what all trials share, as it was asked for
    launch: Launch  # of the search: its name, and what each trial may use; its folders are absolute
    space: Space
    options: Options
    data: str  # digest of the data set
    tracking: str = ""  # MLflow's URI
    run_id: str = ""  # MLflow's, of the run that is the parent of all trials'

    @property
    def name(self) -> str:
        """Of the search, its folder and its MLflow run."""
        return self.launch.name

    @property
    def folder(self) -> Path:
        """RUNS/NAME."""
        return Path(str(self.launch.runs)) / self.name

    @property
    def base(self) -> Config:
        """The configuration of a trial without its values: scored at every rung, and at the end as `config` says."""
        return _of_a_trial(self.config, self.options)

    @property
    def journal(self) -> Path:
        """The file of the Optuna studies."""
        return self.folder / JOURNAL

    @property
    def trials(self) -> Path:
        """The folder of the trials' runs."""
        return self.folder / TRIALS

    @property
    def rungs(self) -> Rungs | None:
        """Where trials are compared; None if no trial is stopped."""
        return Rungs(self.base.evaluation.every, self.options.reduction) if self.options.scheduler == "asha" else None

    @property
    def workers(self) -> int:
        """Of each trial."""
        return int(self.launch.workers)

    @property
    def devices(self) -> int:
        """GPUs of a trial, else its CPU cores. A trial's cost is its seconds times this."""
        return self.workers * (1 if self.launch.gpu else self.launch.cpus_per_worker)

    @property
    def count(self) -> int:
        """Number of trials, without the finals."""
        if self.options.search == "grid":
            return len(grid_points(self.space, self.config, self.options.steps))
        return self.options.trials

    def save(self) -> None:
        """Makes the folders and writes the record, whole or not at all."""
        self.trials.mkdir(parents=True, exist_ok=True)
        Folder(str(self.folder)).write(RECORD, self.model_dump_json(indent=1).encode())

    def how_to_resume(self) -> str:
        """The command that continues the search, in words."""
        return f"continue it with: raygan tune `resume` {self.name} `runs` {self.launch.runs}"


def plan(config: Config, launch: Launch, space: Space, options: Options, data: str) -> Search:
    """A new search, checked as far as is possible without a cluster. `data`: the data set's digest.

    Raises UserError.
    """
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
    """The configuration of a trial without its values. Raises UserError if the first rung lies after the end."""
    # Evaluated by the workers themselves: the result of a background evaluation comes too late for a rung.
    evaluation = config.evaluation.model_copy(update={"background": False})
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


class Capacity(NamedTuple):
    """How many trials a cluster holds at once, and the numbers that this follows from, in words."""

    trials: int
    description: str


def capacity(search: Search, nodes: Sequence[Mapping[str, float]]) -> Capacity:
    """What a cluster holds of a search. `nodes`: the resources of each living node, by Ray's names.

    Raises UserError, with the numbers, if a trial or the trials asked for at once do not fit. A trial's driver reserves
    no CPU, so all CPUs are for workers. The workers of a trial may be on several nodes.
    """
    launch, workers = search.launch, search.workers
    needed = {"CPU": launch.cpus_per_worker, "GPU": int(launch.gpu)}
    held = sum(int(min(node.get(kind, 0) // amount for kind, amount in needed.items() if amount)) for node in nodes)
    each = f"{launch.cpus_per_worker} CPU(s)" + (" and 1 GPU" if launch.gpu else "")
    total = ", ".join(f"{sum(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))
    fits = f"the cluster has {total} on {len(nodes)} node(s): capacity for {held} worker(s) of {each}"
    if held < workers:
        raise UserError(f"`workers_per_trial` {workers}: a trial does not fit: {fits}; ask for fewer or add nodes")
    asked = search.options.concurrent
    if asked and asked > held // workers:
        raise UserError(f"`concurrent` {asked}: {fits}, which is {held // workers} trial(s) at once; ask for fewer")
    trials = min(asked or held // workers, search.count)
    return Capacity(trials, f"{fits}; {trials} trial(s) at once, each with {workers}")


def exists(runs: str | Path, name: str) -> bool:
    """Whether there is a search of this name in the folder of runs."""
    return (Path(str(runs)) / name / RECORD).is_file()


def load(runs: str | Path, name: str) -> Search:
    """Reads the record of a search. Raises UserError, which names the searches that there are."""
    path = Path(str(runs)) / name / RECORD
    try:
        return Search.model_validate_json(path.read_bytes())
    except OSError as e:
        known = ", ".join(sorted(found.parent.name for found in Path(str(runs)).glob(f"*/{RECORD}"))) or "none yet"
        raise UserError(f"{name}: no such search in {runs} (searches there: {known})") from e
    except ValidationError as e:
        raise UserError(f"{path}: not a search of this version ({e.errors()[0]['msg']})") from e
