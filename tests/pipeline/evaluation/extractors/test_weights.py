"""The checked download, against a real server on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from raygan.pipeline.evaluation.extractors.weights import digest_of, fetch
from raygan.sharding.errors import UserError

CONTENT = b"weights" * 10_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT[:-1] if "cut" in self.path else CONTENT)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Handler.requests = 0
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_are_downloaded_once(address: str, tmp_path: Path) -> None:
    for _ in range(2):
        path = fetch(f"{address}/net.pth", DIGEST, tmp_path / "weights")
        assert path.read_bytes() == CONTENT
    assert Handler.requests == 1


def test_a_damaged_file_is_downloaded_again(address: str, tmp_path: Path) -> None:
    path = fetch(f"{address}/net.pth", DIGEST, tmp_path)
    path.write_bytes(CONTENT[:500])
    assert fetch(f"{address}/net.pth", DIGEST, tmp_path).read_bytes() == CONTENT


def test_what_has_another_digest_is_refused_and_not_kept(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"its SHA-256 is {DIGEST}"):
        fetch(f"{address}/cut.pth", DIGEST, tmp_path)
    assert not (tmp_path / "cut.pth").exists()


def test_without_a_network_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="put the file there by hand"):
        fetch("http://127.0.0.1:9/net.pth", DIGEST, tmp_path)


def test_a_file_put_there_by_hand_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/net.pth", DIGEST, tmp_path) == tmp_path / "net.pth"


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.pth"):
        digest_of(tmp_path / "missing.pth")
