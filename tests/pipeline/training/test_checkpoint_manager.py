"""Which checkpoints are kept, and what happens to one that cannot be written."""

import math
import threading
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from raygan.pipeline.config import smoke
from raygan.pipeline.training import checkpoint, runs
from raygan.pipeline.training.checkpoint import Snapshot
from raygan.pipeline.training.checkpoint_manager import CheckpointManager, kept
from raygan.pipeline.training.header import Header, best, read_header
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from tests.faults import objectstore


def header(position: int, score: float | None = None, extractor: str = "randconv") -> Header:
    scores = {} if score is None else {f"kid_{extractor}": 0.0, f"fd_{extractor}": score}
    return Header(position=position, config=smoke(), size=32, data="", identity={"by": extractor}, scores=scores)


def test_the_newest_and_the_best_stay() -> None:
    run = [header(1, 9.0), header(2, 3.0), header(3, 5.0), header(4), header(5, 4.0)]
    assert kept(run, position=5, keep=2) == {2, 4, 5}
    assert kept(run, position=5, keep=4) == {2, 3, 4, 5}
    assert kept([header(1), header(2)], position=2, keep=1) == {2}


def test_a_missing_score_and_one_that_is_not_finite_are_never_the_best() -> None:
    assert kept([header(1, 7.0), header(2, math.nan), header(3, -math.inf), header(4)], 4, keep=1) == {1, 4}


def test_scores_of_another_identity_are_not_compared() -> None:
    run = [header(1, 0.1, "other"), header(2, 8.0), header(3, 9.0)]
    assert kept(run, position=3, keep=1) == {2, 3}


def test_fid_decides_where_there_is_one() -> None:
    def scored(position: int, fid: float, kid: float) -> tuple[int, Header]:
        return position, header(position).model_copy(update={"scores": {"kid": kid, "fid": fid}})

    assert best([scored(1, fid=20.0, kid=0.1), scored(2, fid=10.0, kid=0.9)]) == 2


def test_checkpoints_beyond_the_newest_position_are_deleted() -> None:
    assert kept([header(1), header(2), header(9, 0.0)], position=2, keep=2) == {1, 2}


def snapshot(position: int, score: float) -> Snapshot:
    return Snapshot(header(position, score), memoryview(b"state"))


def test_only_what_is_kept_stays_on_disk_and_nothing_of_killed_writers(tmp_path: Path) -> None:
    killed = Folder(str(tmp_path)) / runs.checkpoint_name(2)
    killed.write(".state.pt.0123.tmp", b"half")
    manager = CheckpointManager(Folder(str(tmp_path)), keep=2)
    for position, score in ((1, 1.0), (3, 5.0), (4, 6.0), (5, 7.0)):
        manager.save(snapshot(position, score))
        manager.wait()
    manager.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [runs.checkpoint_name(at) for at in (1, 4, 5)]
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path)))[0]) == 5


def test_a_checkpoint_that_cannot_be_written_is_reported_and_the_next_one_is_written(tmp_path: Path) -> None:
    manager = CheckpointManager(Folder(str(tmp_path / "run")), keep=1)
    (tmp_path / "run").touch()  # a file where the folder should be
    manager.save(snapshot(1, 1.0))
    with pytest.raises(RunError, match=r"checkpoint_000000000001: the checkpoint could not be written"):
        manager.wait()
    (tmp_path / "run").unlink()
    manager.save(snapshot(2, 1.0))
    manager.wait()
    manager.close()
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path / "run")))[0]) == 2


def test_the_last_checkpoint_is_written_once_that_is_possible(tmp_path: Path) -> None:
    manager = CheckpointManager(Folder(str(tmp_path / "run")), keep=1)
    (tmp_path / "run").touch()
    manager.save(snapshot(1, 1.0))
    with pytest.raises(RunError):
        manager.wait()
    threading.Timer(1, (tmp_path / "run").unlink).start()
    manager.retry()
    manager.close()
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path / "run")))[0]) == 1


@pytest.mark.server
def test_training_continues_while_the_object_store_is_away_and_the_checkpoint_is_written_once_it_is_back(
    tmp_path: Path,
) -> None:
    with objectstore.behind_a_proxy(tmp_path) as (proxy, settings):
        folder = Folder("s3://runs/all/one", S3FileSystem(**settings))
        manager = CheckpointManager(folder, keep=1)
        manager.save(snapshot(1, 1.0))
        manager.wait()
        proxy.behave("refuses")
        for position in (2, 3, 4):  # none of them waits; the third replaces the second
            manager.save(snapshot(position, 2.0))
        with pytest.raises(ConnectionError):
            runs.checkpoints(folder)
        proxy.behave("well")
        manager.wait()
        manager.close()
        assert [runs.position_of(kept) for kept in runs.checkpoints(folder)] == [4, 1]
        assert read_header(folder / runs.checkpoint_name(1)).scores["fd_randconv"] == 1.0


def test_a_late_score_is_added_to_its_checkpoint_and_can_make_it_the_best(tmp_path: Path) -> None:
    run = Folder(str(tmp_path))
    manager = CheckpointManager(run, keep=1)
    manager.save(Snapshot(header(1), memoryview(b"state")))
    manager.wait()
    manager.rescore(1, {"fd_randconv": 3.0}, {"by": "randconv"})
    manager.rescore(7, {"fd_randconv": 1.0}, {"by": "randconv"})  # it is no longer there
    for position, score in ((2, 5.0), (3, 6.0)):
        manager.save(snapshot(position, score))
    manager.wait()
    manager.close()
    assert [runs.position_of(folder) for folder in runs.checkpoints(run)] == [3, 1]
    first = run / runs.checkpoint_name(1)
    assert read_header(first).scores == {"fd_randconv": 3.0}
    assert checkpoint.content(first) == b"state"  # and the digest fits both


def test_a_score_is_not_added_to_a_damaged_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = CheckpointManager(Folder(str(tmp_path)), keep=1)
    manager.save(Snapshot(header(1), memoryview(b"state")))
    manager.wait()
    folder = tmp_path / runs.checkpoint_name(1)
    (folder / checkpoint.STATE).write_bytes(b"stale")
    manager.rescore(1, {"fd_randconv": 3.0}, {"by": "randconv"})
    manager.close()
    assert read_header(Folder(str(folder))).scores == {}
    assert "could not be noted" in caplog.text
