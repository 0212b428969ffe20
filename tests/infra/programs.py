"""The programs that judge infra/: pinned in the development requirements, as wheels that hold the binary."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


def run(program: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> str:
    """What the program prints; the test fails with its words if it does not end well.

    Where there is no such program (no wheel for this platform) the test skips, except in CI.
    """
    beside = Path(sys.executable).parent
    found = shutil.which(program, path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{program} is not installed: run make setup")
    done = subprocess.run(
        [found, *arguments], cwd=ROOT, capture_output=True, text=True, env=os.environ | (environment or {}), timeout=60
    )
    assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
    return done.stdout
