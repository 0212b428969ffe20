"""Copies rows from any addresses in memory into one array, in one call."""

import numpy as np
import torch
from numpy.typing import NDArray


def gather(addresses: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Copies `length` bytes from each address, int64 [n], to its row of `out`, uint8 [n, length].

    The memory between the lowest and the highest address is taken as one array of overlapping rows, and rows are
    selected from it; only the selected bytes are read, without the interpreter's lock. A loop over the rows takes two
    to three times as long. The caller keeps the memory at the addresses alive.
    """
    if not len(addresses):
        return
    lowest = int(addresses.min())
    rows = np.asarray(_Rows(lowest, int(addresses.max()) - lowest + 1, out.shape[1]))
    chosen = torch.from_numpy(addresses - lowest)
    torch.index_select(torch.from_numpy(rows), 0, chosen, out=torch.from_numpy(out))


class _Rows:
    """Row i is the `length` bytes at `address` + i. It is declared writable only because torch requires that."""

    def __init__(self, address: int, count: int, length: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "data": (address, False),
            "shape": (count, length),
            "strides": (1, 1),
        }
