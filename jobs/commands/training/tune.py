"""Many trials in, the best configuration out: `raygan tune`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BeforeValidator, Field

from raygan.jobs import defaults
from raygan.jobs.app import LAUNCH, SETTINGS, app, say
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.tuning import search as searches
from raygan.pipeline.tuning.search import Options


class TrialLaunch(Launch):
    """A Launch whose workers are those of each trial."""

    workers: Annotated[str, BeforeValidator(str), Parameter(name="--workers-per-trial")] = Field(
        "1",
        pattern=r"^[1-9]\d*(:[1-9]\d*)?$",
        description="Workers of a trial: one GPU each with --gpu, else CPU cores.",
    )


@app.command
def tune(
    *,
    resume: Annotated[
        str | None,
        Parameter(help="Name of a search to continue; auto: that of --name, if it exists. No trial is repeated."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        Parameter(
            help="FIELD=LOW:HIGH, FIELD=LOW:HIGH:log or FIELD=VALUE,VALUE, once per field."
            " [default: what the objective proposes, as both learning rates and the balance]",
            negative_iterable="",
        ),
    ] = None,
    space: Annotated[Path | None, Parameter(help="YAML file of the same: {FIELD: TEXT or {low, high, log}}.")] = None,
    config_file: Annotated[Path | None, Parameter(name="--config", help="File of what all trials share.")] = None,
    dry_run: Annotated[bool, Parameter(help="Print the plan; start nothing.", negative="")] = False,
    options: Annotated[Options, Parameter(name="*", group="How it searches", negative="")] = Options(),  # noqa: B008
    launch: Annotated[TrialLaunch, LAUNCH] = TrialLaunch(),  # noqa: B008
    config: Annotated[Config, SETTINGS] = Config(),  # noqa: B008
) -> None:
    """Search learning rates, balance or any other setting of `raygan train`: many trials side by side on the cluster.

    All trials share the settings below, except for what varies. The best configuration is left as a file for
    `raygan train --config`. Continue a search that was stopped or killed with --resume.
    """
    from raygan.jobs.commands.training.search import describe, planned, report, tune_with_table

    resume = defaults.resumed(resume, launch.runs, launch.name, searches.exists)
    search = planned(resume, vary or [], space, options, launch, Config.model_validate(config.model_dump()))
    if dry_run:
        print(f"{describe(search)}\nnothing was started: this is a dry run")
        return
    found = tune_with_table(search)
    for line in report(search, found):
        print(line)
    say(f"search {search.name} is finished", f"raygan train --config {found.best} --shards {search.launch.shards}")
