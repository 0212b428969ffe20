"""A split's shards as one set of rows: opened when first read, and watched while they are read."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sharding.errors import RunError, UserError
from sharding.manifest import Manifest, ShardEntry
from sharding.shard import Shard, open_shard

T = TypeVar("T", bound=np.generic)
Bytes = NDArray[np.uint8]


class Shards:
    """The shards of `split` in the data set in `folder`, in the manifest's order.

    At most `most_open` of them are open at a time. Every read first looks whether the files that it touches are still
    the ones that were opened: what a memory map shows of a file that was cut short is a SIGBUS, not an exception.
    """

    def __init__(self, folder: str, split: str, most_open: int = 256) -> None:
        """Raises UserError if there is no such data set or nothing in the split, RunError if a shard is missing."""
        self.manifest = Manifest.load(folder)
        self.entries = self.manifest.shards_of(split)
        self.counts = np.array([entry.count for entry in self.entries], np.int64)
        if not self.counts.sum():
            raise UserError(f"{folder}: no images in the split {split}; convert some, or choose another split")
        if self.manifest.size is None:
            raise UserError(f"{folder}: its images vary in size; convert it with --size to train on it")
        self.size = self.manifest.size
        self._folder = Path(folder)
        self._most_open = most_open
        self._open: OrderedDict[int, _Opened] = OrderedDict()
        for entry in self.entries:
            _look_at(self._folder / entry.name, entry.bytes)

    def images(self, shard: NDArray[np.int32], row: NDArray[np.int32], out: Bytes) -> None:
        """Copies the images at these shards and rows into `out`, uint8 [n, size, size, 3]."""
        views = {number: self._touched(number).pixels for number in set(shard.tolist())}
        for image, number, index in zip(out, shard.tolist(), row.tolist(), strict=True):
            image[...] = views[number][index]

    def keys(self, shard: NDArray[np.int32], row: NDArray[np.int32]) -> NDArray[np.bytes_]:
        """The keys at these shards and rows, bytes [n]."""
        return self._column(shard, row, lambda opened: opened.keys)

    def attributes(self, shard: NDArray[np.int32], row: NDArray[np.int32]) -> Bytes:
        """All attributes at these shards and rows, uint8 0 or 1 [n, attributes]."""
        return self._column(shard, row, lambda opened: opened.attributes)

    def _column(
        self, shard: NDArray[np.int32], row: NDArray[np.int32], column: Callable[[Shard], NDArray[T]]
    ) -> NDArray[T]:
        columns = {number: column(self._touched(number).shard) for number in set(shard.tolist())}
        return np.stack([columns[number][index] for number, index in zip(shard.tolist(), row.tolist(), strict=True)])

    def _touched(self, number: int) -> "_Opened":
        opened = self._open.get(number)
        if opened is None:
            opened = self._open[number] = self._opened(self.entries[number])
            if len(self._open) > self._most_open:
                self._open.popitem(last=False)
        else:
            self._open.move_to_end(number)
            opened.check()
        return opened

    def _opened(self, entry: ShardEntry) -> "_Opened":
        path = self._folder / entry.name
        before = _look_at(path, entry.bytes)
        shard = open_shard(path, entry, self.manifest)
        opened = _Opened(path, before, shard, shard.pixels)
        opened.check()
        return opened


class _Opened(NamedTuple):
    """An open shard, and what its file looked like at that time."""

    path: Path
    looked: tuple[int, int, int]
    shard: Shard
    pixels: Bytes

    def check(self) -> None:
        if _look_at(self.path, self.looked[0]) != self.looked:
            raise RunError(
                f"{self.path}: changed while it was read; leave shards alone while runs use them, and resume"
            )


def _look_at(path: Path, size: int) -> tuple[int, int, int]:
    """Length, time of change and number of a file; RunError if it is not there or not `size` bytes long."""
    try:
        found = os.stat(path)  # noqa: PTH116  (half the time of Path.stat, and in every batch)
    except OSError as error:
        raise RunError(
            f"{path}: {error.strerror}; put the shard back or convert the data set again, and resume"
        ) from error
    if found.st_size != size:
        raise RunError(f"{path}: {found.st_size} bytes, not {size}; put the shard back or convert again, and resume")
    return found.st_size, found.st_mtime_ns, found.st_ino
