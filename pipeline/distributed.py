"""Where one worker stands among the others; one process alone is rank 0 of 1."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class DistributedContext:
    """A worker's rank, the world size and its device. With more than one worker a process group must exist."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> tuple[int, int]:
        """The first index and the number of indices of range(count) that are this rank's; all ranks' tile it."""
        first = count * self.rank // self.world_size
        return first, count * (self.rank + 1) // self.world_size - first

    def parts(self, count: int, number: int) -> list[tuple[int, int]]:
        """This rank's share of range(count) in `number` parts of nearly one size: each its first index and length."""
        first, own = self.share(count)
        edges = [own * i // number for i in range(number + 1)]
        return [(first + a, b - a) for a, b in pairwise(edges) if b > a]

    def averaging_gradients(self, module: M) -> M | DistributedDataParallel:
        """`module` such that backward leaves the mean of all ranks' gradients. Call it once per backward.

        Buffers are left alone: each rank normalises its own batch, and evaluation recalibrates (averaging.py).
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

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every rank's `values`, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def from_first(self, number: int) -> int:
        """Rank 0's `number`."""
        shared = torch.tensor(number, dtype=torch.int64, device=self.device)
        if self.world_size > 1:
            dist.broadcast(shared, 0)
        return int(shared)

    def any(self, wish: bool) -> bool:
        """Whether any rank wishes it; all get the same answer."""
        return bool(self.sum(torch.tensor(float(wish), device=self.device)) > 0)
