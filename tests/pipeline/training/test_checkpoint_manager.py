"""What is kept of a run, and what happens to a checkpoint that cannot be written."""

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
    def judged(position: int, fid: float, kid: float) -> tuple[int, Header]:
        return position, header(position).model_copy(update={"scores": {"kid": kid, "fid": fid}})

    assert best([judged(1, fid=20.0, kid=0.1), judged(2, fid=10.0, kid=0.9)]) == 2


def test_what_lies_beyond_the_position_was_given_up() -> None:
    assert kept([header(1), header(2), header(9, 0.0)], position=2, keep=2) == {1, 2}


def snapshot(position: int, score: float) -> Snapshot:
    return Snapshot(header(position, score), memoryview(b"state"))


def test_a_keeper_leaves_on_disk_what_is_kept_and_nothing_of_killed_writers(tmp_path: Path) -> None:
    killed = Folder(str(tmp_path)) / runs.checkpoint_name(2)
    killed.write(".state.pt.0123.tmp", b"half")
    keeper = CheckpointManager(Folder(str(tmp_path)), keep=2)
    for position, score in ((1, 1.0), (3, 5.0), (4, 6.0), (5, 7.0)):
        keeper.save(snapshot(position, score))
        keeper.wait()
    keeper.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [runs.checkpoint_name(at) for at in (1, 4, 5)]
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path)))[0]) == 5


def test_a_checkpoint_that_cannot_be_written_is_said_and_the_next_one_is_written(tmp_path: Path) -> None:
    keeper = CheckpointManager(Folder(str(tmp_path / "run")), keep=1)
    (tmp_path / "run").touch()  # a file where the folder should be
    keeper.save(snapshot(1, 1.0))
    with pytest.raises(RunError, match=r"checkpoint_000000000001: the checkpoint could not be written"):
        keeper.wait()
    (tmp_path / "run").unlink()
    keeper.save(snapshot(2, 1.0))
    keeper.wait()
    keeper.close()
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path / "run")))[0]) == 2


def test_the_last_checkpoint_is_written_once_there_is_room(tmp_path: Path) -> None:
    keeper = CheckpointManager(Folder(str(tmp_path / "run")), keep=1)
    (tmp_path / "run").touch()
    keeper.save(snapshot(1, 1.0))
    with pytest.raises(RunError):
        keeper.wait()
    threading.Timer(1, (tmp_path / "run").unlink).start()
    keeper.retry()
    keeper.close()
    assert runs.position_of(runs.checkpoints(Folder(str(tmp_path / "run")))[0]) == 1


@pytest.mark.server
def test_training_goes_on_while_the_object_store_is_away_and_the_checkpoint_is_there_once_it_is_back(
    tmp_path: Path,
) -> None:
    with objectstore.behind_a_proxy(tmp_path) as (proxy, settings):
        folder = Folder("s3://runs/all/one", S3FileSystem(**settings))
        keeper = CheckpointManager(folder, keep=1)
        keeper.save(snapshot(1, 1.0))
        keeper.wait()
        proxy.behave("refuses")
        for position in (2, 3, 4):  # none of them waits; the second is given up for the third
            keeper.save(snapshot(position, 2.0))
        with pytest.raises(ConnectionError):
            runs.checkpoints(folder)
        proxy.behave("well")
        keeper.wait()
        keeper.close()
        assert [runs.position_of(kept) for kept in runs.checkpoints(folder)] == [4, 1]
        assert read_header(folder / runs.checkpoint_name(1)).scores["fd_randconv"] == 1.0


def test_a_score_that_comes_late_is_noted_and_makes_a_checkpoint_the_best(tmp_path: Path) -> None:
    run = Folder(str(tmp_path))
    keeper = CheckpointManager(run, keep=1)
    keeper.save(Snapshot(header(1), memoryview(b"state")))
    keeper.wait()
    keeper.rescore(1, {"fd_randconv": 3.0}, {"by": "randconv"})
    keeper.rescore(7, {"fd_randconv": 1.0}, {"by": "randconv"})  # it is no longer there
    for position, score in ((2, 5.0), (3, 6.0)):
        keeper.save(snapshot(position, score))
    keeper.wait()
    keeper.close()
    assert [runs.position_of(folder) for folder in runs.checkpoints(run)] == [3, 1]
    first = run / runs.checkpoint_name(1)
    assert read_header(first).scores == {"fd_randconv": 3.0}
    assert checkpoint.content(first) == b"state"  # and the digest fits both


def test_a_score_is_not_noted_in_a_damaged_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = CheckpointManager(Folder(str(tmp_path)), keep=1)
    keeper.save(Snapshot(header(1), memoryview(b"state")))
    keeper.wait()
    folder = tmp_path / runs.checkpoint_name(1)
    (folder / checkpoint.STATE).write_bytes(b"stale")
    keeper.rescore(1, {"fd_randconv": 3.0}, {"by": "randconv"})
    keeper.close()
    assert read_header(Folder(str(folder))).scores == {}
    assert "could not be noted" in caplog.text
