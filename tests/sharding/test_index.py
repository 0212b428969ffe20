"""Tars of other programs get a manifest, and DALI gets its index."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from raygan.sharding.convert import convert
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.images import crop_centre, decode, resized
from raygan.sharding.format.manifest import Encoding, Manifest
from raygan.sharding.format.shard import open_shard
from raygan.sharding.index import index, write_dali_index
from raygan.sharding.options import ShardingOptions
from raygan.sharding.show import contact_sheet, describe
from raygan.sharding.verify import verify
from tests.sharding.sources import made as sources


def made_elsewhere(folder: Path) -> Path:
    """Two tars by webdataset's own writer: keys in folders, a caption and a class beside the picture, times of now."""
    folder.mkdir()
    for name, numbers in (("ffhq-0.tar", range(5)), ("val-0.tar", range(5, 8))):
        with webdataset.TarWriter(str(folder / name)) as tar:
            for n in numbers:
                sample = {
                    "__key__": f"faces/{n}",
                    "jpg": sources.jpeg(n, 96 + n, 80),
                    "cls": n,
                    "caption.txt": "a face",
                }
                tar.write(sample)
    return folder


def test_foreign_tars_open_with_their_manifest(tmp_path: Path) -> None:
    folder = made_elsewhere(tmp_path / "tars")
    manifest = index(str(folder), size=32, crop=64)
    assert manifest == Manifest.load(folder)
    assert (manifest.samples("train"), manifest.samples("valid"), manifest.foreign) == (5, 3, True)
    entry = manifest.shards_of("valid")[0]
    shard = open_shard(folder / entry.name, entry, manifest)
    assert shard.keys.tolist() == [b"faces/5", b"faces/6", b"faces/7"]
    for row, number in enumerate((5, 6, 7)):
        assert bytes(shard.encoded(row)) == sources.jpeg(number, 96 + number, 80)
        expected = resized(crop_centre(decode(sources.jpeg(number, 96 + number, 80)), 64), 32)
        assert (shard.image(row) == expected).all()
    assert shard.attributes.shape == (3, 0)
    assert verify(str(folder)).problems == ()


def test_a_damaged_header_of_a_foreign_tar_is_found_by_opening(tmp_path: Path) -> None:
    folder = made_elsewhere(tmp_path / "tars")
    manifest = index(str(folder))
    entry = manifest.shards[0]
    path, data = folder / entry.name, bytearray((folder / entry.name).read_bytes())
    for place in range(512):
        data[entry.offsets[2] - 512 + place] ^= 1  # type: ignore[index]
        path.write_bytes(data)
        with pytest.raises(RunError, match="sample 2"):
            open_shard(path, entry, manifest)
        data[entry.offsets[2] - 512 + place] ^= 1  # type: ignore[index]


def test_what_cannot_be_indexed_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no \.tar"):
        index(str(tmp_path))
    (tmp_path / "a.tar").write_bytes(b"\x1f\x8b" + bytes(2000))
    with pytest.raises(UserError, match="not a plain tar"):
        index(str(tmp_path))
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as tar:
        tar.write({"__key__": "1", "txt": "no picture"})
    with pytest.raises(UserError, match="no pictures"):
        index(str(tmp_path))
    with webdataset.TarWriter(str(tmp_path / "a.tar")) as tar:
        tar.write({"__key__": "1", "jpg": sources.jpeg(1), "png": sources.png(1)})
    with pytest.raises(UserError, match="more than one picture"):
        index(str(tmp_path))
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.ray_cluster
def test_the_dali_index_finds_every_member(tmp_path: Path, ray_cluster: str) -> None:
    source = sources.official(tmp_path / "source", 20)
    convert(str(source), str(tmp_path / "out"), ShardingOptions(size=32))
    assert write_dali_index(str(tmp_path / "out")) == ["train-000000.idx", "valid-000000.idx", "test-000000.idx"]
    head, *lines = (tmp_path / "out" / "train-000000.idx").read_text().splitlines()
    assert head == "v1.2 16"
    data = (tmp_path / "out" / "train-000000.tar").read_bytes()
    with tarfile.open(tmp_path / "out" / "train-000000.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert len(lines) == 16
    for line in lines:
        words = line.split()
        assert [words[0], words[4]] == ["npy", "json"]
        for extension, offset, length, name in (words[:4], words[4:]):
            assert name.endswith(extension)
            assert data[int(offset) : int(offset) + int(length)] == members[name]
    assert verify(str(tmp_path / "out")).problems == ()


@pytest.mark.ray_cluster
@pytest.mark.parametrize("encoding", ["npy", "webp"])
def test_the_contact_sheet_shows_the_images(encoding: Encoding, tmp_path: Path, ray_cluster: str) -> None:
    source = sources.official(tmp_path / "source", 20)
    done = convert(str(source), str(tmp_path / "out"), ShardingOptions(size=32, encoding=encoding))
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(str(tmp_path / "out"), "valid", columns=2, rows=2))))
    entry = done.manifest.shards_of("valid")[0]
    shard = open_shard(tmp_path / "out" / entry.name, entry, done.manifest)
    assert sheet.shape == (36, 70, 3)
    assert (sheet[2:34, 2:34] == shard.image(0)).all()
    assert (sheet[2:34, 36:68] == shard.image(1)).all()
    facts = dict(describe(done.manifest))
    assert facts["images"] == "16 train in 1 shards, 2 valid in 1 shards, 2 test in 1 shards"
    assert facts["digest"] == done.manifest.digest
    with pytest.raises(UserError, match="choose another"):
        contact_sheet(str(tmp_path / "out"), "nothing")
