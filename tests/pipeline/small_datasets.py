"""Writes small data sets in raygan's format with random pixels, without a source to convert and without Ray."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sharding.manifest import Manifest, ShardEntry
from sharding.shard import END, Layout, sha256

ATTRIBUTES = ("Male", "Smiling", "Young")


def write_dataset(folder: Path, counts: Sequence[int], size: int = 8, seed: int = 0, lanes: int = 1) -> Path:
    """A data set whose split train has shards of these counts; keys count from 000001 in the order of the shards."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    layout = Layout("train", size, 6, ATTRIBUTES)
    entries, first = [], 1
    for number, count in enumerate(counts):
        keys = np.array([b"%06d" % key for key in range(first, first + count)]).reshape(-1, 1).view(np.uint8)
        samples = np.zeros((count, layout.stride), np.uint8)
        layout.pixels_of(samples)[:] = random.integers(0, 256, (count, size, size, 3), np.uint8)
        frames = layout.frames(keys.reshape(count, 6))
        frames[:, layout.values] += random.integers(0, 2, (count, len(ATTRIBUTES)), np.uint8)
        layout.put(samples, frames)
        name = f"train-{number:06d}.tar"
        (folder / name).write_bytes(samples.tobytes() + END)
        entries.append(
            ShardEntry(
                name=name,
                split="train",
                count=count,
                bytes=samples.nbytes + len(END),
                sha256=sha256(samples, END),
                stride=layout.stride,
            )
        )
        first += count
    manifest = Manifest.seal(
        identity="random",
        source="random",
        kind="random pixels",
        size=size,
        crop="none",
        resize="bicubic",
        encoding="npy",
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


def stored(folder: Path) -> tuple[NDArray[np.bytes_], NDArray[np.uint8]]:
    """The keys and images of train, read with nothing but tarfile and NumPy: bytes [n], uint8 [n, size, size, 3]."""
    keys, images = [], []
    for path in sorted(folder.glob("train-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".npy"):
                    file = tar.extractfile(member)
                    assert file is not None
                    keys.append(member.name[:-4].encode())
                    images.append(np.load(io.BytesIO(file.read())))
    return np.array(keys), np.stack(images)
