"""The order of samples: a pure function of (shard counts, seed, window, lanes) and a position.

The position is the only state. So a run continues with any number of workers and any batch size, and still shows every
sample once per epoch. docs/order.md states the guarantees and has test vectors.

Per lane and epoch, the shards are permuted, cut into windows of `window` shards, and the samples of each window are
permuted. Memory is O(shards + samples of a window) for each lane that the caller uses.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raygan.pipeline.config.run import WINDOW
from raygan.sharding.errors import UserError
from raygan.sharding.hashing import hashes, key_of, permutation

# Purposes, folded into the keys: the permutations and the coins are independent. They are frozen, as the hash is.
_SHARDS, _SAMPLES, _COINS = (int.from_bytes(word, "big") for word in (b"shards", b"samples", b"coins"))

Samples = tuple[NDArray[np.int32], NDArray[np.int32]]


class Span(NamedTuple):
    """`size` successive turns of one lane, from turn `first`; the count of a lane's turns continues over epochs."""

    lane: int
    first: int
    size: int


class Order:
    """The order of a split's samples, over any number of epochs.

    `counts` are the numbers of samples in the shards, in the manifest's order. A lane is one of `lanes` equal stretches
    of the split; it may share its first and its last shard with its neighbours. Position q of an epoch belongs to lane
    q mod lanes, and a global batch lists its samples lane by lane. So a worker reads only the lanes that its slice of
    the batch covers, and these are the same in every epoch. Raises UserError for a split without samples.
    """

    def __init__(
        self, counts: Sequence[int] | NDArray[np.int64], seed: int = 0, window: int = WINDOW, lanes: int = 1
    ) -> None:
        self._counts = np.asarray(counts, np.int64)
        self._ends = self._counts.cumsum()
        self.samples = int(self._counts.sum())
        if self.samples == 0 or self._counts.min() < 0:
            raise UserError("the split has no samples to order; convert some, or choose another split")
        if window < 1 or lanes < 1:
            raise UserError(f"window ({window} shards) and lanes ({lanes}) must be at least 1")
        self.seed, self.window, self.lanes = seed, window, min(lanes, self.samples)
        self._opened: dict[int, _Lane] = {}

    def batch(self, position: int, size: int) -> Samples:
        """The global batch of `size` samples at `position`: its shards and the rows in them, int32 [size] each."""
        return self.slice(position, size, 0, 1)

    def slice(self, position: int, size: int, rank: int, world_size: int) -> Samples:
        """The slice of `rank` of `world_size`: elements size*rank//world_size up to size*(rank+1)//world_size."""
        taken = [self._lane(lane).take(first, n) for lane, first, n in self.spans(position, size, rank, world_size)]
        return _joined([shard for shard, _ in taken]), _joined([row for _, row in taken])

    def coins(self, position: int, size: int, rank: int = 0, world_size: int = 1) -> NDArray[np.bool_]:
        """A fair coin for every element of `slice`, bool [n]; it belongs to a turn, whatever batch that is in."""
        spans = self.spans(position, size, rank, world_size)
        words = [hashes(key_of(self.seed, _COINS, lane), first, size) for lane, first, size in spans]
        return np.concatenate([np.empty(0, np.uint64), *words]) >> np.uint64(63) != 0

    def spans(self, position: int, size: int, rank: int = 0, world_size: int = 1) -> list[Span]:
        """The turns that make up a rank's slice of a global batch, in the slice's order."""
        if position < 0 or size < 1 or not 0 <= rank < world_size:
            raise UserError(f"no slice at position {position} of a batch of {size} for rank {rank} of {world_size}")
        low, high = size * rank // world_size, size * (rank + 1) // world_size
        spans, at = [], 0
        for lane in range(self.lanes):
            first = self._turns(position, lane)
            count = self._turns(position + size, lane) - first
            begin, end = max(at, low), min(at + count, high)
            if begin < end:
                spans.append(Span(lane, first + begin - at, end - begin))
            at += count
        return spans

    def upcoming(self, position: int, size: int, rank: int, world_size: int) -> list[int]:
        """The shards that `rank` reads: those of its lanes' current windows, then those of the next windows."""
        spans = self.spans(position, size, rank, world_size)
        lanes = [(self._lane(span.lane), span) for span in spans]
        present = [lane.window_at(span.first) for lane, span in lanes]
        following = [lane.window_at(window.end) for (lane, _), window in zip(lanes, present, strict=True)]
        shards = [lane.shards_of(window) for (lane, _), window in zip(lanes * 2, present + following, strict=True)]
        return list(dict.fromkeys(np.concatenate([np.empty(0, np.int64), *shards]).tolist()))

    def _turns(self, position: int, lane: int) -> int:
        """The number of a lane's turns before `position`."""
        epoch, offset = divmod(position, self.samples)
        return epoch * self._size(lane) + (offset + self.lanes - 1 - lane) // self.lanes

    def _size(self, lane: int) -> int:
        """The number of samples of a lane. The first samples % lanes lanes have one more than the others."""
        return self.samples // self.lanes + (lane < self.samples % self.lanes)

    def _lane(self, number: int) -> "_Lane":
        if number not in self._opened:
            first = number * (self.samples // self.lanes) + min(number, self.samples % self.lanes)
            last = first + self._size(number)
            shards = np.arange(np.searchsorted(self._ends, first, "right"), np.searchsorted(self._ends, last) + 1)
            starts = self._ends[shards] - self._counts[shards]
            rows = np.maximum(first - starts, 0)
            counts = np.minimum(last - starts, self._counts[shards]) - rows
            self._opened[number] = _Lane((self.seed, number), shards, rows, counts, self.window)
        return self._opened[number]


class Window(NamedTuple):
    """Window `number` of a lane in `epoch`: its turns from `start` up to but without `end`."""

    epoch: int
    number: int
    start: int
    end: int


class _Lane:
    """The order of one lane; it keeps the tables of two epochs' shards and of one window's samples."""

    def __init__(
        self,
        key: tuple[int, int],
        shards: NDArray[np.int64],
        rows: NDArray[np.int64],
        counts: NDArray[np.int64],
        window: int,
    ) -> None:
        self._key, self._shards, self._rows, self._counts, self._window = key, shards, rows, counts, window
        self._size = int(counts.sum())
        self._tables = lru_cache(maxsize=2)(self._shard_tables)
        self._open: Window | None = None
        self._samples: Samples

    def take(self, first: int, count: int) -> Samples:
        """The shards and rows of turns first, ..., first + count - 1."""
        shards, rows = [], []
        while count:
            window = self._open
            if window is None or not window.start <= first < window.end:
                window = self._open = self.window_at(first)
                self._samples = self._permuted(window)
            shard, row = self._samples
            part = slice(first - window.start, min(first + count, window.end) - window.start)
            shards.append(shard[part])
            rows.append(row[part])
            first, count = window.start + part.stop, count - (part.stop - part.start)
        return _joined(shards), _joined(rows)

    def window_at(self, turn: int) -> Window:
        """The window that `turn` belongs to."""
        epoch, offset = divmod(turn, self._size)
        _, starts = self._tables(epoch)
        number = int(np.searchsorted(starts, offset, "right")) - 1
        first = turn - offset
        return Window(epoch, number, first + int(starts[number]), first + int(starts[number + 1]))

    def shards_of(self, window: Window) -> NDArray[np.int64]:
        """The shards of a window; their order has no meaning."""
        return self._shards[self._pieces(window)]

    def _shard_tables(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lane's shards in the order of an epoch, and the turn of that epoch at which each window starts."""
        seed, lane = self._key
        order = permutation(key_of(seed, _SHARDS, lane, epoch), len(self._shards))
        edges = np.arange(0, len(order) + self._window, self._window).clip(max=len(order))
        return order, np.concatenate([np.zeros(1, np.int64), self._counts[order].cumsum()])[edges]

    def _pieces(self, window: Window) -> NDArray[np.int64]:
        order, _ = self._tables(window.epoch)
        return order[window.number * self._window : (window.number + 1) * self._window]

    def _permuted(self, window: Window) -> Samples:
        pieces = self._pieces(window)
        counts = self._counts[pieces]
        seed, lane = self._key
        shuffled = permutation(key_of(seed, _SAMPLES, lane, window.epoch, window.number), int(counts.sum()))
        ends = counts.cumsum()
        piece = np.searchsorted(ends, shuffled, "right")
        row = shuffled - (ends - counts)[piece] + self._rows[pieces][piece]
        return self._shards[pieces][piece].astype(np.int32), row.astype(np.int32)


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts) if parts else np.empty(0, np.int32)
