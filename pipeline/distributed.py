"""One worker among the others: its rank, its share of the work, and the collectives that workers run together.

One process alone is rank 0 of 1; for it no process group is needed, and every collective does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raygan.sharding.errors import RunError

M = TypeVar("M", bound=nn.Module)


class OthersFailedError(RunError):
    """Another rank failed and raised the cause; this one did its share."""


@dataclass(frozen=True)
class DistributedContext:
    """A worker's rank, the world size and its device. With more than one worker a process group must exist."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def current(cls, device: str | torch.device = "cpu") -> DistributedContext:
        """That of torch's default process group; rank 0 of 1 if there is none."""
        grouped = dist.is_available() and dist.is_initialized()
        rank, world_size = (dist.get_rank(), dist.get_world_size()) if grouped else (0, 1)
        return cls(rank, world_size, torch.device(device))

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which alone writes checkpoints and metrics."""
        return self.rank == 0

    # ---- shares

    def share(self, count: int) -> tuple[int, int]:
        """This rank's share of range(count): its first index and its length. The shares of all ranks tile the range."""
        first = count * self.rank // self.world_size
        return first, count * (self.rank + 1) // self.world_size - first

    def micro_batches(self, count: int, number: int) -> list[tuple[int, int]]:
        """This rank's share of range(count) in `number` pieces of nearly one size: each its first index and length."""
        first, own = self.share(count)
        edges = [own * i // number for i in range(number + 1)]
        return [(first + a, b - a) for a, b in pairwise(edges) if b > a]

    def block_share(self, count: int, block: int) -> tuple[int, int]:
        """This rank's share of range(count) as a half-open range, which may be empty.

        It begins at a multiple of `block`: batches of that size then hold the same items on any number of ranks. A
        network rounds differently for batches of another size, so this makes features equal to the last bit.
        """
        blocks = -(-count // block)
        first, end = blocks * self.rank // self.world_size, blocks * (self.rank + 1) // self.world_size
        return min(first * block, count), min(end * block, count)

    # ---- gradients

    def averaging_gradients(self, module: M) -> M | DistributedDataParallel:
        """`module` such that backward leaves the mean of all ranks' gradients. Call it once per backward.

        Buffers are left alone: each rank normalises its own batch, and evaluation recalibrates (models/ema.py).
        """
        if self.world_size == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(
            module, device_ids=devices, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def exchanging(self, module: nn.Module, now: bool) -> AbstractContextManager[None]:
        """Within it, backward exchanges gradients between ranks only if `now`; else they add up on each rank."""
        return nullcontext() if now or not isinstance(module, DistributedDataParallel) else module.no_sync()

    # ---- collectives: every rank calls them, in the same order

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every rank's `values`, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, values: Tensor) -> Tensor:
        """Rank 0's `values`, in place."""
        if self.world_size > 1:
            dist.broadcast(values, 0)
        return values

    def number_of_main(self, number: int) -> int:
        """Rank 0's `number`."""
        return int(self.broadcast(torch.tensor(number, dtype=torch.int64, device=self.device)))

    def any(self, flag: bool) -> bool:
        """Whether it is true on any rank."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def fail_together(self, error: Exception | None) -> None:
        """Raises on every rank if any rank has an error, so that none waits for ever in the next collective."""
        failed = self.sum(torch.tensor([error is not None], dtype=torch.float32, device=self.device))
        if error is not None:
            raise error
        if failed:
            which = f"{int(failed)} of {self.world_size} workers"
            raise OthersFailedError(f"evaluation failed on {which}; their logs say why")

    def computed_by_main(self, compute: Callable[[], Sequence[float]], count: int) -> list[float]:
        """The `count` numbers that `compute` returns on rank 0, on every rank; where it raises, all raise."""
        values, error = torch.zeros(count, dtype=torch.float64, device=self.device), None
        if self.is_main:
            try:
                values = torch.tensor(compute(), dtype=torch.float64, device=self.device)
            except Exception as raised:
                error = raised
        self.fail_together(error)
        return [float(value) for value in self.broadcast(values)]
