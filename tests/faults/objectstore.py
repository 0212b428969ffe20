"""An S3 server on loopback (moto) behind a proxy that can refuse, slow down, and cut connections."""

import asyncio
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import s3fs

from raygan.sharding.storage.folder import Folder

Behaviour = Literal["well", "refuses", "slow", "cuts"]
SLOW = 20_000  # bytes per second, per connection
PATIENCE = {"connect_timeout": 5, "retries": {"max_attempts": 1}}  # the checkpoint manager tries longer


class Proxy:
    """Listens on `port` and forwards to `target`; `behave` says how."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._behaviour: Behaviour = "well"
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    def behave(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._accept, "127.0.0.1", self.port) as server:
            await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._behaviour == "refuses":
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(16_384):
                if self._behaviour == "refuses" or (self._behaviour == "cuts" and random.random() < 0.5):
                    sink.transport.abort()
                    return
                if self._behaviour == "slow":
                    await asyncio.sleep(len(data) / SLOW)
                sink.write(data)
                await sink.drain()
            sink.close()
        except OSError:
            sink.transport.abort()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def behind_a_proxy(folder: Path) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """A proxy before an empty bucket `runs`, and the settings with which s3fs reaches that store."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "store.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/moto-api/")
        proxy = Proxy(port)
        settings: dict[str, Any] = {
            "endpoint_url": f"http://127.0.0.1:{proxy.port}",
            "key": "testing",
            "secret": "testing",
        }
        settings |= {"client_kwargs": {"region_name": "eu-central-1"}, "config_kwargs": PATIENCE}
        s3fs.S3FileSystem(**settings).mkdir("runs")
        yield proxy, settings
    finally:
        server.kill()
        server.wait()


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def download(source: Folder, into: Path) -> None:
    """Copies a folder, with the folders in it."""
    files, folders = source.list()
    for name in files:
        Folder(str(into)).write(name, source.read(name))
    for name in folders:
        download(source / name, into / name)
