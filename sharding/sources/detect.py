"""Reads CelebA as people have it: the official folder or zip, Kaggle's layout, parquet, or a plain folder of faces."""

from typing import NamedTuple

import numpy as np

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.journal import Reject
from raygan.sharding.sources.annotations import Table, read_bits, read_numbers
from raygan.sharding.sources.parquet import open_parquet, parquet_files
from raygan.sharding.sources.pictures import FolderPictures, ListedPictures, Pictures, ZipPictures
from raygan.sharding.sources.source import Source, assemble, random_splits
from raygan.sharding.storage.folder import Folder

PICTURE_PLACES = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
ZIP_PLACES = ("img_align_celeba.zip", "Img/img_align_celeba.zip")
TABLE_FOLDERS = ("", "Anno", "Eval")
LOOKED_FOR = (
    "img_align_celeba/ or img_align_celeba.zip with list_eval_partition.txt (or .csv) and list_attr_celeba.txt "
    "(or .csv), .parquet files, or pictures (.jpg, .png, .webp)"
)


class Tables(NamedTuple):
    """The annotations that were found; all optional."""

    partition: Table[tuple[int, ...]] | None
    attributes: Table[bytes] | None
    identity: Table[tuple[int, ...]] | None
    landmarks: Table[tuple[int, ...]] | None


def open_source(location: str, seed: int = 0, held_out: float = 0.1) -> Source:
    """Finds out what lies at `location` (a path or a URL that fsspec understands) and indexes it, reading no image.

    Where no split is published, fractions of `held_out` of the images become valid and test, by a hash of `seed`.
    Raises UserError if nothing is there, or nothing that looks like faces: the message says what was looked for.
    """
    folder = Folder(location)
    if folder.is_file():
        if folder.name.endswith(".parquet"):
            return open_parquet([(folder.parent, folder.name)], seed, held_out)
        pictures = _zip_at(folder)
        tables = _tables(folder.parent)
        kind = "zip"
    else:
        if not folder.exists():
            raise UserError(f"{location}: no such folder or file; give the folder that holds {LOOKED_FOR}")
        if tables_of_images := parquet_files(folder):
            return open_parquet(tables_of_images, seed, held_out)
        pictures, kind = _pictures(folder)
        tables = _tables(folder)
        if folder.name == "img_align_celeba" and tables.partition is None:
            tables = _tables(folder.parent)
    sizes = pictures.sizes()
    if not sizes:
        raise UserError(f"{location}: no images found; looked for {LOOKED_FOR}")
    if tables.partition is None and tables.attributes is None:
        return _plain(pictures, sizes, kind, seed, held_out)
    return _annotated(pictures, sizes, kind, tables, seed, held_out)


def _zip_at(file: Folder) -> ListedPictures:
    if not file.name.lower().endswith(".zip"):
        raise UserError(f"{file}: not a folder and not a .zip; give the folder that holds {LOOKED_FOR}")
    return ZipPictures(file.parent, file.name)


def _pictures(folder: Folder) -> tuple[ListedPictures, str]:
    """The first place that holds pictures, and what kind of place it is."""
    for place in PICTURE_PLACES:
        files, _ = (folder / place).list()
        if files:
            return FolderPictures(folder / place), "folder"
    for place in ZIP_PLACES:
        if folder.size(place) is not None:
            head, _, name = place.rpartition("/")
            return ZipPictures(folder / head if head else folder, name), "zip"
    return FolderPictures(folder, deep=True), "folder"


def _tables(folder: Folder) -> Tables:
    found: dict[str, tuple[bytes, str]] = {}
    for place in TABLE_FOLDERS:
        where = folder / place if place else folder
        for name in where.list()[0]:
            stem, _, suffix = name.rpartition(".")
            if suffix in ("txt", "csv") and stem.startswith(("list_", "identity_")) and stem not in found:
                found[stem] = where.read(name), f"{where}/{name}"

    def numbers(stem: str) -> Table[tuple[int, ...]] | None:
        return read_numbers(*found[stem]) if stem in found else None

    attributes = read_bits(*found["list_attr_celeba"]) if "list_attr_celeba" in found else None
    return Tables(
        numbers("list_eval_partition"), attributes, numbers("identity_CelebA"), numbers("list_landmarks_align_celeba")
    )


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _matched(sizes: dict[str, int], tables: Tables) -> tuple[dict[bytes, str], list[Reject]]:
    """The images that have one row in every table, by their key; the others are rejects."""
    titles = ("list_eval_partition", "list_attr_celeba", "identity_CelebA", "list_landmarks_align_celeba")
    present = {title: table for title, table in zip(titles, tables, strict=True) if table is not None}
    names: dict[bytes, str] = {}
    rejects: list[Reject] = []
    for name in sizes:
        stem = _stem(name).encode()
        lacking = [title for title, table in present.items() if stem not in table.rows]
        doubled = [title for title, table in present.items() if stem in table.doubled]
        if stem in names:
            rejects.append(Reject(name, f"duplicate key: {names[stem]} has it too"))
        elif lacking:
            rejects.append(Reject(name, f"no row in {' and '.join(lacking)}"))
        elif doubled:
            rejects.append(Reject(name, f"more than one row in {' and '.join(doubled)}"))
        elif tables.partition and not 0 <= tables.partition.rows[stem][0] < len(SPLITS):
            rejects.append(Reject(name, f"unknown partition {tables.partition.rows[stem][0]}"))
        else:
            names[stem] = name
    return names, rejects


def _annotated(
    pictures: Pictures, sizes: dict[str, int], kind: str, tables: Tables, seed: int, held_out: float
) -> Source:
    """A source whose images are named as the rows of its tables."""
    names, rejects = _matched(sizes, tables)
    if not names:
        raise UserError(
            f"{pictures}: none of {len(sizes)} images has a row in the annotations; do they belong together?"
        )
    stems = sorted(names)
    values = tables.attributes and np.frombuffer(b"".join(tables.attributes.rows[stem] for stem in stems), np.uint8)
    numbers = {"identity": tables.identity, "landmarks": tables.landmarks}
    base = tables.partition or tables.attributes
    columns = tables.attributes.columns if tables.attributes else ()
    return assemble(
        kind=f"CelebA, {kind} of {len(names)} images with {len(columns) or 'no'} attributes",
        pictures=pictures,
        names=[names[stem] for stem in stems],
        stems=[stem.decode() for stem in stems],
        lengths=[sizes[names[stem]] for stem in stems],
        splits=np.array([tables.partition.rows[stem][0] for stem in stems], np.uint8)
        if tables.partition
        else random_splits(len(names), seed, held_out),
        attributes=columns,
        values=None if values is None else values.reshape(len(stems), -1),
        numbers={
            title: np.array([table.rows[stem] for stem in stems], np.int64).reshape(len(stems), -1)
            for title, table in numbers.items()
            if table is not None
        },
        rejects=tuple(rejects),
        absent=len(base.rows) - sum(stem in base.rows for stem in stems) if base else 0,
    )


def _plain(pictures: Pictures, sizes: dict[str, int], kind: str, seed: int, held_out: float) -> Source:
    """Faces without annotations."""
    return assemble(
        kind=f"plain {kind} of {len(sizes)} images without annotations, split by seed {seed}",
        pictures=pictures,
        names=list(sizes),
        stems=[_stem(name) for name in sizes],
        lengths=list(sizes.values()),
        splits=random_splits(len(sizes), seed, held_out),
    )
