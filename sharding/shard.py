"""One shard: a plain ustar WebDataset tar that is also an array.

A sample is KEY.npy (a .npy file of uint8 [size, size, 3]) and KEY.json, padded with spaces so that every sample of a
shard takes the same bytes and every attribute lies in the same column. All that is not pixels or values follows from
the key, so one comparison with what the keys ask for finds any byte that changed.
"""

import functools
import hashlib
import io
import json
import mmap
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharding.errors import RunError
from sharding.manifest import Manifest, ShardEntry, Sums

BLOCK = 512
END = bytes(2 * BLOCK)  # what ends a tar
NUMBER_WIDTH = 6
Bytes = NDArray[np.uint8]


def padded(length: int) -> int:
    """`length` bytes rounded up to whole tar blocks."""
    return -(-length // BLOCK) * BLOCK


class Layout:
    """Where everything lies in the samples of a strided shard.

    A sample is its pixels and a frame around them: two tar headers, the .npy header, padding and the JSON. Columns
    are counted within the frame, whose first `before` bytes come before the pixels.
    """

    def __init__(
        self,
        split: str,
        size: int,
        key_width: int,
        attributes: tuple[str, ...],
        numbers: tuple[tuple[str, int], ...] = (),
    ) -> None:
        npy = io.BytesIO()
        np.lib.format.write_array_header_1_0(npy, {"descr": "|u1", "fortran_order": False, "shape": (size, size, 3)})
        array_header, pixel_bytes = npy.getvalue(), size * size * 3
        array_bytes = len(array_header) + pixel_bytes
        text = Annotation(split, key_width, attributes, numbers)
        self.size, self.key_width, self.before = size, key_width, BLOCK + len(array_header)
        self.pixels = slice(self.before, self.before + pixel_bytes)
        first = header_template(key_width, "npy", array_bytes) + array_header + bytes(padded(array_bytes) - array_bytes)
        second = header_template(key_width, "json", len(text.template))
        self.template = np.frombuffer(first + second + text.template, np.uint8)
        self.stride = len(self.template) + pixel_bytes
        self.headers = (0, len(first))
        json_start = len(first) + BLOCK
        self.keys = (*self.headers, json_start + text.key)
        self.values = json_start + text.values
        self.numbers = {name: json_start + columns for name, columns in text.numbers.items()}

    @classmethod
    def of(cls, manifest: Manifest, split: str) -> "Layout":
        """The layout of a data set's npy shards."""
        assert manifest.size is not None
        return _layout(split, manifest.size, manifest.key_width, manifest.attributes, tuple(manifest.numbers.items()))

    def pixels_of(self, samples: Bytes) -> Bytes:
        """The pixels of `samples`, uint8 [count, size, size, 3], a view."""
        return samples[:, self.pixels].reshape(-1, self.size, self.size, 3)

    def frames(self, keys: Bytes) -> Bytes:
        """The frames, uint8 [count, stride - pixels], for these keys, uint8 [count, width], with values of 0."""
        frames = np.tile(self.template, (len(keys), 1))
        for column in self.keys:
            frames[:, column : column + self.key_width] = keys
        for column in self.headers:
            fill_checksums(frames[:, column : column + BLOCK])
        return frames

    def put(self, samples: Bytes, frames: Bytes) -> None:
        """Writes the frames around the pixels of `samples`, uint8 [count, stride]."""
        samples[:, : self.before] = frames[:, : self.before]
        samples[:, self.pixels.stop :] = frames[:, self.before :]

    def get(self, samples: Bytes) -> Bytes:
        """The frames of `samples`, a copy."""
        return np.concatenate([samples[:, : self.before], samples[:, self.pixels.stop :]], axis=1)

    def differences(self, frames: Bytes) -> NDArray[np.intp]:
        """The samples, by number, whose frame is not the one that its key asks for, or holds a value that cannot be."""
        expected = self.frames(frames[:, : self.key_width])
        expected[:, self.values] |= frames[:, self.values] & 1
        wrong = np.zeros(len(frames), bool)
        for columns in self.numbers.values():
            expected[:, columns] = frames[:, columns]
            wrong |= ~are_numbers(frames[:, columns])
        return np.flatnonzero(wrong | (frames != expected).any(1))


@functools.lru_cache(maxsize=16)
def _layout(
    split: str, size: int, key_width: int, attributes: tuple[str, ...], numbers: tuple[tuple[str, int], ...]
) -> Layout:
    return Layout(split, size, key_width, attributes, numbers)


class Annotation:
    """The JSON of a sample: its text with zeros for key and values, and the columns of what varies."""

    def __init__(
        self, split: str, key_width: int, attributes: tuple[str, ...], numbers: tuple[tuple[str, int], ...] = ()
    ) -> None:
        text = '{"key":"'
        self.key = len(text)
        text += "0" * key_width + f'","split":"{split}"'
        self.numbers: dict[str, NDArray[np.intp]] = {}
        for name, count in numbers:
            text += f",{json.dumps(name)}:" + ("[" if count > 1 else "")
            starts = len(text) + np.arange(count)[:, None] * (NUMBER_WIDTH + 1)
            self.numbers[name] = starts + np.arange(NUMBER_WIDTH)
            text += ",".join([f"{0:{NUMBER_WIDTH}}"] * count) + ("]" if count > 1 else "")
        text += ',"attributes":{'
        columns = []
        for index, name in enumerate(attributes):
            text += ("," if index else "") + json.dumps(name) + ":0"
            columns.append(len(text) - 1)
        self.values = np.array(columns, np.intp)
        text += "}}"
        self.template = (text.ljust(padded(len(text) + 1) - 1) + "\n").encode("ascii")


def header_template(key_width: int, extension: str, length: int) -> bytes:
    """The ustar header of a key of zeros; times and owners are fixed so that bytes do not depend on who writes when."""
    info = tarfile.TarInfo("0" * key_width + "." + extension)
    info.size, info.mode, info.uname, info.gname = length, 0o444, "raygan", "raygan"
    return info.tobuf(tarfile.USTAR_FORMAT)


def fill_checksums(headers: Bytes) -> None:
    """Writes the checksum of each ustar header, uint8 [count, 512]: six octal digits, NUL, space; POSIX 1003.1."""
    headers[:, 148:156] = ord(" ")
    sums = headers.sum(1, dtype=np.uint32)
    headers[:, 154] = 0
    for digit in range(6):
        headers[:, 148 + digit] = ord("0") + ((sums >> np.uint32(3 * (5 - digit))) & 7)


def fill_numbers(samples: Bytes, columns: NDArray[np.intp], values: NDArray[np.int64]) -> None:
    """Writes whole numbers, [count, n], right-justified into their columns, [n, NUMBER_WIDTH], of `samples`."""
    text = np.char.rjust(values.astype("S"), NUMBER_WIDTH)
    samples[:, columns] = np.ascontiguousarray(text).view(np.uint8).reshape(*values.shape, NUMBER_WIDTH)


def are_numbers(text: Bytes) -> NDArray[np.bool_]:
    """Whether each of [count, n, NUMBER_WIDTH] is spaces, a sign perhaps, and digits; True for a sample if all are."""
    blank, digit, sign = text == ord(" "), (text >= 48) & (text <= 57), text == ord("-")
    order = np.where(blank, 0, np.where(sign, 1, np.where(digit, 2, 3)))
    fine = (order[..., -1] == 2) & (np.diff(order, axis=-1) >= 0).all(-1) & (order < 3).all(-1) & (sign.sum(-1) <= 1)
    return fine.all(-1)


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
        sums += few.sum(0, dtype=np.uint32)
        squares += np.square(few, dtype=np.uint16).sum(0, dtype=np.uint32)
    totals = [tuple(int(channel) for channel in grid.sum((0, 1))) for grid in (sums, squares)]
    return (totals[0][0], totals[0][1], totals[0][2]), (totals[1][0], totals[1][1], totals[1][2])


class Shard:
    """An open shard: views into its memory map, nothing copied."""

    def __init__(self, path: Path, entry: ShardEntry, manifest: Manifest) -> None:
        self.path, self.entry = path, entry
        self.data = _map(path, entry)
        self.layout = Layout.of(manifest, entry.split)
        body = self.data[: len(self.data) - len(END)]
        if entry.stride != self.layout.stride or len(body) != entry.count * self.layout.stride:
            raise RunError(
                f"{path}: {entry.count} samples do not fit its {len(self.data)} bytes; convert the data set again"
            )
        self.samples = body.reshape(entry.count, self.layout.stride)
        wrong = self.layout.differences(self.layout.get(self.samples))
        if len(wrong) or self.data[len(body) :].any():
            where = f"sample {wrong[0]}" if len(wrong) else "the end of the file"
            raise RunError(f"{path}: damaged at {where}; delete this file and run `raygan shard` again")

    @property
    def pixels(self) -> Bytes:
        """The images, uint8 [count, size, size, 3], a strided view."""
        return self.layout.pixels_of(self.samples)

    @functools.cached_property
    def keys(self) -> NDArray[np.bytes_]:
        """The keys, bytes 'S<width>' [count]."""
        width = self.layout.key_width
        return np.ascontiguousarray(self.samples[:, :width]).view(f"S{width}")[:, 0]

    @functools.cached_property
    def attributes(self) -> Bytes:
        """The attributes, uint8 0 or 1 [count, attributes]."""
        return _json_columns(self.samples, self.layout, self.layout.values) & np.uint8(1)

    def numbers(self, name: str) -> NDArray[np.int64]:
        """The whole numbers called `name` (identity, landmarks), int64 [count, n]."""
        text = np.ascontiguousarray(_json_columns(self.samples, self.layout, self.layout.numbers[name]))
        return text.view(f"S{NUMBER_WIDTH}")[..., 0].astype(np.int64)


def _json_columns(samples: Bytes, layout: Layout, columns: NDArray[np.intp]) -> Bytes:
    """Columns of the frame that lie after the pixels."""
    return samples[:, columns + (layout.stride - len(layout.template))]


def open_shard(path: Path, entry: ShardEntry, manifest: Manifest) -> Shard:
    """Memory-maps a shard and checks everything in it but the pixels.

    Raises RunError if it is missing, has another length, or differs anywhere from what its keys ask for.
    """
    return Shard(path, entry, manifest)


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
