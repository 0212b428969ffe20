"""Whatever interrupts a conversion, finished shards are kept, and the result has the bytes of an undisturbed run."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raygan.sharding.convert import convert
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.journal import FOLDER
from raygan.sharding.options import ShardingOptions
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.lock import locked
from tests.sharding.sources import made as sources

pytestmark = pytest.mark.ray_cluster
OPTIONS = ShardingOptions(samples_per_shard=6)
DRIVER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
from raygan.sharding.convert import convert
from raygan.sharding.options import ShardingOptions
done = convert(sys.argv[2], sys.argv[3], ShardingOptions.model_validate_json(sys.argv[4]), workers=2)
print(done.written, done.reused)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.official(tmp_path_factory.mktemp("source") / "celeba", 1200)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def driver(address: str, source: Path, out: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, address, str(source), str(out), OPTIONS.model_dump_json()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(out: Path) -> int:
    return len(list((out / FOLDER).glob("*.tar.json")))


def writers() -> list[psutil.Process]:
    """Ray's workers that write a shard at this moment."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("ray::write_shard") or "ray::write_shard" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_ten_kills_change_no_byte(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    undisturbed = tmp_path / "undisturbed"
    convert(str(source), str(undisturbed), OPTIONS)
    out, chance = tmp_path / "out", random.Random(3)
    drivers_killed = workers_killed = 0
    progress = [0]
    while drivers_killed < 3:
        process = driver(ray_cluster, source, out)
        stops = sorted(progress[-1] + step for step in chance.sample(range(4, 40), 4))
        while process.poll() is None:
            if finished(out) >= stops[0]:
                if len(stops) == 1:
                    process.send_signal(signal.SIGKILL)
                    break
                if workers_killed == 7:
                    stops.pop(0)
                elif busy := writers():
                    chance.choice(busy).send_signal(signal.SIGKILL)
                    workers_killed += 1
                    stops.pop(0)
            time.sleep(0.005)
        process.wait()
        assert process.returncode == -signal.SIGKILL, process.communicate()
        drivers_killed += 1
        assert not (out / "manifest.json").exists()
        progress.append(finished(out))
    assert (drivers_killed, workers_killed) == (3, 7)
    assert progress == sorted(set(progress)), "every attempt went on where the last one stopped"
    done = convert(str(source), str(out), OPTIONS)
    assert done.reused >= progress[-1]
    assert contents(out) == contents(undisturbed)


def test_a_second_converter_of_one_folder_is_refused(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    with (
        locked(Folder(str(tmp_path / FOLDER)), str(tmp_path)),
        pytest.raises(UserError, match=f"process {os.getpid()}"),
    ):
        convert(str(source), str(tmp_path), OPTIONS)
    assert convert(str(source), str(tmp_path), OPTIONS).written


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_clearly_and_keeps_what_is_finished(source: Path, tiny_disk: Path, ray_cluster: str) -> None:
    out = tiny_disk / "out"
    with pytest.raises(RunError, match=r"No space left on device.*finished shards are kept"):
        convert(str(source), str(out), OPTIONS)
    kept = finished(out)
    assert kept > 0
    assert not (out / "manifest.json").exists()
    assert not list(out.glob(".*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=40m", str(tiny_disk)], check=True)
    done = convert(str(source), str(out), OPTIONS)
    assert done.reused == kept


def test_a_source_that_changes_during_a_conversion_is_named(source: Path, tmp_path: Path, ray_cluster: str) -> None:
    copy = sources.official(tmp_path / "celeba", 300)

    def vanish(*_: object) -> None:
        for path in (copy / "img_align_celeba").iterdir():
            path.unlink()

    with pytest.raises(RunError, match=r"No such file.*finished shards are kept"):
        convert(str(copy), str(tmp_path / "out"), OPTIONS, progress=vanish, workers=1)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_interrupt_from_the_keyboard_leaves_a_conversion_that_continues(
    source: Path, tmp_path: Path, ray_cluster: str
) -> None:
    def interrupt(done: int, total: int, words: str) -> None:
        if done > total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(str(source), str(tmp_path), OPTIONS, progress=interrupt, workers=2)
    assert convert(str(source), str(tmp_path), OPTIONS).reused > 0
