"""`raygan generate`: a checkpoint's faces as one sheet, as an array, or as a folder of files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from raygan.pipeline.config import Weights
from raygan.pipeline.evaluation.sampler import BATCH, grid
from raygan.pipeline.training.checkpoint import load_sampler
from raygan.pipeline.training.header import read_header
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder

MOST_COLUMNS = 16


def draw(
    checkpoint: Folder,
    out: Path,
    count: int,
    seed: int,
    device: Literal["cpu", "cuda"],
    advance: Callable[[int], None],
    attributes: tuple[str, ...] = (),
    weights: Weights = "average",
) -> None:
    """Writes `count` faces to `out`; its suffix says in which form. Raises UserError.

    All have the `attributes` named, and not those named with a minus before them.
    """
    if count < 1:
        raise UserError(f"--count {count}: at least one face")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU on this machine; leave it out")
    wanted = _wanted(attributes, read_header(checkpoint).config.attributes)
    sampler = load_sampler(checkpoint, torch.device(device), seed, weights)
    sampler.wanted = wanted

    def batches() -> Iterator[torch.Tensor]:
        for first in range(0, count, BATCH):
            images = sampler.draw(first, min(BATCH, count - first))
            yield images
            advance(first + len(images))

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix in (".png", ".npy"):
            images = torch.cat(list(batches()))
            if out.suffix == ".npy":
                np.save(out, images.permute(0, 2, 3, 1).numpy())
            else:
                columns = min(MOST_COLUMNS, round(count**0.5 + 0.49))
                Image.fromarray(grid(images, columns).numpy()).save(out)
        else:
            _write_files(out, batches())
    except OSError as e:
        raise UserError(f"{out}: cannot be written ({e.strerror}); choose another path") from e


def _wanted(names: tuple[str, ...], known: tuple[str, ...]) -> dict[int, bool]:
    for name in names:
        if name.removeprefix("-") not in known:
            conditioned = f"was trained with --attributes {','.join(known)}" if known else "was trained without any"
            raise UserError(f"--attributes {name}: this generator {conditioned}")
    return {known.index(name.removeprefix("-")): not name.startswith("-") for name in names}


def _write_files(folder: Path, batches: Iterator[torch.Tensor]) -> None:
    folder.mkdir(exist_ok=True)
    index = 0
    for images in batches:
        for image in images.permute(0, 2, 3, 1).numpy():
            Image.fromarray(image).save(folder / f"{index:06d}.png")
            index += 1
