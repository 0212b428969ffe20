import os
import shutil
import time
from pathlib import Path

import pytest

from raygan.pipeline.data.integrity import MARGIN, check_unchanged
from raygan.sharding.errors import RunError
from raygan.sharding.format.manifest import Manifest
from tests.pipeline.small_datasets import write_dataset


def test_a_shard_that_was_replaced_is_found_though_its_length_and_its_dates_are_the_same(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "faces", [8, 8])
    entries = Manifest.load(folder).shards
    since = time.time() + MARGIN - 0.001  # as if all clocks agreed
    check_unchanged(folder, entries, since)
    time.sleep(0.02)
    one, other = (folder / entry.name for entry in entries)
    dates = one.stat()
    shutil.copy(other, one)
    os.utime(one, ns=(dates.st_atime_ns, dates.st_mtime_ns))
    with pytest.raises(RunError, match=f"{one}: it is not the shard that the run was started with"):
        check_unchanged(folder, entries, since)


def test_a_shard_that_was_touched_and_is_the_same_passes_and_one_that_is_gone_does_not(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "faces", [8])
    entries = Manifest.load(folder).shards
    check_unchanged(folder, entries, since=0.0)
    (folder / entries[0].name).unlink()
    with pytest.raises(RunError, match="No such file or directory; put the shard back"):
        check_unchanged(folder, entries, since=0.0)
