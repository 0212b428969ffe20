"""What convert() promises: every image once and unchanged, the same bytes always, and a clear message for bad input."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from raygan.sharding.convert import Conversion, convert
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.images import crop_centre, decode, resized
from raygan.sharding.format.manifest import Encoding, Manifest
from raygan.sharding.format.shard import open_shard
from raygan.sharding.options import ShardingOptions
from tests.sharding.sources import made as sources

pytestmark = pytest.mark.ray_cluster
COUNT = 60
OPTIONS = ShardingOptions(samples_per_shard=16)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.official(tmp_path_factory.mktemp("source") / "celeba", COUNT)


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory, ray_cluster: str) -> tuple[Path, Conversion]:
    out = tmp_path_factory.mktemp("out") / "shards"
    return out, convert(str(source), str(out), OPTIONS)


def hashes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_image_is_in_one_shard_of_its_split(converted: tuple[Path, Conversion]) -> None:
    out, done = converted
    found = {split: [] for split in sources.CODES}  # type: ignore[var-annotated]
    for entry in done.manifest.shards:
        found[entry.split] += open_shard(out / entry.name, entry, done.manifest).keys.tolist()
    for split, keys in found.items():
        assert sorted(keys) == [b"%06d" % n for n in range(1, COUNT + 1) if sources.split_of(n) == split]
    assert found["train"] != sorted(found["train"]), "shards are written in a scattered order"


@pytest.mark.parametrize("encoding", ["npy", "jpg", "png", "webp"])
def test_webdataset_reads_the_images_and_attributes_of_the_source(
    encoding: Encoding, source: Path, tmp_path: Path, ray_cluster: str
) -> None:
    options = ShardingOptions(samples_per_shard=16, encoding=encoding, split="test")
    done = convert(str(source), str(tmp_path / "out"), options)
    paths = [str(tmp_path / "out" / entry.name) for entry in done.manifest.shards]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode("rgb8"))
    assert len(samples) == sum(sources.split_of(n) == "test" for n in range(1, COUNT + 1))
    for sample in samples:
        number = int(sample["__key__"])
        expected = resized(crop_centre(decode(sources.jpeg(number)), 178), 64)
        assert np.abs(sample[encoding].astype(int) - expected).max() <= (12 if encoding == "jpg" else 0)
        assert sample["json"]["attributes"] == dict(zip(sources.ATTRIBUTES, sources.bits(number), strict=True))
        assert (sample["json"]["key"], sample["json"]["split"]) == (f"{number:06d}", "test")
        assert sample["json"]["identity"] == sources.identity(number)


@pytest.mark.parametrize("encoding", ["npy", "jpg", "png", "webp"])
def test_an_open_shard_gives_what_tarfile_finds(
    encoding: Encoding, source: Path, tmp_path: Path, ray_cluster: str
) -> None:
    done = convert(str(source), str(tmp_path), ShardingOptions(encoding=encoding, split="valid"))
    entry = done.manifest.shards[0]
    shard = open_shard(tmp_path / entry.name, entry, done.manifest)
    with tarfile.open(tmp_path / entry.name) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        assert {(m.mtime, m.uid, m.uname, m.mode) for m in tar} == {(0, 0, "raygan", 0o444)}
    assert len(members) == 2 * len(shard)
    for row, key in enumerate(shard.keys.tolist()):
        assert members[f"{key.decode()}.{encoding}"] == bytes(shard.encoded(row))
        assert (
            list(json.loads(members[f"{key.decode()}.json"])["attributes"].values()) == shard.attributes[row].tolist()
        )
        assert shard.numbers("identity")[row].tolist() == [sources.identity(int(key))]
        if encoding == "npy":
            assert (np.load(io.BytesIO(members[f"{key.decode()}.npy"])) == shard.pixels[row]).all()


def test_bytes_do_not_depend_on_the_workers_or_the_number_of_the_run(
    converted: tuple[Path, Conversion], source: Path, tmp_path: Path
) -> None:
    convert(str(source), str(tmp_path / "one"), OPTIONS, workers=1)
    assert hashes(tmp_path / "one") == hashes(converted[0])


def test_a_zip_gives_the_shards_of_the_folder(converted: tuple[Path, Conversion], tmp_path: Path) -> None:
    zipped = sources.official_zip(tmp_path / "zip", COUNT)
    done = convert(str(zipped), str(tmp_path / "out"), OPTIONS)
    assert "zip" in done.kind
    assert [entry.sha256 for entry in done.manifest.shards] == [entry.sha256 for entry in converted[1].manifest.shards]
    assert not (zipped / "img_align_celeba").exists(), "read in place"


def test_mean_and_deviation_are_those_of_the_pixels(converted: tuple[Path, Conversion]) -> None:
    out, done = converted
    shards = [open_shard(out / entry.name, entry, done.manifest) for entry in done.manifest.shards]
    pixels = np.concatenate([shard.pixels for shard in shards]).astype(np.float64)
    assert done.manifest.mean
    assert done.manifest.deviation
    assert np.allclose(done.manifest.mean, pixels.mean((0, 1, 2)), atol=1e-5)
    assert np.allclose(done.manifest.deviation, pixels.std((0, 1, 2)), atol=1e-5)


def test_a_second_call_reuses_everything_and_changes_nothing(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    first = convert(str(source), str(tmp_path), OPTIONS)
    before = hashes(tmp_path)
    again = convert(str(source), str(tmp_path), OPTIONS)
    assert (again.written, again.reused) == (0, first.written)
    assert hashes(tmp_path) == before


def test_only_what_is_missing_is_written_again(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    convert(str(source), str(tmp_path), OPTIONS)
    before = hashes(tmp_path)
    (tmp_path / "train-000001.tar").unlink()
    again = convert(str(source), str(tmp_path), OPTIONS)
    assert again.written == 1
    assert hashes(tmp_path) == before


def test_progress_counts_up_to_every_image(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    seen: list[tuple[int, int, str]] = []
    convert(str(source), str(tmp_path), OPTIONS, progress=lambda *event: seen.append(event))
    assert [done for done, _, _ in seen] == sorted({done for done, _, _ in seen})
    assert seen[-1][:2] == (COUNT, COUNT)
    assert "images/s" in seen[-1][2]


def test_lanes_and_limit_and_crop_are_kept(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    options = ShardingOptions(samples_per_shard=5, lanes=2, limit=20, size=32, crop=108)
    done = convert(str(source), str(tmp_path), options)
    assert {split: done.manifest.samples(split) for split in sources.CODES} == {"train": 16, "valid": 2, "test": 2}
    assert done.manifest.lanes == 2
    entry = done.manifest.shards[0]
    shard = open_shard(tmp_path / entry.name, entry, done.manifest)
    expected = crop_centre(decode(sources.jpeg(int(shard.keys[0]))), 108)
    assert expected.shape == (108, 108, 3)
    assert (shard.pixels[0] == resized(expected, 32)).all()
    pillow = np.asarray(Image.fromarray(expected).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(shard.pixels[0].astype(int) - pillow).mean() < 0.5


def test_an_out_with_another_data_set_is_refused(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    convert(str(source), str(tmp_path), OPTIONS)
    before = hashes(tmp_path)
    with pytest.raises(UserError, match="another data set"):
        convert(str(source), str(tmp_path), ShardingOptions(samples_per_shard=16, crop=140))
    assert hashes(tmp_path) == before


def test_an_out_with_other_files_is_refused_and_left_as_it_was(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="other files"):
        convert(str(source), str(tmp_path), OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_out_that_is_a_file_or_cannot_be_written_is_refused(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UserError, match="give a folder"):
        convert(str(source), str(tmp_path / "file"), OPTIONS)
    with pytest.raises(RunError, match=r"cannot write: .*Not a directory"):
        convert(str(source), str(tmp_path / "file" / "out"), OPTIONS)
    assert (tmp_path / "file").read_text() == "precious"


def test_relative_paths_mean_the_same_in_every_worker(
    source: Path, tmp_path: Path, ray_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    convert(os.path.relpath(source, tmp_path), "out/here", OPTIONS)
    assert (tmp_path / "out" / "here" / "manifest.json").exists()


def test_a_bad_image_is_refused_or_listed(tmp_path: Path, ray_cluster: str) -> None:
    source = sources.official(tmp_path / "source", 20)
    pictures = source / "img_align_celeba"
    (pictures / "000003.jpg").write_bytes(sources.jpeg(3)[:2000])
    (pictures / "000004.jpg").write_bytes(b"")
    (pictures / "000005.jpg").write_bytes(sources.jpeg(5, 100, 90))
    (pictures / "000006.png").write_bytes(sources.png(6))
    (pictures / "000999.jpg").write_bytes(sources.jpeg(999))
    with pytest.raises(UserError, match="`max_rejects` allows 4"):
        convert(str(source), str(tmp_path / "out"), ShardingOptions(max_rejects=4))
    assert not (tmp_path / "out" / "manifest.json").exists()
    done = convert(str(source), str(tmp_path / "out"), ShardingOptions(max_rejects=5))
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    reasons = {line["file"]: line["reason"] for line in lines}
    assert set(reasons) == {"000003.jpg", "000004.jpg", "000005.jpg", "000006.png", "000999.jpg"}
    assert "decoded" in reasons["000003.jpg"]
    assert "empty" in reasons["000004.jpg"]
    assert "90x100" in reasons["000005.jpg"]
    assert "duplicate" in reasons["000006.png"]
    assert "no row" in reasons["000999.jpg"]
    assert sum(entry.count for entry in done.manifest.shards) == 17
    assert done.manifest.rejects == 5
    again = convert(str(source), str(tmp_path / "out"), ShardingOptions(max_rejects=5))
    assert (again.written, again.manifest) == (0, done.manifest)


def test_the_manifest_notices_a_change(converted: tuple[Path, Conversion], tmp_path: Path) -> None:
    text = (converted[0] / "manifest.json").read_text()
    assert Manifest.load(converted[0]) == converted[1].manifest
    (tmp_path / "manifest.json").write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match="changed"):
        Manifest.load(tmp_path)
