"""Shards and an order become batches on the device."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.order import WINDOW, Order
from pipeline.prefetch import Prefetch
from pipeline.shards import Shards
from sharding.errors import UserError

AHEAD = 4


class Batch(NamedTuple):
    """One rank's slice of a global batch."""

    images: Tensor  # uint8 [n, 3, size, size], channels_last, on the reader's device
    position: int  # of the global batch's first image
    attributes: Tensor | None  # uint8 0 or 1 [n, attributes asked for], on the reader's device
    keys: NDArray[np.bytes_] | None  # bytes [n]


class Reader:
    """Yields `rank`'s slice of one global batch after the other, without end, from `position` on.

    The batches are a pure function of the data set, `seed`, `window`, `batch` and the position; `flip` mirrors half of
    the images, which half depends on the position too. A thread stays `ahead` batches ahead.
    """

    def __init__(
        self,
        folder: str,
        split: str,
        batch: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        position: int = 0,
        device: torch.device | str = "cpu",
        flip: bool = False,
        attributes: Sequence[str] = (),
        keys: bool = False,
        window: int = WINDOW,
        ahead: int = AHEAD,
    ) -> None:
        """Raises UserError for what cannot be, RunError for a shard that is missing."""
        if batch < world_size:
            raise UserError(
                f"a batch of {batch} cannot be shared by {world_size} workers; make it {world_size} or more"
            )
        self._shards = Shards(folder, split)
        self._order = Order(self._shards.counts, seed, window, self._shards.manifest.lanes)
        self._order.spans(position, batch, rank, world_size)  # refuses what it cannot slice, here and not in the thread
        self._batch, self._rank, self._world_size, self._flip = batch, rank, world_size, flip
        self._device, self._keys = torch.device(device), keys
        self._columns = _columns(attributes, self._shards.manifest.attributes)
        self._copies = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        name = f"the reader of {folder} ({split}, rank {rank})"
        self._prefetch = Prefetch(self._batches(position), ahead, name)

    @property
    def waited(self) -> float:
        """Seconds that the caller has waited for batches so far."""
        return self._prefetch.waited

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
            batch.images.record_stream(consumer)
        return batch

    def close(self) -> None:
        """Stops the thread. The batches that were taken stay valid."""
        self._prefetch.close()

    def _batches(self, position: int) -> Iterator[tuple[Batch, torch.cuda.Event | None]]:
        while True:
            images, copied = self._uploaded(self._images(position))
            shard, row = self._slice(position)
            attributes = None
            if len(self._columns):
                attributes = torch.from_numpy(self._shards.attributes(shard, row)[:, self._columns]).to(self._device)
            keys = self._shards.keys(shard, row) if self._keys else None
            yield Batch(images.permute(0, 3, 1, 2), position, attributes, keys), copied
            position += self._batch

    def _slice(self, position: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self._order.slice(position, self._batch, self._rank, self._world_size)

    def _images(self, position: int) -> Tensor:
        """This rank's images in host memory, uint8 [n, size, size, 3]; pinned if they go to a GPU."""
        shard, row = self._slice(position)
        size = self._shards.size
        images = torch.empty((len(row), size, size, 3), dtype=torch.uint8, pin_memory=self._copies is not None)
        self._shards.images(shard, row, images.numpy())
        if self._flip:
            mirror(images.numpy(), self._order.coins(position, self._batch, self._rank, self._world_size))
        return images

    def _uploaded(self, images: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
        if self._copies is None:
            return images.to(self._device), None
        with torch.cuda.stream(self._copies):
            uploaded = images.to(self._device, non_blocking=True)
            return uploaded, self._copies.record_event()


def sequential(folder: str, split: str, first: int, count: int, batch: int) -> Iterator[Tensor]:
    """Images first, ..., first + count - 1 of a split in the order of its shards, as uint8 [b, 3, size, size].

    The tensors are on the CPU and channels_last; the last may be smaller. Raises UserError if there are not as many.
    """
    shards = Shards(folder, split)
    ends = shards.counts.cumsum()
    if first < 0 or first + count > ends[-1]:
        raise UserError(f"{folder}: images {first} to {first + count} of {split}, which has {ends[-1]}; ask for fewer")
    size = shards.size
    for start in range(first, first + count, batch):
        places = np.arange(start, min(start + batch, first + count))
        shard = np.searchsorted(ends, places, "right")
        row = places - (ends - shards.counts)[shard]
        images = torch.empty((len(places), size, size, 3), dtype=torch.uint8)
        shards.images(shard.astype(np.int32), row.astype(np.int32), images.numpy())
        yield images.permute(0, 3, 1, 2)


def mirror(images: NDArray[np.uint8], coins: NDArray[np.bool_]) -> None:
    """Flips left and right, in place, the images whose coin is True: uint8 [n, height, width, 3], bool [n]."""
    chosen = images[coins]
    for channel in range(3):  # three strided copies take a quarter of the time of one copy of 3-byte pixels
        images[coins, ..., channel] = chosen[:, :, ::-1, channel]


def _columns(wanted: Sequence[str], known: tuple[str, ...]) -> list[int]:
    for name in wanted:
        if name not in known:
            raise UserError(f"attribute {name}: not in the data set, which has {', '.join(known) or 'none'}")
    return [known.index(name) for name in wanted]
