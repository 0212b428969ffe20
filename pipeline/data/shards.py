"""A split's shards as one set of rows: opened when first read, and watched while they are read."""

import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.decode import Decoder
from raygan.pipeline.data.gather import gather
from raygan.pipeline.data.shard_cache import ShardCache
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import ShardEntry
from raygan.sharding.format.shard import Shard, open_shard

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int32]
LOOK_EVERY = 0.005  # seconds: less than a training step; without training, most batches are read without a look


class Shards:
    """The shards of a split of a data set, in the manifest's order.

    At most `most_open` of them are open at a time. Every read first looks whether the files that it touches are still
    the ones that were opened: reading a memory map beyond the
    end of a truncated file raises SIGBUS, not an exception. A file that is truncated within the milliseconds after the
    look still kills the process; check_lengths() then finds it.
    Remote shards are read from copies in the data set's cache.
    """

    def __init__(self, data: DataSet, split: str, most_open: int = 256) -> None:
        """Raises UserError if there is nothing in the split, RunError if a shard is missing."""
        self.manifest = data.manifest
        self.entries = self.manifest.shards_of(split)
        self.counts = np.array([entry.count for entry in self.entries], np.int64)
        if not self.counts.sum():
            raise UserError(f"{data}: no images in the split {split}; convert some, or choose another split")
        self.size = self.manifest.size
        self._most_open = most_open
        self._open: OrderedDict[int, _Opened] = OrderedDict()
        self._strides = np.array([entry.stride or 0 for entry in self.entries], np.int64)
        self._addresses = np.zeros(len(self.entries), np.int64)  # of the first image of each open, strided shard
        self._decoder = None if self.manifest.encoding == "npy" else Decoder(self.manifest)
        self._local = data.folder.local
        self._cache = None
        if self._local is None:
            self._cache = ShardCache(data.folder, self.manifest.digest, data.cache.folder, data.cache.bytes)
        else:
            check_lengths(self._local, self.entries)

    def images(self, shard: Numbers, row: Numbers, out: Bytes) -> None:
        """Copies the images at these shards and rows into `out`, uint8 [n, size, size, 3]."""
        opened = self._watched(shard)
        if self._decoder is None:
            if (row >= self.counts[shard]).any() or (row < 0).any():
                raise IndexError("a row beyond the end of its shard")
            gather(self._addresses[shard] + self._strides[shard] * row, out.reshape(len(out), -1))
            return
        samples = list(zip(shard.tolist(), row.tolist(), strict=True))
        damaged = self._decoder.decode([(opened[number], index) for number, index in samples], out)
        if damaged is not None:
            number, index = samples[damaged]
            raise RunError(f"{opened[number].path}: image {index} cannot be decoded; put the shard back, and resume")

    def read_rows(self, first: int, count: int) -> Bytes:
        """Images first, ..., first + count - 1 in the order of the shards, uint8 [count, size, size, 3]."""
        ends = self.counts.cumsum()
        samples = np.arange(first, first + count)
        shard = np.searchsorted(ends, samples, "right")
        row = samples - (ends - self.counts)[shard]
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        self.images(shard.astype(np.int32), row.astype(np.int32), images)
        return images

    def attributes(self, shard: Numbers, row: Numbers) -> Bytes:
        """All attributes at these shards and rows, uint8 0 or 1 [n, attributes]."""
        columns = {number: opened.attributes for number, opened in self._watched(shard).items()}
        return np.stack([columns[number][index] for number, index in zip(shard.tolist(), row.tolist(), strict=True)])

    @property
    def remote(self) -> bool:
        """Whether shards have to be brought to this node."""
        return self._cache is not None

    def demand(self, numbers: Iterable[int]) -> None:
        """Raises UserError if the cache cannot hold these shards together."""
        if self._cache is not None:
            self._cache.demand(self.entries[number] for number in numbers)

    def expect(self, numbers: Iterable[int]) -> None:
        """Starts to bring these shards to this node, in this order."""
        if self._cache is not None:
            self._cache.expect(self.entries[number] for number in numbers)

    def close(self) -> None:
        """Ends the threads. What was read stays valid."""
        if self._cache is not None:
            self._cache.close()
        if self._decoder is not None:
            self._decoder.close()

    def _watched(self, numbers: Numbers) -> dict[int, Shard]:
        """These shards, open, after a look at their files."""
        needed, now = {}, time.monotonic()
        for number in set(numbers.tolist()):
            opened = self._open.get(number)
            if opened is None:
                opened = self._open[number] = self._opened(number)
                if len(self._open) > self._most_open:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(number)
                opened.check(now)
            needed[number] = opened.shard
        return needed

    def _opened(self, number: int) -> "_Opened":
        entry = self.entries[number]
        if self._cache is not None:
            opened = _Opened(self._cache.use(entry, lambda path: open_shard(path, entry, self.manifest)), None)
        else:
            assert self._local is not None
            path = self._local / entry.name
            looked = _look_at(path, entry.bytes)
            opened = _Opened(open_shard(path, entry, self.manifest), looked)
            opened.check(time.monotonic())
        if self._decoder is None:
            self._addresses[number] = opened.shard.pixels.ctypes.data
        return opened


def check_lengths(folder: Path, entries: Iterable[ShardEntry]) -> None:
    """Raises RunError, with its name, for the first of these shards that is missing or of another length."""
    for entry in entries:
        _look_at(folder / entry.name, entry.bytes)


class _Look(NamedTuple):
    """What a file looked like."""

    size: int
    changed: int  # nanoseconds
    number: int


class _Opened:
    """An open shard, and what its file looked like then; None for our own copy, which may be deleted to free space."""

    def __init__(self, shard: Shard, looked: _Look | None) -> None:
        self.shard, self._looked, self._at = shard, looked, 0.0

    def check(self, now: float) -> None:
        """Raises RunError if the file is not the one that was opened."""
        if self._looked is None or now - self._at < LOOK_EVERY:
            return
        if _look_at(self.shard.path, self._looked.size) != self._looked:
            raise RunError(
                f"{self.shard.path}: changed while it was read; leave shards alone while runs use them, and resume"
            )
        self._at = now


def _look_at(path: Path, size: int) -> _Look:
    """Raises RunError if the file is not there or not `size` bytes long."""
    try:
        found = os.stat(path)  # noqa: PTH116  (half the time of Path.stat, and in every batch)
    except OSError as error:
        raise RunError(
            f"{path}: {error.strerror}; put the shard back or convert the data set again, and resume"
        ) from error
    if found.st_size != size:
        raise RunError(f"{path}: {found.st_size} bytes, not {size}; put the shard back or convert again, and resume")
    return _Look(found.st_size, found.st_mtime_ns, found.st_ino)
