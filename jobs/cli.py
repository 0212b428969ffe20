"""The `raygan` command: each function is one subcommand; what it does lives in the rooms.

Heavy imports (torch, Ray, MLflow) wait until a command needs them, so that `raygan --help` answers at once.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from jobs import defaults
from jobs.progress import console, progress
from pipeline import runs as records
from pipeline.config import Config, Launch
from sharding.convert import ShardingOptions
from sharding.errors import RunError, UserError

app = App(
    name="raygan",
    help="From CelebA to a trained DCGAN: shards, distributed training on Ray, every run in MLflow.",
    help_epilogue="Try it on drawn faces, with nothing else at hand: raygan demo",
    help_format="plaintext",
    config=defaults.fill,
)
data = App(name="data", help="Get or draw a data set of faces.")
shards = App(name="shards", help="Look at a data set, check it, or index tars made elsewhere.")
tracking = App(name="tracking", help="What MLflow knows of the runs.")
for group in (data, shards, tracking):
    app.command(group)

Runs = Annotated[Path, Parameter(help="Folder of all runs.")]
Device = Annotated[Literal["cpu", "cuda"], Parameter(help="Where the networks run.")]
PLACE = Parameter(name="*", group="Where it runs", negative="")
Split = Literal["train", "valid", "test"]
KNOBS = Parameter(name="*", group="What it trains", negative_iterable="")


@data.command
def synthesize(out: Path, *, count: int = 2000, seed: int = 0) -> None:
    """Draw faces in CelebA's published layout: images, attributes, partition, identities.

    Parameters
    ----------
    out
        Folder to write.
    count
        Faces to draw.
    seed
        Of the faces; the same seed draws the same ones.
    """
    from sharding.synthetic import synthesize as draw

    with progress("drawing faces") as advance:
        draw(out, count, seed, lambda done: advance(done, count, ""))
    say(f"{count:,} faces in {out}", f"raygan shard {out} SHARDS")


@data.command
def download(out: Path) -> None:
    """Fetch the official CelebA (aligned images and annotations, 1.4 GB) and verify its checksums.

    Parameters
    ----------
    out
        Folder to write.
    """
    from sharding.download import download as fetch

    with progress("downloading", "bytes") as advance:
        fetch(out, advance)
    say(f"CelebA in {out}", f"raygan shard {out}")


@app.command
def shard(
    source: str,
    out: str = "shards",
    *,
    dali_index: Annotated[bool, Parameter(help="Also write the index files of NVIDIA DALI.", negative="")] = False,
    options: Annotated[ShardingOptions, Parameter(name="*")] = ShardingOptions(),  # noqa: B008
) -> None:
    """Turn a data set of faces into WebDataset shards, as Ray tasks. Continues where an earlier call stopped.

    Parameters
    ----------
    source
        CelebA as you have it; what it is, is found out and said.
    out
        Folder for the shards and their manifest.
    """
    from jobs.converting import convert_with_progress, describe

    done = convert_with_progress(source, out, options)
    if dali_index:
        from sharding.index import write_dali_index

        write_dali_index(out)
    say(describe(done, out), f"raygan train --shards {out}")


@shards.command
def show(folder: str, sheet: Path = Path("shards.png"), *, split: Split | None = None) -> None:
    """Print what a data set holds and draw a contact sheet of it.

    Parameters
    ----------
    folder
        Of the data set.
    sheet
        PNG to write.
    split
        To draw from. [default: the first that has images]
    """
    from sharding.manifest import Manifest
    from sharding.show import contact_sheet, describe

    for label, text in describe(Manifest.load(folder)):
        print(f"{label:12}{text}")
    sheet.write_bytes(contact_sheet(folder, split))
    say(f"contact sheet in {sheet}")


@shards.command
def verify(
    folder: str, *, fast: Annotated[bool, Parameter(help="Lengths and headers only.", negative="")] = False
) -> None:
    """Check a data set: every byte against its SHA-256, every sample as the webdataset library reads it.

    Parameters
    ----------
    folder
        Of the data set.
    """
    from sharding.verify import verify as check

    with progress("verifying", "shards") as advance:
        found = check(folder, fast, advance)
    for problem in found.problems:
        console.print(f"raygan: {problem}", style="red", markup=False, soft_wrap=True)
    if found.problems:
        raise RunError(f"{folder}: {len(found.problems)} problem(s) in {found.shards} shards")
    say(f"{folder}: {found.samples:,} images in {found.shards} shards are sound")


@shards.command
def index(
    folder: str,
    *,
    size: Annotated[int, Parameter(help="Height and width in pixels that the reader gives.")] = 64,
    crop: Annotated[int | Literal["none"], Parameter(help="Side of the centre square that is read.")] = "none",
) -> None:
    """Make a manifest for WebDataset tars made elsewhere, so that `raygan train` takes them.

    Parameters
    ----------
    folder
        Of the tars.
    """
    from sharding.index import index as make

    with progress("indexing", "shards") as advance:
        manifest = make(folder, size, crop, advance)
    say(f"{folder}: {len(manifest.shards)} shards indexed", f"raygan train --shards {folder}")


@tracking.command
def flush(*, runs: Runs = Path("runs")) -> None:
    """Deliver to MLflow what killed workers and servers that were away have left undelivered."""
    from pipeline.tracking import flush as deliver

    spools = deliver(runs)
    for spool in spools:
        say(f"{spool.folder}: {spool.left} left {spool.reason}".rstrip())
    if left := sum(spool.left for spool in spools):
        raise RunError(f"{left} writes are still undelivered; start the server they are meant for and try again")
    say("everything is delivered")


@app.command
def train(
    *,
    resume: Annotated[str | None, Parameter(help="Name of a run to continue from its newest checkpoint.")] = None,
    dry_run: Annotated[
        bool, Parameter(help="Print the configuration and the plan; start nothing.", negative="")
    ] = False,
    launch: Annotated[Launch, PLACE] = Launch(),  # noqa: B008
    config: Annotated[Config, KNOBS] = Config(),  # noqa: B008
) -> None:
    """Train a GAN on a data set, on the Ray cluster at RAY_ADDRESS or else on this machine.

    The knobs take their values from --preset (or, with --resume, from the run), then from their own flags.
    The defaults shown are those of --preset radford.
    """
    from jobs.training import describe, train_with_progress

    if resume:
        defaults.refuse_changes(records.load(launch.runs, resume).config, config)
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
    runs: Runs = Path("runs"),
    device: Device = "cpu",
) -> None:
    """Draw new faces with a trained generator.

    Parameters
    ----------
    source
        Name of a run (its newest checkpoint is taken) or folder of a checkpoint.
    out
        NAME.png: one sheet; NAME.npy: uint8 [count, height, width, 3]; anything else: a folder of PNG files.
    """
    from jobs.drawing import draw

    checkpoint = records.find_checkpoint(runs, source)
    with progress("drawing faces") as advance:
        draw(checkpoint, out, count, seed, device, lambda done: advance(done, count, ""))
    say(f"{count:,} faces from {checkpoint.name} of {source} in {out}")


@app.command
def evaluate(
    source: str,
    *,
    real: Annotated[str | None, Parameter(help="Data set, folder or .npy. [default: the run's own data set]")] = None,
    split: Annotated[Split, Parameter(help="Of a data set.")] = "train",
    metric: Annotated[
        str, Parameter(help="Comma-separated: fid, kid, pr ... as docs/evaluation.md lists them.")
    ] = "fid,kid",
    extractor: Annotated[str, Parameter(help="randconv (a smoke signal), inception (FID's), file:PATH.")] = "randconv",
    count: Annotated[int | None, Parameter(help="Images judged. [default: 5000 drawn, or all given]")] = None,
    runs: Runs = Path("runs"),
    device: Device = "cpu",
    json: Annotated[Path | None, Parameter(help="File for the report.")] = None,
) -> None:
    """Score a generator, or images that any program made, against real images.

    Parameters
    ----------
    source
        Name of a run, folder of a checkpoint, folder of images, or .npy file (uint8, [n, height, width, 3]).
    """
    from jobs.judging import evaluate as judge

    report = judge(source, real, split, extractor, tuple(metric.split(",")), count, device, runs)
    print("\n".join(report.lines()))
    if json is not None:
        json.write_text(report.model_dump_json(indent=1))


@app.command
def ui(*, runs: Runs = Path("runs"), port: Annotated[int, Parameter(help="On this machine only.")] = 5000) -> None:
    """Show all runs in MLflow's pages, in a browser on this machine, until Ctrl-C."""
    from pipeline.tracking.server import ui as serve

    serve(runs, port)


@app.command
def demo(
    *,
    runs: Runs = Path("runs"),
    name: Annotated[str, Parameter(help="Of the run.")] = "demo",
    preset: Annotated[str, Parameter(help="What is trained.")] = "demo",
    faces: Annotated[int, Parameter(help="Faces to draw.")] = 2000,
    workers: Annotated[int, Parameter(help="Ray Train workers, one CPU core each.")] = 2,
) -> None:
    """The main job, end to end, on drawn faces: no data set, account, server or GPU. Reuses what it finds."""
    from jobs.demo import run_demo

    run_demo(runs, name, faces, workers, defaults.preset(preset))


def say(done: str, *next_commands: str) -> None:
    """One line on what was done, and what one may type next."""
    console.print(done, soft_wrap=True)
    for command in next_commands:
        console.print(f"  next: {command}", soft_wrap=True)


def fail(status: int, message: str) -> NoReturn:
    console.print(f"raygan: {message}", style="red", markup=False, soft_wrap=True)
    sys.exit(status)


def words_of(error: CycloptsError) -> str:
    """What is wrong with the command line, in one line."""
    if isinstance(error.__cause__, ValidationError):
        problem = error.__cause__.errors()[0]
        flag = "--" + ".".join(str(part).replace("_", "-") for part in problem["loc"])
        given = "" if flag == "--" else f"{flag} {problem['input']}: "
        return f"{given}{problem['msg'].removeprefix('Value error, ')}"
    return " ".join(str(error).split())


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 2 for a mistake in what was asked, with 1 for a run that failed."""
    try:
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as e:
        fail(2, f"{words_of(e)} (see --help)")
    except UserError as e:
        fail(2, str(e))
    except RunError as e:
        fail(1, str(e))
    except KeyboardInterrupt as e:
        fail(130, str(e) or "interrupted; what was finished is kept, and the same command goes on from there")
