"""A conditional generator: the attributes that its images have, from the shards to the images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raygan.jobs.commands.runs.draw import draw
from raygan.pipeline.config import Config, smoke
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.reader import Reader, attribute_rows
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.models.layers import LatentInput
from raygan.pipeline.training import loop
from raygan.pipeline.training.checkpoint import load_sampler
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder
from tests.pipeline.training.sessions import PlainSession

NAMES = ("Smiling", "Male")


def conditional(**settings: object) -> Config:
    return Config.model_validate(smoke().model_dump() | {"attributes": NAMES, **settings})


@pytest.fixture(scope="module")
def trained(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    session = PlainSession(tmp_path_factory.mktemp("conditional"))
    end = loop.train(conditional(images=64), DataSet.open(str(shards)), DistributedContext(), session)
    return session.checkpoint(end)


def test_rows_are_those_of_images_spread_over_the_training_split(shards: Path) -> None:
    rows = attribute_rows(DataSet.open(str(shards)), NAMES, 64)
    with Reader(DataSet.open(str(shards)), "train", batch=64, attributes=NAMES) as reader:
        shown = next(reader).attributes
    assert shown is not None
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, shown.tolist()))
    assert (
        attribute_rows(DataSet.open(str(shards)), NAMES, 1024).float().mean(0).tolist() == rows.float().mean(0).tolist()
    )


def test_an_attribute_that_the_data_set_lacks_is_named(shards: Path) -> None:
    with pytest.raises(UserError, match="Winged"):
        attribute_rows(DataSet.open(str(shards)), ("Winged",), 8)


def test_the_checkpoint_carries_the_rows_and_draws_what_is_wanted(trained: Path, shards: Path) -> None:
    sampler = load_sampler(trained)
    rows = next(module.rows for module in sampler.network.modules() if isinstance(module, LatentInput))
    assert torch.equal(rows, attribute_rows(DataSet.open(str(shards)), NAMES, 1024))
    as_real = sampler.draw(0, 16)
    sampler.wanted = {0: True, 1: False}
    wanted = sampler.draw(0, 16)
    sampler.wanted = {0: True, 1: True}
    assert not torch.equal(sampler.draw(0, 16), wanted)
    assert not torch.equal(as_real, wanted)


def test_generate_takes_attributes_by_name_and_refuses_others(trained: Path, tmp_path: Path) -> None:
    for words, file in ((("Smiling", "-Male"), "a.npy"), (("-Smiling", "Male"), "b.npy")):
        draw(Folder(str(trained)), tmp_path / file, 4, 0, "cpu", lambda done: None, words)
    assert not np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    with pytest.raises(UserError, match="was trained with --attributes Smiling,Male"):
        draw(Folder(str(trained)), tmp_path / "c.png", 4, 0, "cpu", lambda done: None, ("Bald",))
    draw(Folder(str(trained)), tmp_path / "d.png", 4, 0, "cpu", lambda done: None)
    assert Image.open(tmp_path / "d.png").size[0] > 32
