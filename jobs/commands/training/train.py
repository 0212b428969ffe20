"""`raygan train`: the command, the plan in words, the cluster, the progress."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs import defaults
from raygan.jobs.app import LAUNCH, SETTINGS, app, say
from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.flags import as_flags
from raygan.jobs.ui.progress import console, progress
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.plan import Plan, plan
from raygan.pipeline.launch.trainer import train as run_training
from raygan.pipeline.training.runs import Run

LETTERS = {"loss/discriminator": "D", "loss/generator": "G"}  # short names of losses on the progress line


@app.command
def train(
    *,
    resume: Annotated[
        str | None,
        Parameter(help="Name of a run to continue from its newest checkpoint; auto: that of --name, if it was begun."),
    ] = None,
    config_file: Annotated[
        Path | None, Parameter(name="--config", help="YAML or JSON file of the settings, as `raygan tune` leaves one.")
    ] = None,
    dry_run: Annotated[
        bool, Parameter(help="Print the configuration and the plan; start nothing.", negative="")
    ] = False,
    launch: Annotated[Launch, LAUNCH] = Launch(),  # noqa: B008
    config: Annotated[Config, SETTINGS] = Config(),  # noqa: B008
) -> None:
    """Train a generator on a data set, on the Ray cluster at RAY_ADDRESS or else on this machine.

    The settings take their values from --preset (or, with --resume, from the run), then from --config, then from their
    own flags. Those of what it minimises are the ones of --objective. The defaults shown are those of --preset radford.
    """
    resume = defaults.resumed(resume, launch.runs, launch.name)
    named = launch.model_copy(update={"name": resume}) if resume else launch
    planned = plan(Config.model_validate(config.model_dump()), named, resume=bool(resume))
    if dry_run:
        print(describe(planned))
        return
    run = train_with_progress(planned)
    where = f" --runs {planned.launch.runs}"
    say(f"run {run.name} is finished", f"raygan generate {run.name}{where}", f"raygan ui{where}")


def describe(planned: Plan) -> str:
    """The resolved configuration as JSON and the plan in words."""
    config, launch, manifest = planned.config, planned.launch, planned.data.manifest
    images, updates = manifest.samples("train"), -(-config.images // config.batch)
    each = "one GPU" if launch.gpu else f"{launch.cpus_per_worker} CPU core(s)"
    lines = [
        config.model_dump_json(indent=2),
        f"run {launch.name} in {launch.runs}, tracked in {launch.tracking}",
        f"data set {planned.data}: {images:,} images of {manifest.size}x{manifest.size} in the train split",
        f"{launch.workers} worker(s), each with {each} and {config.batch / launch.most_workers:g} images per update",
        f"{config.images:,} images = {config.images / images:.1f} epochs = {updates:,} updates",
        "nothing was started: this is a dry run",
    ]
    return "\n".join(lines)


def train_with_progress(planned: Plan) -> Run:
    """Trains on the cluster and shows how far it is. Raises UserError and RunError."""
    config, launch = planned.config, planned.launch
    workers = launch.fewest_workers + config.evaluation.background  # an evaluation takes the resources of a worker
    with (
        cluster(workers * launch.cpus_per_worker, workers if launch.gpu else 0),
        progress("training") as advance,
    ):

        def show(event: Event) -> None:
            if event.message:
                message = as_flags(event.message)
                console.print(f"training: {message}", style="yellow", markup=False, soft_wrap=True)
            advance(event.position, config.images, _words(event.metrics))

        return run_training(planned, show, command=shlex.join(["raygan", *sys.argv[1:]]))


def _words(values: dict[str, float]) -> str:
    """Every loss, and what else is watched, in few characters."""
    losses = {key: LETTERS.get(key, key.removeprefix("loss/")) for key in values if key.startswith("loss/")}
    watched = {"discriminator/accuracy": "accuracy", "speed/images_per_second": "images/s"}
    return "  ".join(f"{word} {values[key]:.3g}" for key, word in (losses | watched).items() if key in values)
