"""Writes the drawn faces in CelebA's published layout: img_align_celeba/ and the three annotation files."""

import io
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from raygan.sharding.errors import UserError
from raygan.sharding.synthetic.attributes import ATTRIBUTES, attributes_of
from raygan.sharding.synthetic.portrait import Portrait, portrait
from raygan.sharding.synthetic.render import draw

VERSION = 1  # of the pictures: to be raised when the same seed no longer draws the same faces
LARGEST = 999_999  # six-digit names
_MARK = ".synthetic.json"
_IMAGES = "img_align_celeba"


def synthesize(folder: Path, count: int, seed: int = 0, progress: Callable[[int], None] | None = None) -> int:
    """Draws faces 1 to `count` of `seed` into `folder` and returns how many had to be drawn: 0 if all were there.

    Face i depends on (seed, i) alone. An interrupted call continues where it stopped; the annotation files come last,
    so that a part is never taken for the whole. `progress` is told how many of the `count` images are there.
    Raises UserError if the folder holds anything else, or another seed or count.
    """
    if not 1 <= count <= LARGEST:
        raise UserError(f"cannot draw {count} faces: choose a count from 1 to {LARGEST:,}")
    _claim(folder, count, seed)
    portraits = [portrait(seed, index) for index in range(1, count + 1)]
    drawn = 0
    for index, face in enumerate(portraits, 1):
        path = folder / _IMAGES / _name(index)
        if not _whole(path):
            path.write_bytes(jpeg(face))
            drawn += 1
        if progress:
            progress(index)
    for name, text in annotations(portraits).items():
        path = folder / name
        if not path.exists() or path.read_bytes() != text:
            path.write_bytes(text)
    return drawn


def jpeg(face: Portrait) -> bytes:
    """The drawn face as a JPEG of 178x218, with about the quality and the chroma subsampling of CelebA's own."""
    buffer = io.BytesIO()
    Image.fromarray(draw(face)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def annotations(portraits: list[Portrait]) -> dict[str, bytes]:
    """The three files by name, in the published form: CRLF, a count line and padded columns for the attributes."""
    count = len(portraits)
    names = [_name(index) for index in range(1, count + 1)]
    rows = [[1 if held else -1 for held in attributes_of(face).values()] for face in portraits]
    table = [str(count), " ".join(ATTRIBUTES) + " "]
    table += [
        f"{name} {row[0]} " + " ".join(f"{value:2d}" for value in row[1:])
        for name, row in zip(names, rows, strict=True)
    ]
    return {
        "identity_CelebA.txt": _lines([f"{n} {face.identity}" for n, face in zip(names, portraits, strict=True)]),
        "list_attr_celeba.txt": _lines(table),
        "list_eval_partition.txt": _lines([f"{n} {_partition(i, count)}" for i, n in enumerate(names)]),
    }


def _partition(index: int, count: int) -> int:
    """0 (train) for the first eight tenths, 1 (valid) for the next, 2 (test) for the last; three faces fill all."""
    held_out = count // 10 or int(count >= 3)
    return 0 if index < count - 2 * held_out else 1 if index < count - held_out else 2


def _name(index: int) -> str:
    return f"{index:06d}.jpg"


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _whole(path: Path) -> bool:
    """Whether a picture is there and was not cut short: a JPEG ends with its end-of-image marker."""
    try:
        return path.read_bytes()[-2:] == b"\xff\xd9"
    except FileNotFoundError:
        return False


def _claim(folder: Path, count: int, seed: int) -> None:
    """Marks the folder as ours before the first picture, or checks that it is. Raises UserError."""
    mark = json.dumps({"version": VERSION, "seed": seed, "count": count})
    path = folder / _MARK
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder to draw into")
    if path.exists():
        if (found := path.read_text()) != mark:
            raise UserError(f"{folder} holds another drawing, {found} instead of {mark}: choose another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds something that raygan did not draw: choose another folder or empty it")
    (folder / _IMAGES).mkdir(parents=True, exist_ok=True)
    path.write_text(mark)
