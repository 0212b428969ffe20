"""Decodes the images of encoded shards on a pool of threads.

Measured on one core on 64x64 faces (microseconds): jpg simplejpeg 29, torchvision 49, Pillow 81; png torchvision 122,
Pillow 142; lossless webp torchvision 83, Pillow 128. torchvision deprecated its decoders in 0.29, so Pillow decodes
png and webp. Shards that are read for training should be npy.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from raygan.sharding.format.manifest import Manifest
from raygan.sharding.format.shard import Shard

Bytes = NDArray[np.uint8]


class Decoder:
    """Decodes the images of a data set on `threads` threads (default: the number of CPUs that this process may use)."""

    def __init__(self, manifest: Manifest, threads: int | None = None) -> None:
        self._into = _jpg if manifest.encoding == "jpg" and not manifest.foreign else _any
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, "decode")

    def decode(self, samples: Sequence[tuple[Shard, int]], out: Bytes) -> int | None:
        """Decodes the image of each sample (shard, row) into its row of `out`, uint8 [n, size, size, 3].

        Returns the index of the first image that is damaged or of another size, None if there is none.
        """

        def decode_every_nth(first: int) -> int | None:
            for index in range(first, len(samples), self._threads):
                try:
                    self._into(*samples[index], out[index])
                except ValueError:
                    return index
            return None

        damaged = [index for index in self._pool.map(decode_every_nth, range(self._threads)) if index is not None]
        return min(damaged, default=None)

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _any(shard: Shard, row: int, out: Bytes) -> None:
    """png and webp, and images of any format and size from shards that another program wrote."""
    image = shard.image(row)
    if image.shape != out.shape:
        raise ValueError("another size")
    out[...] = image


def _jpg(shard: Shard, row: int, out: Bytes) -> None:
    """Decodes as raygan.sharding.format.images does (accurate DCT, smooth upsampling), but without a copy."""
    data = shard.encoded(row)
    if simplejpeg.decode_jpeg_header(data)[:2] != out.shape[:2]:
        raise ValueError("another size")
    simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, buffer=out)
