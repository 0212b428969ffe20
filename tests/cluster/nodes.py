"""A Ray cluster of several nodes on this machine: each is `ray start` in its own process tree, which can be killed.

Nothing here touches another Ray on the machine: own ports, own folder, and every address is given.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from tests import strangers
from tests.conftest import free_port

ATTEMPTS = 3  # Ray gives a node thirty seconds to start, which a busy machine may exceed
BIN = Path(sys.executable).parent
ALIKE = [
    "--disable-usage-stats",
    "--object-store-memory=80000000",
    "--node-ip-address=127.0.0.1",
    "--dashboard-agent-listen-port=0",
    "--min-worker-port=0",
    "--max-worker-port=0",
]


class Cluster:
    """A head that takes no work, and the nodes that were added. Give it `token`, or None for one that asks for none."""

    def __init__(self, token: str | None, environment: dict[str, str]) -> None:
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
        self.environment |= {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "disabled" if token is None else "token",
            **({"RAY_AUTH_TOKEN": token} if token else {}),
            **environment,
        }
        self.environment.pop("RAY_ADDRESS", None)
        self.folder = Path(tempfile.mkdtemp(prefix="rg"))  # Ray's sockets allow short paths only
        strangers.write_packages(self.folder)  # nodes and jobs run beside them, and nothing may import them
        path = [str(self.folder), *filter(None, [self.environment.get("PYTHONPATH")])]
        self.environment["PYTHONPATH"] = os.pathsep.join(path)
        self.head, self.dashboard = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self.nodes: list[subprocess.Popen[bytes]] = []
        port, dashboard_port = self.head.rpartition(":")[2], self.dashboard.rpartition(":")[2]
        self._start(
            "--head",
            "--num-cpus=0",
            f"--port={port}",
            f"--dashboard-port={dashboard_port}",
            "--dashboard-host=127.0.0.1",
            f"--ray-client-server-port={free_port()}",
            f"--temp-dir={self.folder}",
        )
        self._wait(self._dashboard_answers)

    def add(self, *options: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[bytes]:
        """Starts a node and waits until it has joined; `before` stands before its command, as unshare does."""
        nodes = self.alive()
        for _ in range(ATTEMPTS):
            node = self._start(f"--address={self.head}", *options, before=before, **environment)
            self._wait(partial(self._settled, node, nodes))
            if node.poll() is None:
                return node
        raise AssertionError(f"the node did not start:\n{self._logs()}")

    def _settled(self, node: subprocess.Popen[bytes], before: int) -> bool:
        """Whether the node has joined the `before` others, or has given up."""
        return node.poll() is not None or self.alive() > before

    def alive(self) -> int:
        """How many nodes Ray takes for alive."""
        request = urllib.request.Request(f"{self.dashboard}/api/v0/nodes")
        request.add_header("Authorization", f"Bearer {self.environment.get('RAY_AUTH_TOKEN', '')}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            nodes = json.load(answer)["data"]["result"]["result"]
        return sum(node["state"] == "ALIVE" for node in nodes)

    def running(self, process: str) -> list[subprocess.Popen[bytes]]:
        """The nodes on which a process runs whose command holds this word."""
        return [node for node in self.nodes if any(process in command_of(part) for part in tree(node))]

    def close(self) -> None:
        for node in self.nodes:
            kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *options: str, before: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[bytes]:
        command = [*before, str(BIN / "ray"), "start", "--block", *ALIKE, *options]
        with (self.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            node = subprocess.Popen(
                command,
                env=self.environment | environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self.nodes.append(node)
        return node

    def _dashboard_answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.dashboard}/api/version", timeout=1).close()
        except urllib.error.HTTPError:
            return True  # it asks for a token
        except OSError:
            return False
        return True

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, f"the cluster did not start:\n{self._logs()}"
            time.sleep(0.3)

    def _logs(self) -> str:
        return "\n".join(log.read_text() for log in sorted(self.folder.glob("node-*.log")))


def tree(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes of a node."""
    if node.poll() is not None:
        return []
    root = psutil.Process(node.pid)
    return [root, *root.children(recursive=True)]


def command_of(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def kill(node: subprocess.Popen[bytes]) -> None:
    """Ends all processes of a node at once, as when its power fails."""
    for process in tree(node):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    node.wait()
