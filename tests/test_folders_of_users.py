"""A user's folders called pipeline, jobs and sharding change nothing; tests/cluster shows the same for sent jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import strangers


def command(folder: Path, *words: str) -> str:
    """What a command prints that is run in `folder`, which is on PYTHONPATH, too."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-m", "raygan.jobs", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "RAYGAN_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_shard_tasks_trials_and_their_workers_run_beside_packages_of_the_same_names(tmp_path: Path) -> None:
    here = strangers.write_packages(tmp_path)
    command(here, "data", "synthesize", "faces", "--count", "40")
    command(here, "shard", "faces", "shards", "--size", "32", "--samples-per-shard", "20")
    settings = ("--preset", "smoke", "--images", "64", "--scheduler", "none", "--finalists", "0", "--trials", "1")
    command(here, "tune", "--shards", "shards", "--name", "search", "--workers-per-trial", "2", *settings)
    assert (here / "runs" / "search" / "trials" / "0000" / "checkpoint_000000000064").is_dir()
