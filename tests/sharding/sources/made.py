"""Small sources in the layouts that people have CelebA in, drawn quickly."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from raygan.sharding.format.manifest import SPLITS
from raygan.sharding.sources.source import Source

ATTRIBUTES = ("5_o_Clock_Shadow", "Bald", "Male", "Smiling", "Young")
COUNT = 20  # images of a source that check_faces takes
CODES = {"train": 0, "valid": 1, "test": 2}


def face(number: int, height: int = 218, width: int = 178) -> NDArray[np.uint8]:
    """A smooth picture that depends on its number, uint8 [height, width, 3]."""
    small = np.random.default_rng(number).integers(0, 256, (6, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(number: int, height: int = 218, width: int = 178) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(face(number, height, width)), quality=90))


def png(number: int, height: int = 218, width: int = 178) -> bytes:
    out = io.BytesIO()
    Image.fromarray(face(number, height, width)).save(out, "png", compress_level=1)
    return out.getvalue()


def split_of(number: int) -> str:
    """One in ten is valid, one in ten is test."""
    return {8: "valid", 9: "test"}.get(number % 10, "train")


def bits(number: int) -> list[int]:
    return np.random.default_rng([7, number]).integers(0, 2, len(ATTRIBUTES)).tolist()


def identity(number: int) -> int:
    return 10 * number + 1


def tables(count: int, newline: str = "\r\n", count_line: bool = True) -> dict[str, str]:
    """The official annotation files for images 1 to `count`."""
    numbers = range(1, count + 1)
    rows = [f"{n:06d}.jpg " + " ".join(f"{2 * bit - 1:2d}" for bit in bits(n)) for n in numbers]
    head = [str(count)] if count_line else []
    lines = {
        "list_attr_celeba.txt": [*head, " ".join(ATTRIBUTES), *rows],
        "list_eval_partition.txt": [f"{n:06d}.jpg {CODES[split_of(n)]}" for n in numbers],
        "identity_CelebA.txt": [f"{n:06d}.jpg {identity(n)}" for n in numbers],
    }
    return {name: newline.join([*text, ""]) for name, text in lines.items()}


def official(folder: Path, count: int, **how: bool | str) -> Path:
    """CelebA's published layout, with images 1 to `count`."""
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    for number in range(1, count + 1):
        (pictures / f"{number:06d}.jpg").write_bytes(jpeg(number))
    for name, text in tables(count, **how).items():  # type: ignore[arg-type]
        (folder / name).write_bytes(text.encode())
    return folder


def official_zip(folder: Path, count: int) -> Path:
    """The same with img_align_celeba.zip as published."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        archive.mkdir("img_align_celeba")
        for number in range(1, count + 1):
            archive.writestr(f"img_align_celeba/{number:06d}.jpg", jpeg(number))
    for name, text in tables(count).items():
        (folder / name).write_bytes(text.encode())
    return folder


def kaggle(folder: Path, count: int) -> Path:
    """Kaggle's layout: a folder in a folder, and tables with commas and a header."""
    pictures = folder / "img_align_celeba" / "img_align_celeba"
    pictures.mkdir(parents=True)
    numbers = range(1, count + 1)
    for number in numbers:
        (pictures / f"{number:06d}.jpg").write_bytes(jpeg(number))
    rows = [f"{n:06d}.jpg," + ",".join(str(2 * bit - 1) for bit in bits(n)) for n in numbers]
    (folder / "list_attr_celeba.csv").write_text("\n".join([",".join(["image_id", *ATTRIBUTES]), *rows, ""]))
    rows = [f"{n:06d}.jpg,{CODES[split_of(n)]}" for n in numbers]
    (folder / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *rows, ""]))
    return folder


def plain(folder: Path, count: int) -> Path:
    """Faces without annotations, as FFHQ comes: .png files in numbered folders."""
    for number in range(count):
        place = folder / f"{number // 10 * 10:05d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05d}.png").write_bytes(png(number, 192, 192))
    return folder


def parquet(folder: Path, count: int, rows_per_group: int = 4) -> Path:
    """A Hugging Face style export: one file for each split, pictures as bytes and path, attributes as booleans."""
    (folder / "data").mkdir(parents=True)
    for split in SPLITS:
        numbers = [n for n in range(1, count + 1) if split_of(n) == split]
        columns: dict[str, object] = {
            "image": [{"bytes": jpeg(n), "path": f"{n:06d}.jpg"} for n in numbers],
            "celeb_id": [identity(n) for n in numbers],
        }
        for place, name in enumerate(ATTRIBUTES):
            columns[name] = [bool(bits(n)[place]) for n in numbers]
        name = f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "data" / name, row_group_size=rows_per_group)
    return folder


def check_faces(source: Source, identities: bool = True) -> None:
    """All of the faces 1 to COUNT, each with its split, bytes, attributes and identity."""
    numbers = [int(key) for key in source.keys.tolist()]
    assert sorted(numbers) == list(range(1, COUNT + 1))
    assert [split_of(n) for n in numbers] == [split for split in SPLITS for _ in range(source.totals[split])]
    assert source.attributes == ATTRIBUTES
    assert source.values.tolist() == [bits(n) for n in numbers]
    assert [source.read(row) for row in range(len(source))] == [jpeg(n) for n in numbers]
    if identities:
        assert source.numbers["identity"].tolist() == [[identity(n)] for n in numbers]
    assert source.rejects == ()
