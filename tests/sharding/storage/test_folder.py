"""Both sides of a conversion on an object store that speaks the real S3 protocol, on loopback."""

import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
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

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")
OPTIONS = ShardingOptions(samples_per_shard=16, size=32)


class Server:
    """A moto server in its own process."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        code = "from moto.server import main; main()"
        command = [sys.executable, "-c", code, "-H", "127.0.0.1", "-p", str(self.port)]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/moto-api/", timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the S3 server did not start:\n{log.read_text()}")
                time.sleep(0.2)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def settings(address: str) -> dict[str, object]:
    return {
        "endpoint_url": address,
        "key": "testing",
        "secret": "testing",
        "client_kwargs": {"region_name": "eu-central-1"},
        "config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 2, "read_timeout": 5},
    }


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Server(tmp_path_factory.mktemp("s3") / "server.log")
    fsspec.config.conf["s3"] = settings(server.address)
    s3fs.S3FileSystem().mkdir("faces")
    yield "s3://faces"
    fsspec.config.conf.pop("s3")
    server.stop()


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
