"""An evaluation beside training that cannot be: it is said why, it blocks nothing, and the next one is begun."""

from pathlib import Path

import pytest
import torch

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.launch.background_evaluation import BackgroundEvaluation
from raygan.pipeline.models import build
from raygan.pipeline.training.runs import Run


@pytest.mark.ray_cluster
def test_a_failure_is_told_with_its_position_and_the_next_is_begun(ray_cluster: str, tmp_path: Path) -> None:
    config, nowhere = smoke(), str(tmp_path / "nowhere")
    launch = Launch(shards=nowhere, runs=str(tmp_path), name="a")
    aside = BackgroundEvaluation(Run(config=config, launch=launch, data="", tracking="", run_id=""))
    faces = Sampler(build.generator(config, 32), config.latent, torch.device("cpu"))
    assert aside.collect() is None
    assert aside.begin(faces, 32, 128) == ""
    assert aside.begin(faces, 32, 256) == "the one at 128 images is still under way, or waits for a free worker's room"
    found = aside.end()
    assert found is not None
    assert (found.position, found.scores) == (128, {})
    assert "nowhere: neither a data set (manifest.json)" in found.failure
    assert aside.begin(faces, 32, 384) == ""
    found = aside.collect(60)
    assert found is not None
    assert found.position == 384
    assert aside.end() is None
