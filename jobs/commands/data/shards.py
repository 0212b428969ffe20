"""Faces in, shards out: `raygan data ...`, `raygan shard` and `raygan shards ...`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from raygan.jobs.app import Split, app, say
from raygan.jobs.ui.progress import console, progress
from raygan.sharding.convert import ShardingOptions
from raygan.sharding.errors import RunError

data = App(name="data", help="Get or draw a data set of faces.")
shards = App(name="shards", help="Look at a data set, check it, or index tars made elsewhere.")
app.command(data)
app.command(shards)


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
    from raygan.jobs.commands.data.shard import convert_with_progress, describe

    done = convert_with_progress(source, out, options)
    if dali_index:
        from raygan.sharding.index import write_dali_index

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
    from raygan.sharding.format.manifest import Manifest
    from raygan.sharding.show import contact_sheet, describe

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
    from raygan.sharding.verify import verify as check

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
    from raygan.sharding.index import index as make

    with progress("indexing", "shards") as advance:
        manifest = make(folder, size, crop, advance)
    say(f"{folder}: {len(manifest.shards)} shards indexed", f"raygan train --shards {folder}")
