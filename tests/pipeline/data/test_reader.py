"""What the reader promises: the order's images, whole, on time, and a named shard where that cannot be."""

import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor

from raygan.pipeline.data.dataset import CacheOptions, DataSet
from raygan.pipeline.data.order import Order
from raygan.pipeline.data.reader import Reader, sequential
from raygan.pipeline.data.shards import LOOK_EVERY
from raygan.sharding.errors import RunError, UserError
from tests.pipeline.small_datasets import stored, write_dataset
from tests.pipeline.stores import reads

COUNTS = [40, 41, 40, 39, 40]
SAMPLES = sum(COUNTS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("faces"), COUNTS)


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """A data set of one's own to damage."""
    return write_dataset(tmp_path / "fragile", COUNTS)


class StoredImages:
    """The images of a data set by their keys, and the keys of images that a reader shows, whether flipped or not."""

    def __init__(self, folder: Path) -> None:
        keys, images = stored(folder)
        self.by_key = dict(zip(keys.tolist(), images, strict=True))
        self._keys = {image.tobytes(): key for key, image in self.by_key.items()}
        self._keys |= {image[:, ::-1].tobytes(): key for key, image in self.by_key.items()}
        assert len(self._keys) == 2 * len(keys)  # no image is equal to another one

    def keys_of(self, images: Tensor) -> list[bytes]:
        """`images`: uint8 [n, 3, size, size], as in a batch."""
        return [self._keys[image.tobytes()] for image in images.permute(0, 2, 3, 1).numpy()]


def test_batches_hold_the_images_that_the_order_names(dataset: Path) -> None:
    _, images = stored(dataset)
    starts = np.cumsum([0, *COUNTS])
    order = Order(COUNTS, seed=3, window=2)
    with Reader(DataSet.open(str(dataset)), "train", batch=32, seed=3, position=7, window=2) as reader:
        for number, batch in enumerate(islice(reader, 20)):
            assert batch.position == 7 + 32 * number
            shard, row = order.batch(batch.position, 32)
            assert batch.images.dtype == torch.uint8
            assert batch.images.shape == (32, 3, 8, 8)
            assert batch.images.is_contiguous(memory_format=torch.channels_last)
            expected = starts[shard] + row
            assert np.array_equal(batch.images.permute(0, 2, 3, 1).numpy(), images[expected])


@pytest.mark.parametrize("lanes", [1, 2])
def test_the_workers_batches_joined_do_not_depend_on_their_number(tmp_path: Path, lanes: int) -> None:
    data = DataSet.open(str(write_dataset(tmp_path, COUNTS, lanes=lanes)))
    images = StoredImages(tmp_path)

    def joined(world_size: int, position: int, batches: int) -> list[tuple[bytes, ...]]:
        readers = [Reader(data, "train", 30, rank, world_size, position=position) for rank in range(world_size)]
        shown = [
            tuple(key for reader in readers for key in images.keys_of(next(reader).images)) for _ in range(batches)
        ]
        for reader in readers:
            reader.close()
        return shown

    whole = joined(1, 0, 14)
    assert joined(2, 0, 4) + joined(5, 120, 3) + joined(3, 210, 7) == whole
    epoch = [key for batch in whole for key in batch][:SAMPLES]
    if lanes == 1:
        assert len(set(epoch)) == SAMPLES


def test_half_of_the_images_are_flipped_and_which_ones_and_do_not_depend_on_the_world_size(dataset: Path) -> None:
    images = StoredImages(dataset)

    def flips(world_size: int) -> list[bool]:
        seen = []
        for rank in range(world_size):
            with Reader(DataSet.open(str(dataset)), "train", 2 * SAMPLES, rank, world_size, flip=True) as reader:
                batch = next(reader)
            for key, image in zip(images.keys_of(batch.images), batch.images.permute(0, 2, 3, 1).numpy(), strict=True):
                seen.append(np.array_equal(image, images.by_key[key][:, ::-1]))
        return seen

    once = flips(1)
    assert abs(np.mean(once) - 0.5) < 5 * 0.5 / (2 * SAMPLES) ** 0.5
    assert once[:SAMPLES] != once[SAMPLES:]
    assert flips(3) == once


def test_attributes_come_along_in_the_order_asked_for(dataset: Path) -> None:
    wanted = ("Young", "Male")
    with Reader(DataSet.open(str(dataset)), "train", 25, attributes=wanted) as reader:
        batch = next(reader)
    written = {}
    for path in dataset.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    values = json.load(file)["attributes"]
                    written[member.name[:-5].encode()] = [values[name] for name in wanted]
    assert batch.attributes is not None
    assert batch.attributes.tolist() == [written[key] for key in StoredImages(dataset).keys_of(batch.images)]
    assert 0 < batch.attributes.sum() < 50


def same_batches(one: Reader, other: Reader, count: int) -> None:
    for a, b in islice(zip(one, other, strict=True), count):
        assert a.position == b.position
        assert torch.equal(a.images, b.images)
        assert a.attributes is not None
        assert b.attributes is not None
        assert torch.equal(a.attributes, b.attributes)
        assert a.images.is_contiguous(memory_format=torch.channels_last)


def far(folder: Path, most: int = 10**9) -> DataSet:
    """The data set in a store that fails now and then, with a cache beside it of so many bytes."""
    return DataSet.open(f"flaky://{folder}", CacheOptions(str(folder / "copies"), most))


def reader_of(data: DataSet, cache: Literal["none", "device"] = "none") -> Reader:
    """A reader that does all that one can."""
    return Reader(data, "train", batch=30, flip=True, attributes=("Male",), window=2, cache=cache)


def test_a_split_kept_on_the_device_gives_the_same_batches(dataset: Path) -> None:
    with (
        reader_of(DataSet.open(str(dataset))) as plain,
        reader_of(DataSet.open(str(dataset)), cache="device") as cached,
    ):
        same_batches(plain, cached, 20)


def test_a_split_that_does_not_fit_on_the_device_is_refused(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.pipeline.data.device_cache._free", lambda device: 1000)
    with pytest.raises(UserError, match="use `cache` none"):
        reader_of(DataSet.open(str(dataset)), cache="device")


def test_remote_shards_give_the_same_batches_each_copied_once_before_it_is_needed(fragile: Path) -> None:
    local = reader_of(DataSet.open(str(fragile)))
    remote = reader_of(far(fragile))
    with local, remote:
        same_batches(local, remote, 20)
        assert sorted(reads(fragile)) == [f"train-{number:06d}.tar" for number in range(len(COUNTS))]


def test_a_remote_shard_that_is_gone_ends_the_run_with_its_name(fragile: Path) -> None:
    remove(fragile / "train-000003.tar")
    with (
        reader_of(far(fragile)) as reader,
        pytest.raises(RunError, match=r"flaky://.*train-000003\.tar"),
    ):
        read(reader, 2 * SAMPLES)


def test_a_remote_window_larger_than_the_cache_is_refused(fragile: Path) -> None:
    with pytest.raises(UserError, match="lower the window"):
        reader_of(far(fragile, 10_000))


def test_sequential_reads_a_share_in_the_order_of_the_shards(dataset: Path) -> None:
    _, images = stored(dataset)
    parts = list(sequential(DataSet.open(str(dataset)), "train", 35, 120, 50))
    assert [len(part) for part in parts] == [50, 50, 20]
    assert np.array_equal(torch.cat(parts).permute(0, 2, 3, 1).numpy(), images[35:155])
    with pytest.raises(UserError, match="which has 200"):
        next(sequential(DataSet.open(str(dataset)), "train", 150, 51, 50))


def read(reader: Reader, images: int) -> None:
    while images > 0:
        images -= len(next(reader).images)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"x")


@pytest.mark.parametrize("damage", [truncate, remove, replace, overwrite])
def test_a_shard_that_changes_while_it_is_read_ends_the_run_with_its_name(
    fragile: Path, damage: Callable[[Path], None]
) -> None:
    with Reader(DataSet.open(str(fragile)), "train", 20, ahead=2) as reader:
        read(reader, SAMPLES)
        while reader.ready < 2:  # the thread rests: nothing can guard a read that is under way
            time.sleep(0.01)
        time.sleep(2 * LOOK_EVERY)  # the next read looks first: what is cut within that time kills, as Shards says
        damage(fragile / "train-000003.tar")
        with pytest.raises(RunError, match=r"train-000003\.tar.*resume"):
            read(reader, 2 * SAMPLES)


def test_a_damaged_header_is_found_when_the_shard_is_opened(fragile: Path) -> None:
    path = fragile / "train-000002.tar"
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)
    with Reader(DataSet.open(str(fragile)), "train", 20) as reader, pytest.raises(RunError, match=r"train-000002\.tar"):
        read(reader, SAMPLES)


def test_a_missing_or_short_shard_is_found_before_anything_is_read(fragile: Path) -> None:
    truncate(fragile / "train-000001.tar")
    with pytest.raises(RunError, match=r"train-000001\.tar"):
        Reader(DataSet.open(str(fragile)), "train", 20)
    remove(fragile / "train-000001.tar")
    with pytest.raises(RunError, match=r"train-000001\.tar"):
        Reader(DataSet.open(str(fragile)), "train", 20)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "test"}, "no images in the split test"),
        ({"batch": 2, "world_size": 3}, "batch of 2"),
        ({"attributes": ("Bald",)}, "Bald.*Male, Smiling, Young"),
        ({"window": 0}, "window"),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(dataset: Path, options: dict[str, Any], words: str) -> None:
    arguments: dict[str, Any] = {"split": "train", "batch": 20} | options
    with pytest.raises(UserError, match=words):
        Reader(DataSet.open(str(dataset)), **arguments)


def test_twenty_epochs_need_no_more_memory_than_two(tmp_path: Path) -> None:
    counts = [500] * 4
    data = DataSet.open(str(write_dataset(tmp_path, counts, size=32)))
    with Reader(data, "train", 50, flip=True, attributes=("Male",)) as reader:
        read(reader, 2 * sum(counts))
        before = psutil.Process().memory_info().rss
        read(reader, 18 * sum(counts))
        grown = psutil.Process().memory_info().rss - before
    assert grown < sum(counts) * 32 * 32 * 3  # 18 epochs pass through; less than one of them may stay


def test_two_workers_on_a_node_share_the_page_cache(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, [200] * 4, size=64)
    program = [sys.executable, "-m", "tests.pipeline.data.page_cache", str(folder)]
    data = 800 * 64 * 64 * 3
    for rss, pss in json.loads(subprocess.run(program, check=True, capture_output=True).stdout):
        assert rss > data
        assert pss < 0.55 * rss


def test_close_stops_the_thread_and_keeps_what_was_taken(dataset: Path) -> None:
    before = threading.active_count()
    reader = Reader(DataSet.open(str(dataset)), "train", 20)
    batch = next(reader)
    kept = batch.images.clone()
    reader.close()
    reader.close()
    assert threading.active_count() == before
    assert torch.equal(batch.images, kept)
    with pytest.raises(RunError, match="closed"):
        next(reader)
