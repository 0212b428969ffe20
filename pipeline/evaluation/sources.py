"""Images to be scored, or to compare them with: a data set, a folder of images, or a NumPy file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import sequential
from raygan.sharding.errors import RunError, UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


class Images(Protocol):
    """A finite, ordered collection of images of one size."""

    @property
    def identity(self) -> dict[str, str]:
        """What must be equal for two scores to be comparable: data digest, split, size, crop and resize."""

    def __len__(self) -> int: ...

    def batches(self, first: int, count: int, batch: int) -> Iterator[Tensor]:
        """The images first, ..., first + count - 1 as uint8 [at most batch, 3, H, W]."""


def open_images(location: str | Path | DataSet, split: str = "train") -> Images:
    """Opens a raygan data set (a folder or URL with manifest.json; `split` of it), a folder of images, or an .npy file.

    UserError if there is no such thing. Only a data set has splits; of others all images are taken.
    """
    if isinstance(location, DataSet):
        return Split(location, split)
    path = Path(location)
    if "://" in str(location) or (path / "manifest.json").is_file():
        return Split(DataSet.open(str(location)), split)
    if path.is_dir():
        return Folder(path)
    if path.suffix == ".npy" and path.is_file():
        return Array(path)
    raise UserError(f"{path}: neither a data set (manifest.json), nor a folder of images, nor an .npy file; give one")


class Split:
    """One split of a data set that raygan sharded."""

    def __init__(self, data: DataSet, split: str) -> None:
        manifest = data.manifest
        self._data, self._split, self._length = data, split, manifest.samples(split)
        if not self._length:
            raise UserError(f"{data}: the split {split} is empty; choose another")
        size = f"{manifest.size}x{manifest.size}"
        facts = {"data": manifest.digest, "size": size, "crop": manifest.crop, "resize": manifest.resize}
        self.identity = {name: str(fact) for name, fact in facts.items()} | {"split": split}

    def __len__(self) -> int:
        return self._length

    def batches(self, first: int, count: int, batch: int) -> Iterator[Tensor]:
        """Reads them in the order of the shards; the tensors are channels_last."""
        return sequential(self._data, self._split, first, count, batch)


class Folder:
    """The PNG, JPEG and WebP files below a folder, in the order of their paths, as they are: never resized."""

    def __init__(self, folder: Path) -> None:
        self._files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not self._files:
            raise UserError(f"{folder}: no PNG, JPEG or WebP file here; give the folder that holds the images")
        self._size: tuple[int, int] | None = None
        self._size = self._read(self._files[0]).shape[1::-1]
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        self.identity = _identity(digest.hexdigest(), *self._size)

    def __len__(self) -> int:
        return len(self._files)

    def batches(self, first: int, count: int, batch: int) -> Iterator[Tensor]:
        """Decodes them. Raises RunError for a file that is no image, UserError for one of another size."""
        for start in range(first, first + count, batch):
            files = self._files[start : min(start + batch, first + count)]
            yield torch.from_numpy(np.stack([self._read(path) for path in files])).permute(0, 3, 1, 2)

    def _read(self, path: Path) -> np.ndarray:
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
        except OSError as error:
            raise RunError(f"{path}: not a readable image ({error}); remove or replace it") from error
        if self._size and pixels.shape[1::-1] != self._size:
            sizes = f"{pixels.shape[1]}x{pixels.shape[0]}, others are {self._size[0]}x{self._size[1]}"
            raise UserError(f"{path}: is {sizes}; give images of one size")
        return pixels


class Array:
    """A NumPy file of uint8 images, [N, H, W, 3] or [N, 3, H, W], read where it is needed."""

    def __init__(self, path: Path) -> None:
        try:
            pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise UserError(f"{path}: not an array that NumPy reads ({error}); save images with numpy.save") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or 3 not in (pixels.shape[1], pixels.shape[3]):
            found = f"{pixels.dtype} {list(pixels.shape)}"
            raise UserError(f"{path}: holds {found}; images must be uint8, [N, H, W, 3] or [N, 3, H, W]")
        self._pixels = pixels if pixels.shape[1] == 3 else pixels.transpose(0, 3, 1, 2)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.identity = _identity(digest, *self._pixels.shape[:1:-1])

    def __len__(self) -> int:
        return len(self._pixels)

    def batches(self, first: int, count: int, batch: int) -> Iterator[Tensor]:
        """Copies them out of the file."""
        for start in range(first, first + count, batch):
            yield torch.from_numpy(self._pixels[start : min(start + batch, first + count)].copy())


def _identity(digest: str, width: int, height: int) -> dict[str, str]:
    return {"data": digest, "size": f"{width}x{height}", "crop": "as given", "resize": "as given", "split": "all"}
