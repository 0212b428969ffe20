"""Shards and an order become batches on the device."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.device_cache import DeviceCache
from raygan.pipeline.data.flip import flipped
from raygan.pipeline.data.order import WINDOW, Order
from raygan.pipeline.data.prefetch import Prefetch
from raygan.pipeline.data.shards import Numbers, Shards
from raygan.sharding.errors import UserError

AHEAD = 4


class Batch(NamedTuple):
    """One rank's slice of a global batch."""

    images: Tensor  # uint8 [n, 3, size, size], channels_last, on the reader's device
    position: int  # of the global batch's first image
    attributes: Tensor | None  # uint8 0 or 1 [n, attributes asked for], on the reader's device


class Reader:
    """Yields `rank`'s slice of one global batch after the other, without end, from `position` on.

    The batches are a pure function of the data set, `seed`, `window`, `batch` and the position; `flip` flips half of
    the images left to right, and the order determines which. A thread stays `ahead` batches ahead. cache="device" loads
    the whole split into the device's memory first, and changes nothing else.
    """

    def __init__(
        self,
        data: DataSet,
        split: str,
        batch: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        position: int = 0,
        device: torch.device | str = "cpu",
        flip: bool = False,
        attributes: Sequence[str] = (),
        window: int = WINDOW,
        cache: Literal["none", "device"] = "none",
        ahead: int = AHEAD,
    ) -> None:
        """Raises UserError for arguments that do not fit each other or the data set, RunError for a missing shard."""
        if batch < world_size:
            raise UserError(
                f"a batch of {batch} cannot be shared by {world_size} workers; make it {world_size} or more"
            )
        self._shards = Shards(data, split)
        self._order = Order(self._shards.counts, seed, window, self._shards.manifest.lanes)
        self._batch, self._rank, self._world_size, self._flip = batch, rank, world_size, flip
        lanes = len(self._order.spans(*self._slice_at(position)))
        self._shards.demand(self._order.upcoming(*self._slice_at(position))[: window * lanes])
        self._columns = _columns(attributes, self._shards.manifest.attributes)
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._device_cache = DeviceCache(self._shards, self._device) if cache == "device" else None
        self._count = batch * (rank + 1) // world_size - batch * rank // world_size
        self._position = position
        name = f"the reader of {data} ({split}, rank {rank})"
        self._prefetch = Prefetch(self._next_batch, self._empty, ahead, name)

    @property
    def waited(self) -> float:
        """Seconds that the caller has waited for batches so far."""
        return self._prefetch.waited

    @property
    def ready(self) -> int:
        """Batches that can be taken without waiting, at most `ahead`."""
        return self._prefetch.ready

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """The next batch. Raises RunError, with the shard's name, as soon as one cannot be read."""
        batch, copied = next(self._prefetch)
        if copied is not None:
            consumer = torch.cuda.current_stream(self._device)
            consumer.wait_event(copied)
            for tensor in (batch.images, batch.attributes):
                if tensor is not None:
                    tensor.record_stream(consumer)
        return batch

    def close(self) -> None:
        """Stops the threads. The batches that were taken stay valid."""
        self._prefetch.close()
        self._shards.close()

    def _empty(self) -> Tensor:
        """Host memory for a slice, uint8 [n, size, size, 3]; pinned if it goes to a GPU."""
        count = 0 if self._device_cache is not None else self._count
        shape = (count, self._shards.size, self._shards.size, 3)
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self._stream is not None)

    def _next_batch(self, host: Tensor) -> tuple[Batch, torch.cuda.Event | None]:
        position, self._position = self._position, self._position + self._batch
        if self._shards.remote:
            self._shards.expect(self._order.upcoming(*self._slice_at(position)))
        shard, row = self._order.slice(*self._slice_at(position))
        coins = self._order.coins(*self._slice_at(position)) if self._flip else None
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            images = self._images(shard, row, host)
            if coins is not None:
                images = flipped(images, coins)
            attributes = self._attributes(shard, row) if self._columns else None
        copied = self._stream.record_event() if self._stream else None
        return Batch(images.permute(0, 3, 1, 2), position, attributes), copied

    def _slice_at(self, position: int) -> tuple[int, int, int, int]:
        return position, self._batch, self._rank, self._world_size

    def _images(self, shard: Numbers, row: Numbers, host: Tensor) -> Tensor:
        """This rank's images on the device, uint8 [n, size, size, 3]."""
        if self._device_cache is not None:
            return self._device_cache.images(shard, row)
        self._shards.images(shard, row, host.numpy())
        return host.to(self._device, non_blocking=True)

    def _attributes(self, shard: Numbers, row: Numbers) -> Tensor:
        values = torch.from_numpy(self._shards.attributes(shard, row)[:, self._columns])
        return values.to(self._device)


def sequential(data: DataSet, split: str, first: int, count: int, batch: int) -> Iterator[Tensor]:
    """Images first, ..., first + count - 1 of a split in the order of its shards, as uint8 [b, 3, size, size].

    The tensors are on the CPU and channels_last; the last may be smaller. Raises UserError if there are not as many.
    """
    shards = Shards(data, split)
    samples = int(shards.counts.sum())
    if first < 0 or first + count > samples:
        raise UserError(f"{data}: images {first} to {first + count} of {split}, which has {samples}; ask for fewer")
    try:
        for start in range(first, first + count, batch):
            images = shards.read_rows(start, min(batch, first + count - start))
            yield torch.from_numpy(images).permute(0, 3, 1, 2)
    finally:
        shards.close()


def attribute_rows(data: DataSet, names: Sequence[str], count: int) -> Tensor:
    """The attributes of `count` training images spread evenly over the data set, as uint8 0 or 1 [count, names].

    Raises UserError for an attribute that the data set does not have.
    """
    shards = Shards(data, "train")
    columns = _columns(names, shards.manifest.attributes)
    try:
        ends = shards.counts.cumsum()
        chosen = np.arange(count) * int(ends[-1]) // count
        shard = np.searchsorted(ends, chosen, side="right")
        row = chosen - (ends - shards.counts)[shard]
        values = shards.attributes(shard.astype(np.int32), row.astype(np.int32))
    finally:
        shards.close()
    return torch.from_numpy(values[:, columns])


def _columns(wanted: Sequence[str], known: tuple[str, ...]) -> list[int]:
    for name in wanted:
        if name not in known:
            raise UserError(f"attribute {name}: not in the data set, which has {', '.join(known) or 'none'}")
    return [known.index(name) for name in wanted]
