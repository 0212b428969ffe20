"""Reads CelebA as people have it: the official folder or its zip, Kaggle's layout, or a plain folder of faces."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sharding.annotations import Table, read_bits, read_numbers
from sharding.errors import UserError
from sharding.hashing import hashes, key_of
from sharding.journal import Reject
from sharding.manifest import SPLITS
from sharding.pictures import FolderPictures, Pictures, ZipPictures
from sharding.stores import Folder

PICTURE_PLACES = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
ZIP_PLACES = ("img_align_celeba.zip", "Img/img_align_celeba.zip")
TABLE_FOLDERS = ("", "Anno", "Eval")
LOOKED_FOR = (
    "img_align_celeba/ or img_align_celeba.zip with list_eval_partition.txt (or .csv) and list_attr_celeba.txt "
    "(or .csv), .parquet files, or pictures (.jpg, .png, .webp)"
)


class Face(NamedTuple):
    """One image of the source: its key, its encoded bytes, its attributes (0 or 1), its split."""

    key: str
    bytes: bytes
    attributes: tuple[int, ...]
    split: str


@dataclass(frozen=True)
class Source:
    """A data set to convert. Rows are sorted by split, then by key; the images are read one by one."""

    kind: str  # what it is, in words
    pictures: Pictures
    names: NDArray[np.bytes_]  # what `pictures` calls each image, UTF-8 [n]
    keys: NDArray[np.bytes_]  # all of one width [n]
    totals: dict[str, int]  # images of each split
    attributes: tuple[str, ...]
    values: NDArray[np.uint8]  # 0 or 1 [n, attributes]
    numbers: dict[str, NDArray[np.int64]]  # identity [n, 1], landmarks [n, 10]: optional
    digest: str
    rejects: tuple[Reject, ...] = ()
    absent: int = 0  # annotated images that are not there: normal for a subset
    block: int = 1  # neighbouring rows that are cheap to read together
    starts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        ends = np.cumsum([0, *(self.totals[split] for split in SPLITS)])
        object.__setattr__(self, "starts", {split: int(end) for split, end in zip(SPLITS, ends, strict=False)})

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, row: int) -> Face:
        if not 0 <= row < len(self):
            raise IndexError(row)
        split = [name for name in SPLITS if self.starts[name] <= row][-1]
        while row >= self.starts[split] + self.totals[split]:
            split = SPLITS[SPLITS.index(split) - 1]
        return Face(self.keys[row].decode(), self.read(row), tuple(self.values[row].tolist()), split)

    @property
    def number_counts(self) -> tuple[tuple[str, int], ...]:
        """The names of the whole numbers, and how many there are of each."""
        return tuple((name, values.shape[1]) for name, values in self.numbers.items())

    def keys_at(self, rows: list[int]) -> NDArray[np.uint8]:
        """The keys of these rows, uint8 [count, width]."""
        return self.keys[rows].view(np.uint8).reshape(len(rows), self.keys.dtype.itemsize)

    def read(self, row: int) -> bytes:
        """The encoded bytes of one image. Raises OSError, and ImageError where they are known to be damaged."""
        return self.pictures.read(self.names[row].decode())


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
        pictures: Pictures | None = _zip_at(folder)
        tables = _tables(folder.parent)
        kind = "zip"
    else:
        if not folder.exists():
            raise UserError(f"{location}: no such folder or file; give the folder that holds {LOOKED_FOR}")
        pictures, kind = _pictures(folder)
        tables = _tables(folder)
        if folder.name == "img_align_celeba" and tables.partition is None:
            tables = _tables(folder.parent)
    sizes = pictures.sizes() if pictures else {}
    if pictures is None or not sizes:
        raise UserError(f"{location}: no images found; looked for {LOOKED_FOR}")
    if tables.partition is None and tables.attributes is None:
        return _plain(pictures, sizes, kind, seed, held_out)
    return _annotated(pictures, sizes, kind, tables, seed, held_out)


def _zip_at(file: Folder) -> Pictures:
    if not file.name.lower().endswith(".zip"):
        raise UserError(f"{file}: not a folder and not a .zip; give the folder that holds {LOOKED_FOR}")
    return ZipPictures(file.parent, file.name)


def _pictures(folder: Folder) -> tuple[Pictures, str]:
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


def _annotated(
    pictures: Pictures, sizes: dict[str, int], kind: str, tables: Tables, seed: int, held_out: float
) -> Source:
    """A source whose images are named as the rows of its tables."""
    needed = {"list_eval_partition": tables.partition, "list_attr_celeba": tables.attributes}
    needed |= {"identity_CelebA": tables.identity, "list_landmarks_align_celeba": tables.landmarks}
    present = {title: table for title, table in needed.items() if table is not None}
    rejects: list[Reject] = []
    names: dict[bytes, str] = {}
    for name in sizes:
        stem = _stem(name).encode()
        lacking = [title for title, table in present.items() if stem not in table.rows]
        if stem in names:
            rejects.append(Reject(name, f"duplicate key: {names[stem]} has it too"))
        elif lacking:
            rejects.append(Reject(name, f"no row in {' and '.join(lacking)}"))
        elif tables.partition and not 0 <= tables.partition.rows[stem][0] < len(SPLITS):
            rejects.append(Reject(name, f"unknown partition {tables.partition.rows[stem][0]}"))
        else:
            names[stem] = name
    for title, table in present.items():
        rejects += [
            Reject(stem.decode("utf-8", "replace"), f"more than one row in {title}")
            for stem in table.doubled
            if stem in names
        ]
    if not names:
        raise UserError(
            f"{pictures}: none of {len(sizes)} images has a row in the annotations; do they belong together?"
        )
    if tables.partition:
        splits = [tables.partition.rows[stem][0] for stem in names]
    else:
        splits = _random_splits(len(names), seed, held_out).tolist()
    order = sorted(range(len(names)), key=lambda i, stems=list(names): (splits[i], stems[i]))  # type: ignore[misc]
    stems = [list(names)[i] for i in order]
    values = np.frombuffer(b"".join(tables.attributes.rows[s] for s in stems), np.uint8) if tables.attributes else None
    numbers = {
        title: np.array([table.rows[stem] for stem in stems], np.int64).reshape(len(stems), -1)
        for title, table in (("identity", tables.identity), ("landmarks", tables.landmarks))
        if table is not None
    }
    base = tables.partition or tables.attributes
    return _source(
        kind=f"CelebA, {kind} of {len(names)} images"
        + (f" with {len(tables.attributes.columns)} attributes" if tables.attributes else ", no attributes"),
        pictures=pictures,
        names=[names[stem] for stem in stems],
        sizes=sizes,
        splits=[splits[i] for i in order],
        attributes=tables.attributes.columns if tables.attributes else (),
        values=values,
        numbers=numbers,
        rejects=tuple(rejects),
        absent=len(base.rows) - sum(stem in base.rows for stem in names) if base else 0,
    )


def _plain(pictures: Pictures, sizes: dict[str, int], kind: str, seed: int, held_out: float) -> Source:
    """Faces without annotations."""
    splits = _random_splits(len(sizes), seed, held_out)
    order = np.argsort(splits, kind="stable")
    names = list(sizes)
    return _source(
        kind=f"plain {kind} of {len(sizes)} images without annotations, split by seed {seed}",
        pictures=pictures,
        names=[names[i] for i in order],
        sizes=sizes,
        splits=splits[order].tolist(),
        attributes=(),
        values=None,
        numbers={},
        rejects=(),
        absent=0,
    )


def _random_splits(count: int, seed: int, held_out: float) -> NDArray[np.uint8]:
    """Split numbers uint8 [count]: about `held_out` each of valid and test."""
    uniform = hashes(key_of(seed, 0x5917), 0, count).astype(np.float64) / 2.0**64
    return np.where(uniform < held_out, 1, np.where(uniform < 2 * held_out, 2, 0)).astype(np.uint8)


def _source(
    *,
    kind: str,
    pictures: Pictures,
    names: Sequence[str],
    sizes: dict[str, int],
    splits: Sequence[int],
    attributes: tuple[str, ...],
    values: NDArray[np.uint8] | None,
    numbers: dict[str, NDArray[np.int64]],
    rejects: tuple[Reject, ...],
    absent: int,
) -> Source:
    keys = keys_of([_stem(name) for name in names])
    table = np.zeros((len(names), 0), np.uint8) if values is None else values.reshape(len(names), -1)
    digest = hashlib.sha256(repr((attributes, sorted(numbers))).encode())
    lengths = np.array([sizes[name] for name in names], np.int64)
    for array in (keys, lengths, np.array(splits, np.uint8), table, *(numbers[name] for name in sorted(numbers))):
        digest.update(np.ascontiguousarray(array).tobytes())
    return Source(
        kind=kind,
        pictures=pictures,
        names=np.array([name.encode() for name in names], np.bytes_),
        keys=keys,
        totals={split: splits.count(number) for number, split in enumerate(SPLITS)},
        attributes=attributes,
        values=table,
        numbers=numbers,
        digest=digest.hexdigest(),
        rejects=rejects,
        absent=absent,
    )


def keys_of(stems: Iterable[str]) -> NDArray[np.bytes_]:
    """Keys of one width: the stems where they are plain, unique and equally long (000001), else running numbers.

    A plain key has no dot and no slash, which WebDataset reads as the start of an extension or of a folder.
    """
    stems = list(stems)
    widths = {len(stem) for stem in stems}
    if (
        len(widths) == 1
        and len(set(stems)) == len(stems)
        and all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", stem) for stem in stems)
    ):
        return np.array([stem.encode() for stem in stems], np.bytes_)
    width = max(6, len(str(len(stems))))
    return np.array([f"{number:0{width}}".encode() for number in range(len(stems))], np.bytes_)
