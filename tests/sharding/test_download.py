"""Downloads are checked and continued, and a refusal is explained; against a server on loopback."""

import hashlib
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from raygan.sharding.download import Remote, download, official_files
from raygan.sharding.errors import RunError
from raygan.sharding.storage import retries

DATA = bytes(range(256)) * 9000
QUOTA = b"<html><title>Google Drive - Quota exceeded</title>Too many users have viewed or downloaded this file</html>"


class Drive(BaseHTTPRequestHandler):
    """Gives out DATA, with ranges, as Google Drive does; what goes wrong depends on the id asked for."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)["id"][0]
        wanted = self.headers["Range"]
        self.asked.append((name, wanted))
        if name == "quota":
            return self.answer(200, QUOTA, "text/html; charset=utf-8")
        if name == "gone":
            return self.answer(404, b"", "text/plain")
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if name == "cut" and not wanted:
            return self.answer(200, DATA[:700_000], length=len(DATA))
        return self.answer(206 if wanted else 200, DATA[first:])

    def answer(
        self, status: int, body: bytes, kind: str = "application/octet-stream", length: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.01)


@pytest.fixture
def address() -> Iterator[str]:
    Drive.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Drive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/download"
        server.shutdown()


def remote(name: str, data: bytes = DATA) -> Remote:
    return Remote(name, hashlib.md5(data).hexdigest(), f"{name}.zip")


def test_the_published_file_is_fetched(address: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    paths = download(tmp_path / "new", lambda *event: seen.append(event), [remote("fine")], address)
    assert paths == [tmp_path / "new" / "fine.zip"]
    assert paths[0].read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA), "fine.zip")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["fine.zip"]


def test_a_complete_file_is_not_fetched_again(address: str, tmp_path: Path) -> None:
    (tmp_path / "fine.zip").write_bytes(DATA)
    download(tmp_path, files=[remote("fine")], address=address)
    assert Drive.asked == []


def test_a_file_that_was_cut_short_is_continued(address: str, tmp_path: Path) -> None:
    assert download(tmp_path, files=[remote("cut")], address=address)[0].read_bytes() == DATA
    assert Drive.asked == [("cut", None), ("cut", "bytes=700000-")]


def test_an_earlier_attempt_is_continued(address: str, tmp_path: Path) -> None:
    (tmp_path / "fine.zip.part").write_bytes(DATA[:1000])
    assert download(tmp_path, files=[remote("fine")], address=address)[0].read_bytes() == DATA
    assert Drive.asked == [("fine", "bytes=1000-")]


def test_a_quota_is_explained_with_the_way_by_hand(address: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"quota for today is used up.*in a browser from https://drive\.google\.com"):
        download(tmp_path, files=[remote("quota")], address=address)
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_published_one_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not the published file"):
        download(tmp_path, files=[remote("fine", b"something else")], address=address)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fine.zip").write_bytes(b"mine")
    with pytest.raises(RunError, match="remove it"):
        download(tmp_path, files=[remote("fine")], address=address)


def test_a_server_that_refuses_or_is_away_is_named(address: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="404"):
        download(tmp_path, files=[remote("gone")], address=address)
    with pytest.raises(RunError, match="cannot be reached"):
        download(tmp_path, files=[remote("fine")], address="http://127.0.0.1:9/download")


def test_the_official_files_are_those_that_are_read() -> None:
    names = {file.name for file in official_files()}
    assert {"img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"} <= names
