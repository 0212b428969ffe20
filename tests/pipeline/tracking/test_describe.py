"""Where a run comes from: its user and its commit."""

import getpass
import os
import subprocess
from pathlib import Path

import pytest

from raygan.pipeline import tracking


def test_a_user_without_a_name_is_its_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a uid without an entry in the passwd file."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert tracking.origin("raygan train")["mlflow.user"] == str(os.getuid())


def test_the_commit_is_that_of_this_repository() -> None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("not a git repository")
    assert tracking.origin("raygan train")["mlflow.source.git.commit"] == answer.stdout.strip()
