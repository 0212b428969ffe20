"""A data set to convert: an index of keys, splits and annotations, and pictures that are read one by one."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.errors import UserError
from raygan.sharding.format.layout import NUMBER_WIDTH
from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.hashing import hashes, key_of
from raygan.sharding.sources.pictures import Pictures


class Reject(NamedTuple):
    """An image that cannot be used, and why."""

    file: str
    reason: str
    shard: str = ""  # the shard that it would be in; empty where the annotations already rule it out


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
    block: int = 1  # neighbouring rows that are best read together
    starts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        ends = np.cumsum([0, *(self.totals[split] for split in SPLITS)])
        object.__setattr__(self, "starts", {split: int(end) for split, end in zip(SPLITS, ends, strict=False)})

    def __len__(self) -> int:
        return len(self.keys)

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


def random_splits(count: int, seed: int, held_out: float) -> NDArray[np.uint8]:
    """Split numbers uint8 [count]: about `held_out` each of valid and test."""
    uniform = hashes(key_of(seed, 0x5917), 0, count).astype(np.float64) / 2.0**64
    return np.where(uniform < held_out, 1, np.where(uniform < 2 * held_out, 2, 0)).astype(np.uint8)


def assemble(
    kind: str,
    pictures: Pictures,
    names: Sequence[str],
    stems: Sequence[str],
    lengths: Sequence[int],
    splits: NDArray[np.uint8],
    attributes: tuple[str, ...] = (),
    values: NDArray[np.uint8] | None = None,
    numbers: dict[str, NDArray[np.int64]] | None = None,
    rejects: tuple[Reject, ...] = (),
    absent: int = 0,
    block: int = 1,
) -> Source:
    """A source of images in the order of their keys, sorted by split here; `lengths` go into its digest."""
    for name, columns in (numbers or {}).items():
        if len(columns) and not -(10 ** (NUMBER_WIDTH - 1)) < columns.min() <= columns.max() < 10**NUMBER_WIDTH:
            raise UserError(f"{kind}: {name} has numbers of more than {NUMBER_WIDTH} digits; renumber or remove it")
    order = np.argsort(splits, kind="stable")
    keys = keys_of([stems[row] for row in order])
    table = np.zeros((len(names), 0), np.uint8) if values is None else values[order]
    numbers = {name: columns[order] for name, columns in sorted((numbers or {}).items())}
    digest = hashlib.sha256(repr((attributes, list(numbers))).encode())
    for array in (keys, np.array(lengths, np.int64)[order], splits[order], table, *numbers.values()):
        digest.update(np.ascontiguousarray(array).tobytes())
    return Source(
        kind=kind,
        pictures=pictures,
        names=np.array([names[row].encode() for row in order], np.bytes_),
        keys=keys,
        totals={split: int((splits == number).sum()) for number, split in enumerate(SPLITS)},
        attributes=attributes,
        values=table,
        numbers=numbers,
        digest=digest.hexdigest(),
        rejects=rejects,
        absent=absent,
        block=block,
    )


def keys_of(stems: Sequence[str]) -> NDArray[np.bytes_]:
    """Keys of one width: the stems where they are plain, unique and equally long (000001), else running numbers.

    A plain key has no dot and no slash, which WebDataset reads as the start of an extension or of a folder.
    """
    widths = {len(stem) for stem in stems}
    if (
        len(widths) == 1
        and len(set(stems)) == len(stems)
        and all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", stem) for stem in stems)
    ):
        return np.array([stem.encode() for stem in stems], np.bytes_)
    width = max(6, len(str(len(stems))))
    return np.array([f"{number:0{width}}".encode() for number in range(len(stems))], np.bytes_)
