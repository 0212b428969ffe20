"""The main job, end to end, on drawn faces: draw, shard, train, score, generate. What is there already is reused."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs import defaults
from raygan.jobs.app import Runs, app
from raygan.jobs.cluster.connect import cluster
from raygan.jobs.commands.data.shard import convert_with_progress, describe
from raygan.jobs.commands.training.train import train_with_progress
from raygan.jobs.ui.progress import console, progress
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch.plan import plan
from raygan.pipeline.training import runs as records
from raygan.pipeline.training.header import read_header
from raygan.sharding.errors import UserError
from raygan.sharding.options import ShardingOptions
from raygan.sharding.storage.folder import Folder
from raygan.sharding.synthetic import synthesize

STEPS = 4
SHEET = 64  # generated faces shown at the end


@app.command
def demo(
    *,
    runs: Runs = "runs",
    name: Annotated[str, Parameter(help="Name of the run.")] = "demo",
    preset: Annotated[str, Parameter(help="Preset to train.")] = "demo",
    faces: Annotated[int, Parameter(help="Faces to draw.")] = 2000,
    workers: Annotated[int, Parameter(help="Ray Train workers, one CPU core each.")] = 2,
) -> None:
    """The main job, end to end, on drawn faces: no data set, account, server or GPU. Reuses what is there."""
    run_demo(Path(runs), name, faces, workers, defaults.preset(preset))


def run_demo(runs: Path, name: str, faces: int, workers: int, config: Config) -> None:
    """Leaves the data in `runs`/`name`-data and the run in `runs`/`name`. Raises UserError and RunError."""
    from raygan.jobs.commands.runs.draw import draw

    source, shards = runs / f"{name}-data" / "faces", runs / f"{name}-data" / "shards"
    launch = Launch(shards=str(shards), name=name, workers=str(workers), runs=str(runs))

    with cluster(cpus=workers):
        _step(1, f"draw {faces:,} faces as CelebA publishes its own")
        with progress("drawing") as advance:
            drawn = synthesize(source, faces, progress=lambda done: advance(done, faces, ""))
        console.print(f"  {drawn:,} drawn, {faces - drawn:,} reused: {source}", soft_wrap=True)

        _step(2, "convert them to WebDataset shards")
        done = convert_with_progress(str(source), str(shards), ShardingOptions())
        console.print(f"  {describe(done, str(shards))}", soft_wrap=True)

        _step(3, f"train a DCGAN with {workers} workers, and score it")
        checkpoint = _train(config, launch)

    _step(4, f"generate {SHEET} new faces from the checkpoint")
    sheet = runs / name / "faces.png"
    draw(checkpoint, sheet, SHEET, seed=0, device="cpu", advance=lambda done: None)
    _summary(name, runs, source, shards, sheet, checkpoint)


def _train(config: Config, launch: Launch) -> Folder:
    """The checkpoint of a finished run: of an earlier call, continued from one, or trained now."""
    name = launch.name
    if not records.exists(launch.runs, name):
        train_with_progress(plan(config, launch))
        return records.find_checkpoint(launch.runs, name)
    if records.load(launch.runs, name).config != config:
        raise UserError(f"--name {name}: that run in {launch.runs} was made with other settings; choose another name")
    kept = records.checkpoints(Folder(launch.runs) / name)
    if kept and read_header(kept[0]).position >= config.images:
        console.print(f"  reused: run {name}, which is finished (choose another --name to train anew)")
        return kept[0]
    console.print(f"  resumed: run {name}, from {kept[0].name if kept else 'its start'}")
    train_with_progress(plan(config, launch, resume=True))
    return records.find_checkpoint(launch.runs, name)


def _step(number: int, words: str) -> None:
    console.print(f"[bold]{number}/{STEPS} {words}[/bold]", soft_wrap=True)


def _summary(name: str, runs: Path, source: Path, shards: Path, sheet: Path, checkpoint: Folder) -> None:
    header = read_header(checkpoint)
    scores = ", ".join(f"{name} {value:.4g}" for name, value in header.scores.items())
    lines = [
        f"drawn faces    {source}",
        f"shards         {shards}",
        f"checkpoint     {checkpoint}  ({header.position:,} images)",
        f"new faces      {sheet}",
        f"runs, metrics  {runs / 'mlflow.db'}",
        f"scores         {scores}  (of the smoke test's extractor: neither is FID)",
        "",
        f"raygan ui --runs {runs}",
        f"raygan generate {name} --runs {runs} --seed 1",
        "raygan shard CELEBA SHARDS && raygan train --shards SHARDS    (CELEBA: the folder with img_align_celeba)",
    ]
    console.print()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
