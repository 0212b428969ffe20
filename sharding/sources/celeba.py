"""Opens CelebA as it is published: the official folder or zip, or Kaggle's layout, with their annotation tables."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.sources.annotations import Table, read_bits, read_numbers
from raygan.sharding.sources.pictures import FolderPictures, ListedPictures, ZipPictures, stem_of
from raygan.sharding.sources.source import Reject, Source, assemble, random_splits
from raygan.sharding.storage.folder import Folder

PICTURE_FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
ZIPS = ("img_align_celeba.zip", "Img/img_align_celeba.zip")
TABLE_FOLDERS = ("", "Anno", "Eval")
TITLES = ("list_eval_partition", "list_attr_celeba", "identity_CelebA", "list_landmarks_align_celeba")


class Tables(NamedTuple):
    """The annotation tables that were found; each is optional."""

    partition: Table[tuple[int, ...]] | None
    attributes: Table[bytes] | None
    identity: Table[tuple[int, ...]] | None
    landmarks: Table[tuple[int, ...]] | None


def celeba_pictures(folder: Folder) -> ListedPictures | None:
    """CelebA's pictures in `folder`, from the first of the known folders and zips that is there; None without one."""
    for path in PICTURE_FOLDERS:
        files, _ = (folder / path).list()
        if files:
            return FolderPictures(folder / path)
    for path in ZIPS:
        if folder.size(path) is not None:
            head, _, name = path.rpartition("/")
            return ZipPictures(folder / head if head else folder, name)
    return None


def celeba_tables(location: Folder) -> Tables:
    """The annotation tables in the folder at `location`; beside it, where it is the zip or the folder of pictures.

    Raises UserError for a table that is damaged.
    """
    if location.is_file():
        return _tables_in(location.parent)
    tables = _tables_in(location)
    if tables.partition is None and location.name == "img_align_celeba":
        return _tables_in(location.parent)
    return tables


def _tables_in(folder: Folder) -> Tables:
    found: dict[str, tuple[bytes, str]] = {}
    for path in TABLE_FOLDERS:
        where = folder / path if path else folder
        for name in where.list()[0]:
            title, _, suffix = name.rpartition(".")
            if suffix in ("txt", "csv") and title in TITLES and title not in found:
                found[title] = where.read(name), f"{where}/{name}"
    partition, attributes, identity, landmarks = (found.get(title) for title in TITLES)
    return Tables(
        partition=read_numbers(*partition) if partition else None,
        attributes=read_bits(*attributes) if attributes else None,
        identity=read_numbers(*identity) if identity else None,
        landmarks=read_numbers(*landmarks) if landmarks else None,
    )


def open_celeba(pictures: ListedPictures, sizes: dict[str, int], tables: Tables, seed: int, held_out: float) -> Source:
    """A source of the pictures in `sizes` (bytes by name) that have one row in each table that was found.

    Without a table of partitions the split is drawn from `seed`. Raises UserError if no picture has a row.
    """
    names, rejects = _matched(sizes, tables)
    if not names:
        raise UserError(
            f"{pictures}: none of {len(sizes)} images has a row in the annotations; do they belong together?"
        )
    stems = sorted(names)
    attributes = tables.attributes.columns if tables.attributes else ()
    return assemble(
        kind=f"CelebA, {pictures.kind} of {len(names)} images with {len(attributes) or 'no'} attributes",
        pictures=pictures,
        names=[names[stem] for stem in stems],
        stems=[stem.decode() for stem in stems],
        lengths=[sizes[names[stem]] for stem in stems],
        splits=_splits(tables, stems, seed, held_out),
        attributes=attributes,
        values=_values(tables, stems),
        numbers=_numbers(tables, stems),
        rejects=tuple(rejects),
        absent=_absent(tables, stems),
    )


def _matched(sizes: dict[str, int], tables: Tables) -> tuple[dict[bytes, str], list[Reject]]:
    """The images that have one row in every table, by their key; the others are rejects."""
    present = {title: table for title, table in zip(TITLES, tables, strict=True) if table is not None}
    names: dict[bytes, str] = {}
    rejects: list[Reject] = []
    for name in sizes:
        stem = stem_of(name).encode()
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


def _splits(tables: Tables, stems: list[bytes], seed: int, held_out: float) -> NDArray[np.uint8]:
    """Split numbers, uint8 [n]."""
    if tables.partition is None:
        return random_splits(len(stems), seed, held_out)
    return np.array([tables.partition.rows[stem][0] for stem in stems], np.uint8)


def _values(tables: Tables, stems: list[bytes]) -> NDArray[np.uint8] | None:
    """Attributes, uint8 0 or 1 [n, attributes]."""
    if tables.attributes is None:
        return None
    rows = b"".join(tables.attributes.rows[stem] for stem in stems)
    return np.frombuffer(rows, np.uint8).reshape(len(stems), -1)


def _numbers(tables: Tables, stems: list[bytes]) -> dict[str, NDArray[np.int64]]:
    """Whole numbers by name, int64 [n, numbers of an image]."""
    found = {"identity": tables.identity, "landmarks": tables.landmarks}
    return {
        name: np.array([table.rows[stem] for stem in stems], np.int64).reshape(len(stems), -1)
        for name, table in found.items()
        if table is not None
    }


def _absent(tables: Tables, stems: list[bytes]) -> int:
    """How many annotated images are not there."""
    table = tables.partition or tables.attributes
    return len(table.rows) - sum(stem in table.rows for stem in stems) if table else 0
