"""`raygan shards show`, `verify` and `index`: what a data set holds, and whether it is intact."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from raygan.jobs.app import Split, app, say
from raygan.jobs.ui.progress import console, progress
from raygan.sharding.errors import RunError

shards = App(name="shards", help="Look at a data set, check it, or index tars made elsewhere.")
app.command(shards)


@shards.command
def show(folder: str, sheet: Path = Path("shards.png"), *, split: Split | None = None) -> None:
    """Print what a data set holds and draw a contact sheet of it.

    Parameters
    ----------
    folder
        Folder of the data set.
    sheet
        PNG to write.
    split
        Split to draw from. [default: the first that has images]
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
        Folder of the data set.
    """
    from raygan.sharding.verify import verify as check

    with progress("verifying", "shards") as advance:
        found = check(folder, fast, advance)
    for problem in found.problems:
        console.print(f"raygan: {problem}", style="red", markup=False, soft_wrap=True)
    if found.problems:
        raise RunError(f"{folder}: {len(found.problems)} problem(s) in {found.shards} shards")
    say(f"{folder}: {found.samples:,} images in {found.shards} shards are intact")


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
        Folder of the tars.
    """
    from raygan.sharding.index import index as make

    with progress("indexing", "shards") as advance:
        manifest = make(folder, size, crop, advance)
    say(f"{folder}: {len(manifest.shards)} shards indexed", f"raygan train --shards {folder}")
