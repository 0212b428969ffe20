"""Writes one shard: reads its images, prepares them, and puts them into OUT in one piece. Runs in a worker."""

from typing import TYPE_CHECKING

import numpy as np

from sharding.celeba import Source
from sharding.images import ImageError, crop_centre, decode, resized
from sharding.journal import Journal, Reject, Written
from sharding.manifest import ShardEntry
from sharding.plan import PlannedShard, rows_of
from sharding.shard import END, Bytes, Layout, fill_numbers, moments, sha256

if TYPE_CHECKING:
    from sharding.convert import ShardingOptions


def write_shard(source: Source, journal: Journal, options: "ShardingOptions", shard: PlannedShard) -> Written:
    """Writes a planned shard and its record. Raises OSError if the source cannot be read or OUT not be written."""
    rows = source.starts[shard.split] + rows_of(shard, options.seed, source.block)
    numbers = tuple((name, values.shape[1]) for name, values in source.numbers.items())
    layout = Layout(shard.split, options.size, source.keys.dtype.itemsize, source.attributes, numbers)
    samples = np.zeros((len(rows), layout.stride), np.uint8)
    pixels = layout.pixels_of(samples)
    kept: list[int] = []
    rejects: list[Reject] = []
    for row in rows.tolist():
        try:
            pixels[len(kept)] = prepare(source.read(row), options)
            kept.append(row)
        except ImageError as error:
            rejects.append(Reject(source.names[row].decode(), str(error)))
    samples, pixels = samples[: len(kept)], pixels[: len(kept)]
    layout.put(samples, frames_of(source, layout, np.array(kept, np.int64)))
    journal.folder.write(shard.name, samples, END)
    sums, squares = moments(pixels)
    entry = ShardEntry(
        name=shard.name,
        split=shard.split,
        lane=shard.lane,
        count=len(kept),
        bytes=samples.nbytes + len(END),
        sha256=sha256(samples, END),
        stride=layout.stride,
        sums=sums,
        squares=squares,
    )
    written = Written(identity=journal.identity, entry=entry, rejects=tuple(rejects))
    journal.record(written)
    return written


def prepare(data: bytes, options: "ShardingOptions") -> Bytes:
    """Decodes, crops and resizes one picture to uint8 [size, size, 3]. Raises ImageError."""
    image = crop_centre(decode(data), options.crop, options.upscale)
    return resized(image, options.size, options.resize)


def frames_of(source: Source, layout: Layout, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Bytes:
    """All of the samples but the pixels, for these rows of the source."""
    keys = source.keys[rows].view(np.uint8).reshape(len(rows), -1)
    frames = layout.frames(keys)
    frames[:, layout.values] += source.values[rows]
    for name, columns in layout.numbers.items():
        fill_numbers(frames, columns, source.numbers[name][rows])
    return frames
