"""Both sides of a conversion on an object store that speaks the real S3 protocol, on loopback."""

import resource
from pathlib import Path

import fsspec
import pytest

from raygan.sharding.convert import convert
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.options import ShardingOptions
from raygan.sharding.show import contact_sheet
from raygan.sharding.storage.folder import Folder
from raygan.sharding.verify import verify
from tests.sharding.sources import made as sources
from tests.sharding.storage.s3 import Server, settings

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")
OPTIONS = ShardingOptions(samples_per_shard=16, size=32)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.official(tmp_path_factory.mktemp("source") / "celeba", 60)


@pytest.mark.ray_cluster
def test_a_conversion_from_s3_to_s3_gives_the_bytes_of_a_local_one(
    bucket: str, source: Path, tmp_path: Path, ray_cluster: str
) -> None:
    local = convert(str(source), str(tmp_path / "out"), OPTIONS)
    s3fs.S3FileSystem().put(str(source), "faces/celeba", recursive=True)
    remote = convert(f"{bucket}/celeba", f"{bucket}/shards", OPTIONS)
    assert remote.manifest == local.manifest
    files, folders = Folder(f"{bucket}/shards").list()
    assert folders == (), "no records and no lock are left"
    assert {name: Folder(f"{bucket}/shards").read(name) for name in files} == {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
    }
    assert Manifest.load(f"{bucket}/shards") == local.manifest
    assert verify(f"{bucket}/shards").problems == ()
    assert contact_sheet(f"{bucket}/shards") == contact_sheet(str(tmp_path / "out"))
    again = convert(f"{bucket}/celeba", f"{bucket}/shards", OPTIONS)
    assert (again.written, again.reused) == (0, len(local.manifest.shards))


@pytest.mark.ray_cluster
def test_a_zip_is_read_in_place_from_s3(bucket: str, tmp_path: Path, ray_cluster: str) -> None:
    zipped = sources.official_zip(tmp_path / "zip", 60)
    s3fs.S3FileSystem().put(str(zipped), "faces/zipped", recursive=True)
    done = convert(f"{bucket}/zipped", str(tmp_path / "out"), OPTIONS)
    assert done.manifest.samples("train") == 48
    assert verify(str(tmp_path / "out")).problems == ()


def test_only_one_of_two_creates_a_file_in_s3(bucket: str) -> None:
    folder = Folder(f"{bucket}/leases")
    assert folder.create("lock", b"ours")
    assert not folder.create("lock", b"theirs")
    assert folder.read("lock") == b"ours"


@pytest.mark.ray_cluster
def test_a_store_that_fails_midway_ends_clearly(
    source: Path, tmp_path: Path, ray_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "server.log")
    monkeypatch.setitem(fsspec.config.conf, "s3", settings(server.address))
    s3fs.S3FileSystem().mkdir("faces")
    with pytest.raises(RunError, match=r"s3://faces/out: .*finished shards are kept"):
        convert(
            str(source), "s3://faces/out", ShardingOptions(samples_per_shard=4), lambda *_: server.stop(), workers=1
        )


def test_a_store_without_its_library_is_named() -> None:
    with pytest.raises(UserError, match="gcsfs"):
        Folder("gs://bucket/celeba")
    with pytest.raises(UserError, match="no store is known for nonsense://"):
        Folder("nonsense://bucket")


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("shard.tar", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            folder.write("shard.tar", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["shard.tar"]
    assert folder.read("shard.tar") == b"old"
