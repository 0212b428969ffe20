"""Checks a finished data set: every byte by its SHA-256, every sample with the webdataset library."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from raygan.sharding.errors import RunError
from raygan.sharding.format.manifest import NAME, Manifest
from raygan.sharding.format.shard import Shard, open_shard, sha256
from raygan.sharding.storage.folder import Folder

Progress = Callable[[int, int, str], None]


class Verification(NamedTuple):
    """The result of verify()."""

    manifest: Manifest
    shards: int
    samples: int
    problems: tuple[str, ...]  # one line each: the file, and what is wrong


def verify(folder: str, fast: bool = False, progress: Progress | None = None) -> Verification:
    """Checks the data set in `folder` (a path or a URL).

    Fast: the manifest's own digest, every file's length, every header and annotation. Otherwise also the SHA-256 of
    every shard, every key only once, and every sample as webdataset's own reader gives it. `progress` gets shards
    done, shards in total, and the name of the shard. Raises UserError if there is no valid manifest.
    """
    manifest = Manifest.load(folder)
    store = Folder(folder)
    problems: list[str] = []
    keys: list[np.ndarray[tuple[int], np.dtype[np.bytes_]]] = []
    for number, entry in enumerate(manifest.shards):
        try:
            with store.on_disk(entry.name) as path:
                shard = open_shard(path, entry, manifest)
                if not fast:
                    keys.append(shard.keys)
                    _check_whole(shard)
        except RunError as error:
            problems.append(str(error))
        if progress:
            progress(number + 1, len(manifest.shards), entry.name)
    every = np.concatenate(keys) if keys else np.zeros(0, "S1")
    unique, counts = np.unique(every, return_counts=True)
    problems += [f"{folder}: key {key.decode()} is there more than once" for key in unique[counts > 1].tolist()]
    known = {entry.name for entry in manifest.shards}
    unlisted = [name for name in store.list()[0] if name.endswith(".tar") and name not in known]
    problems += [f"{folder}/{name}: not in {NAME}; remove it" for name in unlisted]
    samples = sum(entry.count for entry in manifest.shards)
    return Verification(manifest, len(manifest.shards), samples, tuple(problems))


def _check_whole(shard: Shard) -> None:
    """Raises RunError unless the bytes are those of the manifest and webdataset reads what the shard holds."""
    if sha256(shard.data) != shard.entry.sha256:
        raise RunError(f"{shard.path}: its SHA-256 is not the manifest's; delete it and run `raygan shard` again")
    read = 0
    for row, sample in enumerate(_read_by_webdataset(shard.path)):
        read += 1
        if row >= len(shard) or not _same(shard, row, sample):
            raise RunError(f"{shard.path}: webdataset reads something else at sample {row}; convert it again")
    if read != len(shard):
        raise RunError(f"{shard.path}: webdataset reads {read} samples of {len(shard)}; convert it again")


def _read_by_webdataset(path: Path) -> Iterator[dict[str, object]]:
    import webdataset

    yield from webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)


def _same(shard: Shard, row: int, sample: dict[str, object]) -> bool:
    if sample["__key__"] != shard.keys[row].decode():
        return False
    image = bytes(shard.encoded(row))
    if shard.manifest.foreign:
        return image in sample.values()
    annotation = json.loads(sample["json"])  # type: ignore[arg-type]
    attributes = dict(zip(shard.manifest.attributes, shard.attributes[row].tolist(), strict=True))
    return sample[shard.manifest.encoding] == image and annotation["attributes"] == attributes
