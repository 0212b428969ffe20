"""`raygan generate`: new faces from a trained generator."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from raygan.jobs.app import Device, Drawing, Runs, Which, app, say
from raygan.jobs.ui.progress import progress
from raygan.pipeline.training import runs as records


@app.command
def generate(
    source: str,
    out: Path = Path("faces.png"),
    *,
    count: Annotated[int, Parameter(help="Faces to draw.")] = 64,
    seed: Annotated[int, Parameter(help="Seed of the latents; the same seed draws the same faces.")] = 0,
    attributes: Annotated[
        str,
        Parameter(help="Attributes of all faces, such as Smiling,-Male, out of those that the run was conditioned on."),
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
