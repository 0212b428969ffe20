"""`raygan data synthesize` and `raygan data download`: a data set of faces to begin with."""

from pathlib import Path

from cyclopts import App

from raygan.jobs.app import app, say
from raygan.jobs.ui.progress import progress

data = App(name="data", help="Get or draw a data set of faces.")
app.command(data)


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
        Seed of the faces; the same seed draws the same ones.
    """
    from raygan.sharding.synthetic import synthesize as draw

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
    from raygan.sharding.download import download as fetch

    with progress("downloading", "bytes") as advance:
        fetch(out, advance)
    say(f"CelebA in {out}", f"raygan shard {out}")
