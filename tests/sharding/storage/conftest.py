from collections.abc import Iterator

import fsspec
import pytest

from tests.sharding.storage.s3 import Server, settings


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    server = Server(tmp_path_factory.mktemp("s3") / "server.log")
    fsspec.config.conf["s3"] = settings(server.address)
    s3fs.S3FileSystem().mkdir("faces")
    yield "s3://faces"
    fsspec.config.conf.pop("s3")
    server.stop()
