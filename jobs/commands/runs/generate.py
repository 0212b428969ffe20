"""Shards in, faces and scores out: `raygan train`, `generate`, `evaluate`, `ui`, `demo` and `tracking flush`."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators

from raygan.jobs import defaults
from raygan.jobs.app import Device, Drawing, Runs, Split, Which, app, say
from raygan.jobs.ui.progress import progress
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.data.integrity import refuse_changes
from raygan.pipeline.training import runs as records
from raygan.sharding.errors import RunError

tracking = App(name="tracking", help="What MLflow knows of the runs.")
app.command(tracking)

PLACE = Parameter(name="*", group="Where it runs", negative="")
KNOBS = Parameter(name="*", group="What it trains", negative_iterable="")


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
    launch: Annotated[Launch, PLACE] = Launch(),  # noqa: B008
    config: Annotated[Config, KNOBS] = Config(),  # noqa: B008
) -> None:
    """Train a GAN on a data set, on the Ray cluster at RAY_ADDRESS or else on this machine.

    The knobs take their values from --preset (or, with --resume, from the run), then from --config, then from their
    own flags.
    The defaults shown are those of --preset radford.
    """
    from raygan.jobs.commands.training.train import describe, train_with_progress

    if resume := defaults.resumed(resume, launch.runs, launch.name):
        refuse_changes(records.load(launch.runs, resume).config, config)
    launch = launch.resolved(config.preset)
    if dry_run:
        print(describe(config, launch))
        return
    run = train_with_progress(config, launch, resume=bool(resume))
    where = f" --runs {launch.runs}"
    say(f"run {run.name} is finished", f"raygan generate {run.name}{where}", f"raygan ui{where}")


@app.command
def generate(
    source: str,
    out: Path = Path("faces.png"),
    *,
    count: Annotated[int, Parameter(help="Faces to draw.")] = 64,
    seed: Annotated[int, Parameter(help="Of the latents; the same seed draws the same faces.")] = 0,
    attributes: Annotated[
        str, Parameter(help="That all faces shall have, as Smiling,-Male, of those that the run was conditioned on.")
    ] = "",
    runs: Runs = "runs",
    checkpoint: Which = "best",
    weights: Drawing = "average",
    device: Device = "cpu",
) -> None:
    """Draw new faces with a trained generator.

    Parameters
    ----------
    source
        Name of a run, or folder of a checkpoint.
    out
        NAME.png: one sheet; NAME.npy: uint8 [count, height, width, 3]; anything else: a folder of PNG files.
    """
    from raygan.jobs.commands.runs.draw import draw

    found = records.find_checkpoint(runs, source, checkpoint)
    with progress("drawing faces") as advance:
        wanted = tuple(filter(None, attributes.split(",")))
        draw(found, out, count, seed, device, lambda done: advance(done, count, ""), wanted, weights)
    say(f"{count:,} faces from {found.name} of {source} in {out}")


@app.command
def evaluate(
    source: str,
    *,
    real: Annotated[str | None, Parameter(help="Data set, folder or .npy. [default: the run's own data set]")] = None,
    split: Annotated[Split, Parameter(help="Of a data set.")] = "train",
    metric: Annotated[
        str, Parameter(help="Comma-separated: fid, kid, pr ... as docs/evaluation.md lists them.")
    ] = "fid,kid",
    extractor: Annotated[
        str, Parameter(help="randconv (a smoke signal), inception or inception:WEIGHTS (FID's), file:PATH.")
    ] = "randconv",
    count: Annotated[int | None, Parameter(help="Images judged. [default: 5000 drawn, or all given]")] = None,
    resamples: Annotated[int, Parameter(help="Of the bootstrap behind the intervals; 0: no intervals.")] = 50,
    against: Annotated[Path | None, Parameter(help="Report of another evaluation; prints the differences.")] = None,
    workers: Annotated[
        int | None,
        Parameter(
            help="Ray workers that share the work, a core or a GPU each. [default: this process]",
            validator=validators.Number(gte=1),
        ),
    ] = None,
    runs: Runs = "runs",
    checkpoint: Which = "best",
    weights: Drawing = "average",
    device: Device = "cpu",
    json: Annotated[Path | None, Parameter(help="File for the report.")] = None,
) -> None:
    """Score a generator, or images that any program made, against real images.

    Parameters
    ----------
    source
        Name of a run, folder of a checkpoint, folder of images, or .npy file (uint8, [n, height, width, 3]).
    """
    from raygan.pipeline.evaluation.report import Report
    from raygan.pipeline.launch.evaluate import Question
    from raygan.pipeline.launch.evaluate import evaluate as judge

    other = Report.load(against) if against else None
    question = Question.about(
        source, real, split, extractor, tuple(metric.split(",")), count, resamples, runs, checkpoint, weights
    )
    report = judge(question, device, workers, runs)
    print("\n".join(report.lines()))
    if json is not None:
        json.write_text(report.model_dump_json(indent=1))
    if other is not None:
        print("\n".join([f"less {against}:", *report.differences(other)]))


@app.command
def ui(*, runs: Runs = "runs", port: Annotated[int, Parameter(help="On this machine only.")] = 5000) -> None:
    """Show all runs in MLflow's pages, in a browser on this machine, until Ctrl-C."""
    from raygan.pipeline.tracking.server import ui as serve

    serve(Path(runs), port)


@app.command
def demo(
    *,
    runs: Runs = "runs",
    name: Annotated[str, Parameter(help="Of the run.")] = "demo",
    preset: Annotated[str, Parameter(help="What is trained.")] = "demo",
    faces: Annotated[int, Parameter(help="Faces to draw.")] = 2000,
    workers: Annotated[int, Parameter(help="Ray Train workers, one CPU core each.")] = 2,
) -> None:
    """The main job, end to end, on drawn faces: no data set, account, server or GPU. Reuses what it finds."""
    from raygan.jobs.demo import run_demo

    run_demo(Path(runs), name, faces, workers, defaults.preset(preset))


@tracking.command
def flush(*, runs: Runs = "runs") -> None:
    """Deliver to MLflow what killed workers and servers that were away have left undelivered."""
    from raygan.pipeline.tracking import flush as deliver

    spools = deliver(runs)
    for spool in spools:
        say(f"{spool.folder}: {spool.left} left {spool.reason}".rstrip())
    if left := sum(spool.left for spool in spools):
        raise RunError(f"{left} writes are still undelivered; start the server they are meant for and try again")
    say("everything is delivered")
