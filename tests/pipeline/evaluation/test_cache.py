"""The cache of real statistics: whole entries or none, in folders and object stores."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from raygan.pipeline.evaluation.cache import Cache, Measurement
from raygan.pipeline.evaluation.statistics import Statistics

CPU = torch.device("cpu")


def measurement() -> Measurement:
    features = torch.arange(12.0).view(4, 3).sin()
    statistics = Statistics(3)
    statistics.add(features)
    return Measurement(statistics, features)


@pytest.fixture(params=["folder", "memory://statistics"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "cache") if request.param == "folder" else f"{request.param}/{tmp_path.name}"


def test_an_entry_comes_back_as_it_was(location: str) -> None:
    stored = measurement()
    Cache(location).store({"data": "a"}, stored)
    loaded = Cache(location).load({"data": "a"}, CPU)
    assert loaded is not None
    assert loaded.statistics.count == 4
    assert torch.equal(loaded.features, stored.features)
    assert torch.equal(loaded.statistics.mean, stored.statistics.mean)
    assert torch.equal(loaded.statistics.covariance, stored.statistics.covariance)


def test_another_key_misses(location: str) -> None:
    Cache(location).store({"data": "a"}, measurement())
    assert Cache(location).load({"data": "b"}, CPU) is None
    assert Cache(location).load({"data": "a", "split": "valid"}, CPU) is None


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b"", lambda content: b"nonsense"])
def test_a_damaged_entry_counts_as_none(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    Cache(tmp_path).store({"data": "a"}, measurement())
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    assert Cache(tmp_path).load({"data": "a"}, CPU) is None
    assert "computed again" in caplog.text


def test_one_flipped_byte_of_the_numbers_is_noticed(tmp_path: Path) -> None:
    Cache(tmp_path).store({"data": "a"}, measurement())
    (entry,) = tmp_path.iterdir()
    content = bytearray(entry.read_bytes())
    position = content.find(measurement().features.numpy().tobytes())
    content[position + 5] ^= 1
    entry.write_bytes(content)
    assert Cache(tmp_path).load({"data": "a"}, CPU) is None


def test_a_cache_that_cannot_be_written_only_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    Cache(tmp_path / "cache").store({"data": "a"}, measurement())
    assert "not shared" in caplog.text


def test_nothing_half_written_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    Cache(tmp_path).store({"data": "a"}, measurement())
    assert list(tmp_path.iterdir()) == []
