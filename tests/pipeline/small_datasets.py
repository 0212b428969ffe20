"""Writes small data sets in raygan's format with random pixels, without a source to convert and without Ray."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from numpy.typing import NDArray

from raygan.sharding.format.images import decode, encode
from raygan.sharding.format.layout import Annotation, Layout
from raygan.sharding.format.manifest import Encoding, Manifest, ShardEntry
from raygan.sharding.format.shard import sha256
from raygan.sharding.format.tar import BLOCK, END, MODE, OWNER, Bytes, padded

ATTRIBUTES = ("Male", "Smiling", "Young")


def write_dataset(
    folder: Path, counts: Sequence[int], size: int = 8, seed: int = 0, lanes: int = 1, encoding: Encoding = "npy"
) -> Path:
    """A data set whose split train has shards of these counts; keys count from 000001 in the order of the shards."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    write = _strided if encoding == "npy" else _encoded
    entries, first = [], 1
    for number, count in enumerate(counts):
        keys = [b"%06d" % key for key in range(first, first + count)]
        images = random.integers(0, 256, (count, size, size, 3), np.uint8)
        values = random.integers(0, 2, (count, len(ATTRIBUTES)), np.uint8)
        data, fields = write(keys, images, values, encoding)
        name = f"train-{number:06d}.tar"
        (folder / name).write_bytes(data)
        entries.append(
            ShardEntry(name=name, split="train", count=count, bytes=len(data), sha256=sha256(data), **fields)
        )
        first += count
    manifest = Manifest.seal(
        identity="random",
        source="random",
        kind="random pixels",
        size=size,
        crop="none",
        resize="bicubic",
        encoding=encoding,
        seed=seed,
        lanes=lanes,
        attributes=ATTRIBUTES,
        key_width=6,
        mean=(127.5, 127.5, 127.5),
        deviation=(74.0, 74.0, 74.0),
        shards=tuple(entries),
    )
    (folder / "manifest.json").write_bytes(manifest.to_bytes())
    return folder


def _strided(keys: list[bytes], images: Bytes, values: Bytes, encoding: Encoding) -> tuple[bytes, dict[str, Any]]:
    layout = Layout("train", images.shape[1], 6, ATTRIBUTES)
    samples = np.zeros((len(images), layout.stride), np.uint8)
    layout.pixels_of(samples)[:] = images
    frames = layout.frames(_columns(keys))
    frames[:, layout.values] += values
    layout.put(samples, frames)
    return samples.tobytes() + END, {"stride": layout.stride}


def _encoded(keys: list[bytes], images: Bytes, values: Bytes, encoding: Encoding) -> tuple[bytes, dict[str, Any]]:
    out, offsets, lengths = io.BytesIO(), [], []
    texts = Annotation("train", 6, ATTRIBUTES).texts(_columns(keys), values, {})
    with webdataset.TarWriter(out, user=OWNER, group=OWNER, mode=MODE, mtime=0, encoder=False) as tar:
        start = 0
        for key, image, text in zip(keys, images, texts, strict=True):
            data = encode(image, encoding)
            tar.write({"__key__": key.decode(), encoding: data, "json": text.tobytes()})
            before = 0 if encoding < "json" else BLOCK + len(text)
            offsets.append(start + before + BLOCK)
            lengths.append(len(data))
            start += 2 * BLOCK + padded(len(data)) + len(text)
    return out.getvalue(), {"offsets": tuple(offsets), "lengths": tuple(lengths)}


def _columns(keys: list[bytes]) -> Bytes:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1)


def stored(folder: Path) -> tuple[NDArray[np.bytes_], NDArray[np.uint8]]:
    """The keys and images of train, read one by one with tarfile: bytes [n], uint8 [n, size, size, 3]."""
    keys, images = [], []
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                if extension != "json":
                    file = tar.extractfile(member)
                    assert file is not None
                    data = file.read()
                    keys.append(key.encode())
                    images.append(np.load(io.BytesIO(data)) if extension == "npy" else decode(data))
    return np.array(keys), np.stack(images)
