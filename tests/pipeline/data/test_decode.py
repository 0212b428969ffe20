"""Encoded shards give the images that are in them, and damage is named."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.data.order import Order
from raygan.pipeline.data.reader import Reader
from raygan.pipeline.data.shards import Shards
from raygan.sharding.errors import RunError
from raygan.sharding.format.manifest import Encoding, Manifest
from raygan.sharding.index import index
from tests.pipeline.small_datasets import stored, write_dataset

COUNTS = [20, 21, 20]
ENCODINGS: list[Encoding] = ["jpg", "png", "webp"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_batches_hold_the_decoded_images_that_the_order_names(
    tmp_path: Path, encoding: Encoding, elsewhere: bool
) -> None:
    write_dataset(tmp_path, COUNTS, size=64, encoding=encoding)
    if elsewhere:  # as tars that somebody else wrote
        (tmp_path / "manifest.json").unlink()
        index(str(tmp_path), size=64)
    _, images = stored(tmp_path)
    starts = np.cumsum([0, *COUNTS])
    order = Order(COUNTS, seed=1)
    with Reader(DataSet.open(str(tmp_path)), "train", batch=16, seed=1) as reader:
        for batch in islice(reader, 8):
            shard, row = order.batch(batch.position, 16)
            assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), images[starts[shard] + row])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_damaged_image_ends_the_run_with_its_shard_and_number(tmp_path: Path, encoding: Encoding) -> None:
    write_dataset(tmp_path, COUNTS, size=64, encoding=encoding)
    entry = Manifest.load(tmp_path).shards[1]
    assert entry.offsets is not None
    with (tmp_path / entry.name).open("r+b") as file:
        for row in (7, 12):
            file.seek(entry.offsets[row])
            file.write(bytes(40))
    shards = Shards(DataSet.open(str(tmp_path)), "train")
    with pytest.raises(RunError, match=r"train-000001\.tar: image 7 cannot be decoded"):
        shards.read_rows(0, sum(COUNTS))
    shards.close()
