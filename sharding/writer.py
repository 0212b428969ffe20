"""Writes one shard: reads its images, prepares them, and writes them to OUT as one file. Runs in a worker."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.format.images import ImageError, crop_centre, decode, encode, resized
from raygan.sharding.format.layout import Annotation, Layout
from raygan.sharding.format.manifest import ShardEntry
from raygan.sharding.format.shard import moments, sha256
from raygan.sharding.format.tar import BLOCK, END, MODE, OWNER, Bytes, padded
from raygan.sharding.journal import Journal, Written
from raygan.sharding.options import ShardingOptions
from raygan.sharding.plan import PlannedShard, rows_of
from raygan.sharding.sources.source import Reject, Source


def write_shard(source: Source, journal: Journal, options: ShardingOptions, shard: PlannedShard) -> Written:
    """Writes a planned shard and its record. Raises OSError if the source cannot be read or OUT not be written."""
    rows = source.starts[shard.split] + rows_of(shard, options.seed, source.block)
    write = _write_strided if options.encoding == "npy" else _write_encoded
    entry, rejects = write(source, journal, options, shard, rows.tolist())
    written = Written(identity=journal.identity, entry=entry, rejects=tuple(rejects))
    journal.record(written)
    return written


def _write_strided(
    source: Source, journal: Journal, options: ShardingOptions, shard: PlannedShard, rows: list[int]
) -> tuple[ShardEntry, list[Reject]]:
    width, numbers = source.keys.dtype.itemsize, source.number_counts
    layout = Layout(shard.split, options.size, width, source.attributes, numbers)
    samples = np.zeros((len(rows), layout.stride), np.uint8)
    pixels = layout.pixels_of(samples)
    kept: list[int] = []
    rejects: list[Reject] = []
    for row, image in _images(source, options, shard, rows, rejects):
        pixels[len(kept)] = image
        kept.append(row)
    samples, pixels = samples[: len(kept)], pixels[: len(kept)]
    frames = layout.frames(source.keys_at(kept))
    frames[:, -len(layout.annotation.template) :] = _texts(source, layout.annotation, kept)
    layout.put(samples, frames)
    journal.folder.write(shard.name, samples, END)
    return _entry(shard, pixels, sha256(samples, END), samples.nbytes + len(END), stride=layout.stride), rejects


def _write_encoded(
    source: Source, journal: Journal, options: ShardingOptions, shard: PlannedShard, rows: list[int]
) -> tuple[ShardEntry, list[Reject]]:
    """Members vary in size: webdataset's own writer writes them, with fixed times and owners."""
    import webdataset

    pixels = np.empty((len(rows), options.size, options.size, 3), np.uint8)
    annotation = Annotation(shard.split, source.keys.dtype.itemsize, source.attributes, source.number_counts)
    kept: list[int] = []
    rejects: list[Reject] = []
    for row, image in _images(source, options, shard, rows, rejects):
        pixels[len(kept)] = image
        kept.append(row)
    pixels = pixels[: len(kept)]
    offsets, lengths = [], []
    out = io.BytesIO()
    with webdataset.TarWriter(out, user=OWNER, group=OWNER, mode=MODE, mtime=0, encoder=False) as tar:
        start = 0
        for key, image, text in zip(source.keys[kept].tolist(), pixels, _texts(source, annotation, kept), strict=True):
            data, json = encode(image, options.encoding), text.tobytes()
            tar.write({"__key__": key.decode(), options.encoding: data, "json": json})
            before = 0 if options.encoding < "json" else BLOCK + len(json)  # members are sorted by extension
            offsets.append(start + before + BLOCK)
            lengths.append(len(data))
            start += 2 * BLOCK + padded(len(data)) + len(json)
    whole = out.getbuffer()
    journal.folder.write(shard.name, whole)
    return _entry(shard, pixels, sha256(whole), len(whole), offsets=tuple(offsets), lengths=tuple(lengths)), rejects


def _images(
    source: Source, options: ShardingOptions, shard: PlannedShard, rows: list[int], rejects: list[Reject]
) -> Iterator[tuple[int, Bytes]]:
    """The usable images of these rows; the others are added to `rejects`."""
    for row in rows:
        try:
            yield row, prepare(source.read(row), options)
        except ImageError as error:
            rejects.append(Reject(source.names[row].decode(), str(error), shard.name))


def prepare(data: bytes, options: ShardingOptions) -> Bytes:
    """Decodes, crops and resizes one picture to uint8 [size, size, 3]. Raises ImageError."""
    image = crop_centre(decode(data), options.crop, options.upscale)
    return resized(image, options.size, options.resize)


def _texts(source: Source, annotation: Annotation, rows: list[int]) -> Bytes:
    numbers: dict[str, NDArray[np.int64]] = {name: values[rows] for name, values in source.numbers.items()}
    return annotation.texts(source.keys_at(rows), source.values[rows], numbers)


def _entry(
    shard: PlannedShard,
    pixels: Bytes,
    digest: str,
    length: int,
    stride: int | None = None,
    offsets: tuple[int, ...] | None = None,
    lengths: tuple[int, ...] | None = None,
) -> ShardEntry:
    sums, squares = moments(pixels)
    return ShardEntry(
        name=shard.name,
        split=shard.split,
        count=len(pixels),
        bytes=length,
        sha256=digest,
        stride=stride,
        offsets=offsets,
        lengths=lengths,
        sums=sums,
        squares=squares,
    )
