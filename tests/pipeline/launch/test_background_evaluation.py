"""An evaluation in the background that is not possible: the reason is reported, and the next one starts."""

from pathlib import Path

import pytest

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.launch.background_evaluation import BackgroundEvaluation
from raygan.pipeline.objectives import registry
from raygan.pipeline.training.runs import Run


@pytest.mark.ray_cluster
def test_a_failure_is_reported_with_its_position_and_the_next_one_starts(ray_cluster: str, tmp_path: Path) -> None:
    config, nowhere = smoke(), str(tmp_path / "nowhere")
    launch = Launch(shards=nowhere, runs=str(tmp_path), name="a")
    background = BackgroundEvaluation(Run(config=config, launch=launch, data="", tracking="", run_id=""))
    objective = registry.build(config, 32, DistributedContext())
    assert background.collect() is None
    assert background.start(objective, 128) == ""
    not_ended = "the one at 128 images has not ended, or waits for the resources of a worker"
    assert background.start(objective, 256) == not_ended
    found = background.end()
    assert found is not None
    assert (found.position, found.scores) == (128, {})
    assert "nowhere/manifest.json: no manifest there" in found.failure
    assert background.start(objective, 384) == ""
    found = background.collect(60)
    assert found is not None
    assert found.position == 384
    assert background.end() is None
