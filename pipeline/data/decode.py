"""Decodes the images of encoded shards on a pool of threads.

Measured on one core on 64x64 faces (microseconds): jpg simplejpeg 29, torchvision 49, Pillow 81; png torchvision 122,
Pillow 142; lossless webp torchvision 83, Pillow 128. torchvision deprecated its decoders in 0.29, so png and webp are
Pillow's; shards that are read all the time should be npy anyway.
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
    """Decodes a data set's jpg, png or webp on `threads` threads (default: the CPUs that this process may use)."""

    def __init__(self, manifest: Manifest, threads: int | None = None) -> None:
        self._into = _jpg if manifest.encoding == "jpg" and not manifest.foreign else _any
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, "decode")

    def decode(self, places: Sequence[tuple[Shard, int]], out: Bytes) -> int | None:
        """Decodes the image at each (shard, row) into its place in `out`, uint8 [n, size, size, 3].

        Returns the first one that is damaged or of another size, None if all are whole.
        """

        def strand(first: int) -> int | None:
            for index in range(first, len(places), self._threads):
                try:
                    self._into(*places[index], out[index])
                except ValueError:
                    return index
            return None

        damaged = [index for index in self._pool.map(strand, range(self._threads)) if index is not None]
        return min(damaged, default=None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _any(shard: Shard, row: int, out: Bytes) -> None:
    """png and webp, and pictures of any format and size from shards made elsewhere."""
    image = shard.image(row)
    if image.shape != out.shape:
        raise ValueError("another size")
    out[...] = image


def _jpg(shard: Shard, row: int, out: Bytes) -> None:
    """As raygan.sharding.format.images decodes (the accurate DCT, smooth upsampling), without a copy."""
    data = shard.encoded(row)
    if simplejpeg.decode_jpeg_header(data)[:2] != out.shape[:2]:
        raise ValueError("another size")
    simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, buffer=out)
