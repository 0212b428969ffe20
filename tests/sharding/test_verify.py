"""verify() finds every changed byte, and merely opening a shard finds every changed header byte."""

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygan.sharding.convert import convert
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.format.shard import open_shard
from raygan.sharding.options import ShardingOptions
from raygan.sharding.verify import verify
from tests.sharding.sources import made as sources

pytestmark = pytest.mark.ray_cluster
TRIED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["npy", "jpg", "png"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ray_cluster: str) -> Path:
    root = tmp_path_factory.mktemp(request.param)
    source = sources.official(root / "source", 20)
    convert(str(source), str(root / "shards"), ShardingOptions(size=32, encoding=request.param))
    return root / "shards"


def flip(path: Path, place: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_an_undamaged_data_set_has_no_problems(dataset: Path) -> None:
    found = verify(str(dataset))
    assert (found.problems, found.samples, found.shards) == ((), 20, 3)
    assert verify(str(dataset), fast=True).problems == ()


@TRIED
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_one_flipped_bit_anywhere_in_a_shard_is_found(dataset: Path, tmp_path: Path, place: int, bit: int) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy, dirs_exist_ok=True)
    shard = copy / "valid-000000.tar"
    flip(shard, place % shard.stat().st_size, bit)
    assert any("valid-000000.tar" in problem for problem in verify(str(copy)).problems)


@TRIED
@given(st.data())
def test_one_flipped_bit_in_a_header_is_found_by_opening(dataset: Path, tmp_path: Path, data: st.DataObject) -> None:
    import tarfile

    manifest = Manifest.load(dataset)
    entry = manifest.shards_of("test")[0]
    path = tmp_path / entry.name
    shutil.copy(dataset / entry.name, path)
    with tarfile.open(path) as tar:
        headers = [member.offset for member in tar]
    flip(path, data.draw(st.sampled_from(headers)) + data.draw(st.integers(0, 511)), data.draw(st.integers(0, 7)))
    with pytest.raises(RunError, match=entry.name):
        open_shard(path, entry, manifest)


@TRIED
@given(st.integers(0, 10**9), st.integers(0, 6))
def test_one_flipped_bit_in_the_manifest_is_found(dataset: Path, tmp_path: Path, place: int, bit: int) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy, dirs_exist_ok=True)
    text = (copy / "manifest.json").read_text()
    place %= len(text)
    changed = text[:place] + chr(ord(text[place]) ^ (1 << bit)) + text[place + 1 :]
    (copy / "manifest.json").write_text(changed)
    if changed.split() == text.split():  # white space between tokens says nothing
        return
    with pytest.raises(UserError):
        verify(str(copy))


@pytest.mark.parametrize("fast", [True, False])
def test_a_missing_a_short_and_a_foreign_file_are_named(dataset: Path, tmp_path: Path, fast: bool) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    (copy / "train-000000.tar").unlink()
    (copy / "test-000000.tar").write_bytes((copy / "test-000000.tar").read_bytes()[:-1024])
    (copy / "train-000007.tar").write_bytes(b"")
    problems = verify(str(copy), fast=fast).problems
    assert len(problems) == 3
    assert "train-000000.tar: missing" in problems[0]
    assert "test-000000.tar" in problems[1]
    assert "train-000007.tar: not in manifest.json" in problems[2]


def test_fast_needs_no_webdataset(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    assert verify(str(dataset), fast=True).problems == ()
