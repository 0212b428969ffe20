"""Pictures to be judged: smooth, random, and as many as a test wants."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def pictures(count: int, seed: int, size: int = 32, contrast: float = 127.5) -> np.ndarray:
    """uint8 [count, size, size, 3] around mid-grey, in patches of an eighth of the size."""
    coarse = np.random.default_rng(seed).uniform(-contrast, contrast, (count, 3, 8, 8))
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (size, size), mode="bicubic")
    return (smooth + 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def save_folder(folder: Path, images: np.ndarray) -> Path:
    """Writes them as 0000.png, 0001.png, ... into a new folder."""
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:04}.png")
    return folder
