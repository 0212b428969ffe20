"""The node's copies of remote shards: downloaded once and whole, bounded in size, tried again when the store fails."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from raygan.pipeline.data.shard_cache import ShardCache
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.format.manifest import Manifest
from raygan.sharding.storage import retries
from raygan.sharding.storage.folder import Folder
from tests.pipeline.small_datasets import write_dataset
from tests.pipeline.stores import bring, opened, reads

COUNTS = [10] * 6


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder behind the remote data set."""
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.01)
    return write_dataset(tmp_path / "remote", COUNTS)


def held(remote: Path) -> dict[str, int]:
    files = (remote.parent / "copies").glob("*/*")
    return {path.name: path.stat().st_size for path in files if path.suffix != ".lock"}


def test_processes_on_a_node_download_each_shard_once(remote: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [context.Process(target=bring, args=(remote, barrier)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sorted(reads(remote)) == [entry.name for entry in Manifest.load(remote).shards]


def test_a_worker_killed_while_it_downloads_leaves_nothing_in_the_way(remote: Path) -> None:
    (remote / "slow").write_text("60")
    worker = multiprocessing.get_context("spawn").Process(target=bring, args=(remote,))
    worker.start()
    while not reads(remote):
        assert worker.is_alive()
        time.sleep(0.01)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    (remote / "slow").unlink()
    bring(remote)
    assert held(remote) == {entry.name: entry.bytes for entry in Manifest.load(remote).shards}


def test_a_download_that_breaks_off_is_tried_again(remote: Path) -> None:
    (remote / "failures").write_text(str(retries.TRANSFER_ATTEMPTS - 1))
    bring(remote)
    assert len(reads(remote)) == len(COUNTS) + retries.TRANSFER_ATTEMPTS - 1


def test_a_store_that_stays_away_ends_the_run_with_the_shard_s_name(remote: Path) -> None:
    (remote / "failures").write_text("1000")
    shards, manifest = opened(remote)
    with pytest.raises(RunError, match=r"train-000002\.tar: the store hung up \(tried 6 times\)"):
        shards.use(manifest.shards[2], Path.read_bytes)
    assert held(remote) == {}


def test_a_shard_that_is_gone_is_not_asked_for_again(remote: Path) -> None:
    shards, manifest = opened(remote)
    (remote / "train-000001.tar").unlink()
    with pytest.raises(RunError, match=r"train-000001\.tar: .*put it back"):
        shards.use(manifest.shards[1], Path.read_bytes)
    assert reads(remote) == ["train-000001.tar"]


def test_other_bytes_than_the_manifest_names_are_never_used(remote: Path) -> None:
    shards, manifest = opened(remote)
    path = remote / "train-000004.tar"
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"train-000004\.tar.*SHA-256"):
        shards.use(manifest.shards[4], Path.read_bytes)
    assert held(remote) == {}


def test_a_truncated_copy_is_downloaded_again(remote: Path) -> None:
    bring(remote)
    copy = next((remote.parent / "copies").glob("*/train-000003.tar"))
    os.truncate(copy, 100)
    bring(remote)
    assert reads(remote).count("train-000003.tar") == 2


def test_the_least_recently_used_copies_are_deleted_first(remote: Path) -> None:
    size = Manifest.load(remote).shards[0].bytes
    shards, manifest = opened(remote, limit=3 * size + 100)
    for number in (0, 1, 2, 0, 3):
        shards.use(manifest.shards[number], Path.read_bytes)
        assert sum(held(remote).values()) <= 3 * size + 100
    assert sorted(held(remote)) == ["train-000000.tar", "train-000002.tar", "train-000003.tar"]


def test_a_deleted_copy_stays_readable_for_who_has_it_mapped(remote: Path) -> None:
    shards, manifest = opened(remote, limit=manifest_bytes(remote))
    mapped = shards.use(manifest.shards[0], lambda path: np.memmap(path, np.uint8, "r"))
    shards.use(manifest.shards[1], Path.read_bytes)
    assert list(held(remote)) == ["train-000001.tar"]
    assert mapped.tobytes() == (remote / "train-000000.tar").read_bytes()


def manifest_bytes(remote: Path) -> int:
    return Manifest.load(remote).shards[0].bytes


def test_read_ahead_brings_the_shards_and_reports_what_failed(remote: Path) -> None:
    shards, manifest = opened(remote)
    shards.expect(manifest.shards[:3])
    shards.expect(manifest.shards[:3])
    for entry in manifest.shards[:3]:
        shards.use(entry, Path.read_bytes)
    assert sorted(reads(remote)) == [entry.name for entry in manifest.shards[:3]]
    (remote / "train-000005.tar").unlink()
    shards.expect(manifest.shards[5:])
    with pytest.raises(RunError, match=r"train-000005\.tar"):
        expect_nothing_more(shards)
    shards.close()


def expect_nothing_more(shards: ShardCache) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shards.expect(())


def test_a_download_that_ends_while_another_frees_space_is_no_failure(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other download's part gets its last name between the listing of the folder and the look at its files."""
    shards, manifest = opened(remote)
    other = shards._directory / f".{manifest.shards[1].name}.part"
    other.write_bytes(bytes(manifest.shards[1].bytes))
    listing = Path.glob

    def listed_then_renamed(folder: Path, pattern: str) -> list[Path]:
        found = list(listing(folder, pattern))
        if other in found:
            other.rename(other.with_name(manifest.shards[1].name))
        return found

    monkeypatch.setattr(Path, "glob", listed_then_renamed)
    assert len(shards.use(manifest.shards[0], Path.read_bytes)) == manifest.shards[0].bytes
    assert not other.exists()
    shards.close()


def test_a_window_larger_than_the_cache_is_refused(remote: Path) -> None:
    shards, manifest = opened(remote, limit=2 * manifest_bytes(remote))
    shards.demand(manifest.shards[:2])
    with pytest.raises(UserError, match="lower the window"):
        shards.demand(manifest.shards[:3])


def test_without_a_folder_copies_are_in_the_cache_folder_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ShardCache(Folder(str(tmp_path)), "digest", "", 10**9).close()
    assert (tmp_path / "cache" / "raygan" / "shards" / "digest").is_dir()
