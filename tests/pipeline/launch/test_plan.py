"""What is refused before anything starts."""

from pathlib import Path

import pytest

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.launch.plan import plan
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import UserError
from raygan.sharding.format.manifest import Manifest
from tests.pipeline.small_datasets import write_dataset


@pytest.mark.parametrize(("setting", "value"), [("seed", 1), ("loss", "mmd"), ("latent_distribution", "uniform")])
def test_a_program_that_resumes_a_run_cannot_change_what_it_is(tmp_path: Path, setting: str, value: object) -> None:
    folder = write_dataset(tmp_path / "faces", [32], size=32)
    launch = Launch(name="a", shards=str(folder), runs=tmp_path)
    Run(config=smoke(), launch=launch, data=Manifest.load(folder).digest, tracking="t", run_id="r").save()
    words = f"`{setting}` {value}: the run was started with .*, which a resumed run keeps"
    with pytest.raises(UserError, match=words):
        plan(smoke().with_settings({setting: value}), launch, resume=True)


def test_a_run_may_continue_with_other_rates_and_longer_but_not_with_another_data_set(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "faces", [32], size=32)
    launch = Launch(name="a", shards=str(folder), runs=tmp_path)
    Run(config=smoke(), launch=launch, data=Manifest.load(folder).digest, tracking="t", run_id="r").save()
    longer = smoke().with_settings({"images": 512, "generator.learning_rate": 1e-5})
    assert plan(longer, launch, resume=True).config == longer
    other = write_dataset(tmp_path / "others", [33], size=32)
    with pytest.raises(UserError, match=r"others: not the data set of run a"):
        plan(longer, launch.model_copy(update={"shards": str(other)}), resume=True)


def test_a_size_that_the_architecture_does_not_draw_is_refused_with_those_that_it_draws(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "faces", [32], size=48)
    words = r"images of 48 pixels; `architecture` dcgan draws 32, 64, 128, 256: .* another `size`"
    with pytest.raises(UserError, match=words):
        plan(smoke(), Launch(name="a", shards=str(folder), runs=tmp_path))
