"""Waits for a server that a test has started."""

import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest


def wait_until_it_answers(url: str, process: subprocess.Popen[Any], log: Path, seconds: int) -> None:
    """Returns once `url` answers; fails the test with the text of `log` if `process` ends or `seconds` pass first."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no server answers at {url}:\n{log.read_text()}")
            time.sleep(0.05)
