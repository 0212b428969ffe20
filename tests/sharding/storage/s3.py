"""An object store that speaks the real S3 protocol, on loopback."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.servers import wait_until_it_answers

# One request at a time: moto looks for an object and writes it in two steps, which in S3 are one.
CODE = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


class Server:
    """A moto server in its own process."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-c", CODE, str(self.port)]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        wait_until_it_answers(f"{self.address}/moto-api/", self.process, log, 60)

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
