"""A user's folders called pipeline, jobs and sharding change nothing.

Here for a conversion's tasks and a run's workers; in tests/pipeline/tuning/test_kills.py for trials; in tests/cluster
for sent jobs, whose nodes have such folders on PYTHONPATH, too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.sharding.synthetic import synthesize
from tests import strangers


@pytest.mark.ray_cluster
def test_a_conversion_and_a_run_of_two_workers_work_beside_packages_of_the_same_names(
    ray_cluster: str, tmp_path: Path
) -> None:
    here = strangers.write_packages(tmp_path)
    synthesize(here / "faces", 40)
    path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "RAY_ADDRESS": ray_cluster}
    for line in (
        "shard faces shards --size 32 --samples-per-shard 20",
        "train --shards shards --name run --preset smoke --images 64 --workers 2",
    ):
        command = [sys.executable, "-m", "raygan.jobs", *line.split()]
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (here / "runs" / "run" / "checkpoint_000000000064").is_dir()
