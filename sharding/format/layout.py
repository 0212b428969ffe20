"""The layout of a sample: KEY.npy (or another picture) and KEY.json.

The JSON is padded with spaces so that every sample of a shard takes the same bytes, and every value is in the same
column of it. All that is neither pixels nor values follows from the key, so one comparison with what follows from the
keys finds any byte that changed.
"""

import functools
import io
import json

import numpy as np
from numpy.typing import NDArray

from raygan.sharding.format.manifest import Manifest
from raygan.sharding.format.tar import BLOCK, Bytes, fill_checksums, header_template, padded

NUMBER_WIDTH = 6
Numbers = tuple[tuple[str, int], ...]


class Annotation:
    """The JSON of a sample: its text with zeros for key and values, and the columns of what varies."""

    def __init__(self, split: str, key_width: int, attributes: tuple[str, ...], numbers: Numbers = ()) -> None:
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
        self.template: bytes = (text.ljust(padded(len(text) + 1) - 1) + "\n").encode("ascii")

    @classmethod
    def of(cls, manifest: Manifest, split: str) -> "Annotation":
        """The JSON of a data set's samples."""
        return cls(split, manifest.key_width, manifest.attributes, tuple(manifest.numbers.items()))

    def texts(self, keys: Bytes, values: Bytes, numbers: dict[str, NDArray[np.int64]]) -> Bytes:
        """The JSON, uint8 [count, length], of samples: keys uint8 [count, width], values 0 or 1 [count, attributes]."""
        texts = np.tile(np.frombuffer(self.template, np.uint8), (len(keys), 1))
        texts[:, self.key : self.key + keys.shape[1]] = keys
        texts[:, self.values] += values
        for name, columns in self.numbers.items():
            fill_numbers(texts, columns, numbers[name])
        return texts

    def differences(self, texts: Bytes, keys: Bytes) -> NDArray[np.bool_]:
        """Which of these texts, uint8 [count, length], are not the JSON of these keys, whatever their values."""
        expected = np.tile(np.frombuffer(self.template, np.uint8), (len(keys), 1))
        expected[:, self.key : self.key + keys.shape[1]] = keys
        expected[:, self.values] |= texts[:, self.values] & 1
        wrong = np.zeros(len(texts), bool)
        for columns in self.numbers.values():
            expected[:, columns] = texts[:, columns]
            wrong |= ~are_numbers(texts[:, columns])
        return wrong | (texts != expected).any(1)


class Layout:
    """The layout of the samples of a strided shard.

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
        text = self.annotation = Annotation(split, key_width, attributes, numbers)
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

    @classmethod
    def of(cls, manifest: Manifest, split: str) -> "Layout":
        """The layout of a data set's npy shards."""
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
        """The samples, by number, whose frame does not follow from its key, or holds an impossible value."""
        keys, end = frames[:, : self.key_width], len(self.template) - len(self.annotation.template)
        wrong = self.annotation.differences(frames[:, end:], keys)
        return np.flatnonzero(wrong | (frames[:, :end] != self.frames(keys)[:, :end]).any(1))


@functools.lru_cache(maxsize=16)
def _layout(
    split: str, size: int, key_width: int, attributes: tuple[str, ...], numbers: tuple[tuple[str, int], ...]
) -> Layout:
    return Layout(split, size, key_width, attributes, numbers)


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


def read_numbers(texts: Bytes, columns: NDArray[np.intp]) -> NDArray[np.int64]:
    """The whole numbers, int64 [count, n], in these columns, [n, NUMBER_WIDTH], of `texts`."""
    digits = np.ascontiguousarray(texts[:, columns])
    return digits.view(f"S{NUMBER_WIDTH}")[..., 0].astype(np.int64)
