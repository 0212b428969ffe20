"""`raygan train`: the command, the plan in words, the cluster, the progress."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs import defaults
from raygan.jobs.app import LAUNCH, SETTINGS, app, say
from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import console, progress
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.data.integrity import refuse_changes
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.trainer import plan
from raygan.pipeline.launch.trainer import train as run_training
from raygan.pipeline.training import runs as records
from raygan.pipeline.training.runs import Run


@app.command
def train(
    *,
    resume: Annotated[
        str | None,
        Parameter(help="Name of a run to continue from its newest checkpoint; auto: that of --name, if it was begun."),
    ] = None,
    config_file: Annotated[
        Path | None, Parameter(name="--config", help="YAML or JSON file of the knobs, as `raygan tune` leaves one.")
    ] = None,
    dry_run: Annotated[
        bool, Parameter(help="Print the configuration and the plan; start nothing.", negative="")
    ] = False,
    launch: Annotated[Launch, LAUNCH] = Launch(),  # noqa: B008
    config: Annotated[Config, SETTINGS] = Config(),  # noqa: B008
) -> None:
    """Train a GAN on a data set, on the Ray cluster at RAY_ADDRESS or else on this machine.

    The knobs take their values from --preset (or, with --resume, from the run), then from --config, then from their
    own flags.
    The defaults shown are those of --preset radford.
    """
    if resume := defaults.resumed(resume, launch.runs, launch.name):
        refuse_changes(records.load(launch.runs, resume).config, config)
    launch = launch.resolved(config.preset)
    if dry_run:
        print(describe(config, launch))
        return
    run = train_with_progress(config, launch, resume=bool(resume))
    where = f" --runs {launch.runs}"
    say(f"run {run.name} is finished", f"raygan generate {run.name}{where}", f"raygan ui{where}")


def describe(config: Config, launch: Launch) -> str:
    """The resolved configuration as JSON and the plan in words. Raises UserError for what cannot be run."""
    manifest = plan(config, launch)
    images, updates = manifest.samples("train"), -(-config.images // config.batch)
    each = "one GPU" if launch.gpu else f"{launch.cpus_per_worker} CPU core(s)"
    lines = [
        config.model_dump_json(indent=2),
        f"run {launch.name} in {launch.runs}, tracked in {launch.tracking}",
        f"data set {launch.shards}: {images:,} images of {manifest.size}x{manifest.size} in the train split",
        f"{launch.workers} worker(s), each with {each} and {config.batch / launch.most_workers:g} images per update",
        f"{config.images:,} images = {config.images / images:.1f} epochs = {updates:,} updates",
        "nothing was started: this is a dry run",
    ]
    return "\n".join(lines)


def train_with_progress(config: Config, launch: Launch, resume: bool = False) -> Run:
    """Trains on the cluster and shows how far it is. Raises UserError and RunError."""
    plan(config, launch)
    rooms = launch.fewest_workers + (config.evaluation.place == "aside")  # an evaluation takes a worker's room
    with (
        cluster(rooms * launch.cpus_per_worker, rooms if launch.gpu else 0),
        progress("training") as advance,
    ):

        def show(news: Event) -> None:
            if news.words:
                console.print(f"training: {news.words}", style="yellow", markup=False, soft_wrap=True)
            advance(news.position, config.images, _words(news.metrics))

        return run_training(config, launch, resume, show, command=shlex.join(["raygan", *sys.argv[1:]]))


def _words(values: dict[str, float]) -> str:
    shown = {
        "D": "loss/discriminator",
        "G": "loss/generator",
        "accuracy": "discriminator/accuracy",
        "images/s": "speed/images_per_second",
    }
    return "  ".join(f"{word} {values[key]:.3g}" for word, key in shown.items() if key in values)
