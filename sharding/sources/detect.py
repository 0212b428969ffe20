"""Finds out in which form the images at a location are, and opens them as a source."""

from raygan.sharding.errors import UserError
from raygan.sharding.sources.celeba import celeba_pictures, celeba_tables, open_celeba
from raygan.sharding.sources.parquet import open_parquet, parquet_files
from raygan.sharding.sources.pictures import FolderPictures, ListedPictures, ZipPictures
from raygan.sharding.sources.plain import open_plain
from raygan.sharding.sources.source import Source
from raygan.sharding.storage.folder import Folder

LOOKED_FOR = (
    "img_align_celeba/ or img_align_celeba.zip with list_eval_partition.txt (or .csv) and list_attr_celeba.txt "
    "(or .csv), .parquet files, or pictures (.jpg, .png, .webp)"
)


def open_source(location: str, seed: int = 0, held_out: float = 0.1) -> Source:
    """Finds out what is at `location` (a path, or a URL that fsspec understands) and indexes it, reading no image.

    Where no split is published, a hash of `seed` draws a fraction of `held_out` of the images for valid, and as many
    for test. Raises UserError if nothing is there, or nothing that looks like faces: the message says what was looked
    for.
    """
    folder = Folder(location)
    if files := parquet_files(folder):
        return open_parquet(files, seed, held_out)
    pictures = _pictures(folder)
    sizes = pictures.sizes()
    if not sizes:
        raise UserError(f"{location}: no images found; looked for {LOOKED_FOR}")
    tables = celeba_tables(folder)
    if tables.partition is None and tables.attributes is None:
        return open_plain(pictures, sizes, seed, held_out)
    return open_celeba(pictures, sizes, tables, seed, held_out)


def _pictures(location: Folder) -> ListedPictures:
    """The zip at the location, CelebA's pictures in the folder there, or else all pictures in and below it."""
    if location.is_file():
        if not location.name.lower().endswith(".zip"):
            raise UserError(f"{location}: not a folder and not a .zip; give the folder that holds {LOOKED_FOR}")
        return ZipPictures(location.parent, location.name)
    if not location.exists():
        raise UserError(f"{location}: no such folder or file; give the folder that holds {LOOKED_FOR}")
    return celeba_pictures(location) or FolderPictures(location, deep=True)
