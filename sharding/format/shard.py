"""One shard: a plain ustar WebDataset tar that is also an array.

With the encoding npy every sample of a shard takes the same bytes, so the open shard is one strided array. With jpg,
png and webp samples vary in size, and the manifest says where each image is.
"""

import functools
import hashlib
import mmap
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.errors import RunError
from raygan.sharding.format.images import crop_centre, decode, resized
from raygan.sharding.format.layout import Annotation, Layout, read_numbers
from raygan.sharding.format.manifest import Crop, Manifest, ShardEntry, Sums
from raygan.sharding.format.tar import BLOCK, END, Bytes, are_valid, headers

AGAIN = "delete this file and run `raygan shard` again"


def sha256(*parts: Any) -> str:
    """SHA-256 of the bytes-like parts, hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def moments(pixels: Bytes) -> tuple[Sums, Sums]:
    """Sum and sum of squares of each channel of uint8 [count, height, width, 3], exact."""
    sums, squares = np.zeros((2, *pixels.shape[1:]), np.uint64)
    for start in range(0, len(pixels), 16):  # as many as stay in the cache
        few = pixels[start : start + 16]
        sums += few.sum(0, dtype=np.uint16)
        squares += np.square(few, dtype=np.uint16).sum(0, dtype=np.uint32)
    totals = [tuple(int(channel) for channel in grid.sum((0, 1))) for grid in (sums, squares)]
    return (totals[0][0], totals[0][1], totals[0][2]), (totals[1][0], totals[1][1], totals[1][2])


class Shard(ABC):
    """An open shard: views into its memory map. Its headers and its JSON were checked on opening."""

    keys: NDArray[np.bytes_]  # 'S<width>' [count]

    def __init__(self, path: Path, entry: ShardEntry, data: Bytes, manifest: Manifest) -> None:
        self.path, self.entry, self.data, self.manifest = path, entry, data, manifest
        self.crop: Crop = manifest.crop if manifest.foreign else "none"  # of the stored image, when it is read

    def __len__(self) -> int:
        return self.entry.count

    @property
    def pixels(self) -> Bytes:
        """The images, uint8 [count, size, size, 3], a strided view; TypeError where they are encoded."""
        raise TypeError(f"{self.path}: its images are encoded: use encoded(row)")

    def image(self, row: int) -> Bytes:
        """One image, decoded, cropped and resized where need be, as uint8 [size, size, 3]; ImageError if damaged."""
        image = decode(bytes(self.encoded(row)))
        return resized(crop_centre(image, self.crop, upscale=True), self.manifest.size, self.manifest.resize)

    @abstractmethod
    def encoded(self, row: int) -> memoryview:
        """The bytes of one image as they are in the tar: a .npy, .jpg, .png or .webp file, not copied."""

    @property
    @abstractmethod
    def _texts(self) -> tuple[Annotation, Bytes]:
        """The JSON of every sample, uint8 [count, length], and the columns of what varies in it."""

    @functools.cached_property
    def attributes(self) -> Bytes:
        """The attributes, uint8 0 or 1 [count, attributes]."""
        annotation, texts = self._texts
        return texts[:, annotation.values] & np.uint8(1)

    def numbers(self, name: str) -> NDArray[np.int64]:
        """The whole numbers called `name` (identity, landmarks), int64 [count, n]."""
        annotation, texts = self._texts
        return read_numbers(texts, annotation.numbers[name])


class StridedShard(Shard):
    """A shard of .npy images: one array."""

    def __init__(self, path: Path, entry: ShardEntry, data: Bytes, manifest: Manifest) -> None:
        super().__init__(path, entry, data, manifest)
        self.layout = Layout.of(manifest, entry.split)
        body = data[: len(data) - len(END)]
        if entry.stride != self.layout.stride or len(body) != entry.count * self.layout.stride:
            raise RunError(f"{path}: {entry.count} samples do not fill its {len(data)} bytes; {AGAIN}")
        self.samples = body.reshape(entry.count, self.layout.stride)
        wrong = self.layout.differences(self.layout.get(self.samples))
        if len(wrong) or data[len(body) :].any():
            raise RunError(f"{path}: damaged at {f'sample {wrong[0]}' if len(wrong) else 'its end'}; {AGAIN}")
        width = self.layout.key_width
        self.keys = np.ascontiguousarray(self.samples[:, :width]).view(f"S{width}")[:, 0]

    @property
    def pixels(self) -> Bytes:
        """The images, uint8 [count, size, size, 3], a strided view into the memory map."""
        return self.layout.pixels_of(self.samples)

    def image(self, row: int) -> Bytes:
        """One image, uint8 [size, size, 3], a view."""
        return self.pixels[row]

    def encoded(self, row: int) -> memoryview:
        """The bytes of one image's .npy file, not copied."""
        return self.samples[row, BLOCK : self.layout.pixels.stop].data

    @property
    def _texts(self) -> tuple[Annotation, Bytes]:
        annotation = self.layout.annotation
        return annotation, self.samples[:, self.layout.stride - len(annotation.template) :]


class EncodedShard(Shard):
    """A shard of encoded images, each where the manifest says."""

    def __init__(self, path: Path, entry: ShardEntry, data: Bytes, manifest: Manifest) -> None:
        super().__init__(path, entry, data, manifest)
        self.offsets = np.array(entry.offsets or (), np.int64)
        self.lengths = np.array(entry.lengths or (), np.int64)
        self.remedy = "fetch it again" if manifest.foreign else AGAIN
        ends = self.offsets + self.lengths
        if len(self.offsets) != entry.count or len(self.lengths) != entry.count:
            raise RunError(f"{path}: its manifest lacks offsets; {self.remedy}")
        if entry.count and (self.offsets.min() < BLOCK or ends.max() > len(data)):
            raise RunError(f"{path}: its images are not where the manifest says; {self.remedy}")
        if manifest.foreign:
            wrong = self._foreign_differences()
        else:
            self._annotation = Annotation.of(manifest, entry.split)
            wrong = self._differences(manifest)
        if wrong.any():
            raise RunError(f"{path}: damaged at sample {np.flatnonzero(wrong)[0]}; {self.remedy}")

    def _foreign_differences(self) -> NDArray[np.bool_]:
        """The samples with a damaged header; sets their keys, which may differ in length."""
        found = self._blocks(self.offsets - BLOCK)
        names = np.ascontiguousarray(found[:, :100]).view("S100")[:, 0]
        self.keys = np.array([name.rpartition(b".")[0] for name in names.tolist()], np.bytes_)
        return ~are_valid(found)

    def _differences(self, manifest: Manifest) -> NDArray[np.bool_]:
        """The samples whose header or JSON does not follow from the key and the length."""
        width, length = manifest.key_width, len(self._annotation.template)
        found = self._blocks(self.offsets - BLOCK)
        keys = found[:, :width]
        self.keys = np.ascontiguousarray(keys).view(f"S{width}")[:, 0]
        first = manifest.encoding < "json"  # the members of a sample are sorted by extension
        self._json = (
            self.offsets + -(-self.lengths // BLOCK) * BLOCK + BLOCK if first else self.offsets - BLOCK - length
        )
        if len(self) and (self._json.min() < BLOCK or self._json.max() + length > len(self.data)):
            raise RunError(f"{self.path}: its annotations are not where the manifest says; {self.remedy}")
        wrong = (found != headers(keys, manifest.encoding, self.lengths)).any(1)
        lengths = np.full(len(self), length, np.int64)
        wrong |= (self._blocks(self._json - BLOCK) != headers(keys, "json", lengths)).any(1)
        return wrong | self._annotation.differences(self._texts[1], keys)

    def _blocks(self, starts: NDArray[np.int64], length: int = BLOCK) -> Bytes:
        return self.data[starts[:, None] + np.arange(length)]

    def encoded(self, row: int) -> memoryview:
        """The bytes of one image's file, not copied."""
        start = self.offsets[row]
        return self.data[start : start + self.lengths[row]].data

    @property
    def _texts(self) -> tuple[Annotation, Bytes]:
        if self.manifest.foreign:
            raise TypeError(f"{self.path}: annotations of shards made elsewhere are not read")
        return self._annotation, self._blocks(self._json, len(self._annotation.template))

    @functools.cached_property
    def attributes(self) -> Bytes:
        """The attributes, uint8 0 or 1 [count, attributes]; none in shards made elsewhere."""
        if self.manifest.foreign:
            return np.zeros((len(self), 0), np.uint8)
        return super().attributes


def open_shard(path: Path, entry: ShardEntry, manifest: Manifest) -> Shard:
    """Memory-maps a shard and checks everything in it but the images.

    Raises RunError if it is missing, has another length, or if a header or an annotation does not follow from its key.
    """
    kind = EncodedShard if entry.stride is None else StridedShard
    return kind(path, entry, _map(path, entry), manifest)


def _map(path: Path, entry: ShardEntry) -> Bytes:
    try:
        with path.open("rb") as file:
            data = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError as error:
        raise RunError(f"{path}: missing; run `raygan shard` again, which writes only what is missing") from error
    except ValueError as error:
        raise RunError(f"{path}: empty; delete it and run `raygan shard` again") from error
    if len(data) != entry.bytes:
        raise RunError(f"{path}: {len(data)} bytes, not {entry.bytes}; delete it and run `raygan shard` again")
    return data
