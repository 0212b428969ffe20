"""A whole split in the memory of the device: batches are gathered there, in the same order, with the same bytes."""

import psutil
import torch
from torch import Tensor

from raygan.pipeline.data.shards import Numbers, Shards
from raygan.sharding.errors import UserError

CHUNK = 4096  # images read at a time while the split is loaded
LARGEST_SHARE = 0.8  # of the device's free memory


class DeviceCache:
    """The images of a split as one uint8 tensor [samples, size, size, 3] on `device`."""

    def __init__(self, shards: Shards, device: torch.device) -> None:
        """Loads the split. Raises UserError if it does not fit into the free memory."""
        samples, size = int(shards.counts.sum()), shards.size
        needed, free = samples * size * size * 3, _free(device)
        if needed > LARGEST_SHARE * free:
            raise UserError(
                f"`cache` device: the split takes {needed / 1e9:.1f} GB and {device} has {free / 1e9:.1f} GB free; "
                "use `cache` none"
            )
        self._starts = shards.counts.cumsum() - shards.counts
        self._images = torch.empty((samples, size, size, 3), dtype=torch.uint8, device=device)
        for first in range(0, samples, CHUNK):
            images = shards.read_rows(first, min(CHUNK, samples - first))
            self._images[first : first + len(images)] = torch.from_numpy(images).to(device)

    def images(self, shard: Numbers, row: Numbers) -> Tensor:
        """The images at these shards and rows, uint8 [n, size, size, 3] on the device."""
        return self._images.index_select(0, torch.from_numpy(self._starts[shard] + row).to(self._images.device))


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
