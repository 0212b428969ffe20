"""`raygan train` around pipeline/train.py: the plan in words, the cluster, the progress."""

import shlex
import sys

from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import console, progress
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch.monitor import Event
from raygan.pipeline.launch.trainer import plan, train
from raygan.pipeline.training.runs import Run


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

        return train(config, launch, resume, show, command=shlex.join(["raygan", *sys.argv[1:]]))


def _words(values: dict[str, float]) -> str:
    shown = {
        "D": "loss/discriminator",
        "G": "loss/generator",
        "accuracy": "discriminator/accuracy",
        "images/s": "speed/images_per_second",
    }
    return "  ".join(f"{word} {values[key]:.3g}" for word, key in shown.items() if key in values)
