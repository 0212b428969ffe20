"""DiffAugment: changes real images and fakes before the discriminator sees them (Zhao et al., arXiv 2006.10738).

So the discriminator cannot memorise a small data set, and the generator does not learn to draw the changes. Every
change can be differentiated. The random numbers, in [0, 1], are a function of the position, so a resumed run makes the
same changes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 7  # random numbers in [0, 1] per image
FARTHEST = 1 / 8  # an image is moved by at most this share of its side
HOLE = 1 / 2  # side of the square that is cut out, as a share of the image's


def augmented(images: Tensor, policy: tuple[str, ...], chance: Tensor | None) -> Tensor:
    """`images` float32 [b, 3, h, w] in [-1, 1], changed by each name in `policy`.

    `chance`, float32 [b, DRAWS] in [0, 1), says how; None: not at all.
    """
    if chance is None:
        return images
    if "colour" in policy:
        images = _colour(images, *chance[:, 0:3].T)
    if "translation" in policy:
        images = _moved(images, *chance[:, 3:5].T)
    if "cutout" in policy:
        images = _cut(images, *chance[:, 5:7].T)
    return images


def _colour(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Adds up to 0.5 of light either way, then scales the colours by up to 2 and the contrast by 0.5 to 1.5."""
    images = images + (brightness - 0.5)[:, None, None, None]
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)[:, None, None, None]
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + contrast)[:, None, None, None]


def _moved(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Moves each image by whole pixels and fills with zero, the middle grey."""
    count, _, height, width = images.shape
    reach = round(height * FARTHEST)
    padded = F.pad(images, (reach,) * 4)
    rows = _first(y, 2 * reach + 1)[:, None] + torch.arange(height, device=images.device)
    columns = _first(x, 2 * reach + 1)[:, None] + torch.arange(width, device=images.device)
    which = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sets one square per image to zero; its centre is anywhere in the image."""
    height, width = images.shape[2:]
    rows, columns = (torch.arange(n, device=images.device)[None] for n in (height, width))
    in_rows = (rows - _first(y, height)[:, None]).abs() <= height * HOLE / 2
    in_columns = (columns - _first(x, width)[:, None]).abs() <= width * HOLE / 2
    return images * ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])


def _first(chance: Tensor, count: int) -> Tensor:
    """A whole number in range(count) for each number in [0, 1]."""
    return (chance * count).long().clamp(max=count - 1)
