"""The few collectives that evaluation needs; in a single process, without a process group, each does nothing."""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from raygan.sharding.errors import RunError


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


class OthersFailedError(RunError):
    """This rank did its share; another one did not, and raised what went wrong there."""


def share(count: int, block: int) -> tuple[int, int]:
    """The half-open range of sample indices, out of `count`, that belongs to this rank; it may be empty.

    It begins at a multiple of `block`: batches then hold the same images on any number of ranks. A network rounds
    differently for batches of another size, so this makes features, and scores, equal to the last bits.
    """
    blocks = -(-count // block)
    first, end = blocks * rank() // world_size(), blocks * (rank() + 1) // world_size()
    return min(first * block, count), min(end * block, count)


def add_up(tensor: Tensor) -> None:
    """Replaces `tensor` on every rank by its sum over the ranks."""
    if world_size() > 1:
        dist.all_reduce(tensor)


def from_first(tensor: Tensor) -> None:
    """Replaces `tensor` on every rank by rank 0's."""
    if world_size() > 1:
        dist.broadcast(tensor, 0)


def fail_together(error: Exception | None, device: torch.device) -> None:
    """Raises on every rank if any rank has an error, so that none waits for ever in the next collective."""
    failed = torch.tensor([error is not None], dtype=torch.float32, device=device)
    add_up(failed)
    if error is not None:
        raise error
    if failed:
        raise OthersFailedError(f"evaluation failed on {int(failed)} of {world_size()} workers; their logs say why")


def known_to_all(compute: Callable[[], Sequence[float]], count: int, device: torch.device) -> list[float]:
    """The `count` numbers that `compute` gives on rank 0, on every rank; where it raises, all raise."""
    values, error = torch.zeros(count, dtype=torch.float64, device=device), None
    if rank() == 0:
        try:
            values = torch.tensor(compute(), dtype=torch.float64, device=device)
        except Exception as raised:
            error = raised
    fail_together(error, device)
    from_first(values)
    return [float(value) for value in values]
