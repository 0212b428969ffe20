import math
from pathlib import Path

import pytest

from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.training import runs
from raygan.pipeline.training.header import HEADER, Header
from raygan.pipeline.training.runs import Run
from raygan.sharding.errors import UserError
from raygan.sharding.storage.folder import Folder


def record(folder: Path, name: str) -> Run:
    launch = Launch(name=name, shards="/shards", runs=folder, workers=3)
    run = Run(config=smoke(), launch=launch, data="d1", tracking="sqlite:///x.db", run_id="abc")
    run.save()
    return run


def checkpointed(folder: Path, name: str, position: int, whole: bool = True, **scores: float) -> Folder:
    path = Folder(str(folder / name)) / runs.checkpoint_name(position)
    path.write("state.pt", b"")
    if whole:
        header = Header(position=position, config=smoke(), size=32, data="d1", identity={}, scores=scores)
        path.write(HEADER, header.model_dump_json().encode())
    return path


def test_a_run_is_found_again_as_it_was(tmp_path: Path) -> None:
    run = record(tmp_path, "a")
    assert runs.exists(tmp_path, "a")
    assert runs.load(tmp_path, "a") == run


def test_a_folder_of_runs_may_move(tmp_path: Path) -> None:
    record(tmp_path / "here", "a")
    (tmp_path / "here").rename(tmp_path / "there")
    assert runs.load(tmp_path / "there", "a").folder.local == tmp_path / "there" / "a"


def test_a_run_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such run in .* \(runs there: none yet\)"):
        runs.load(tmp_path, "b")
    record(tmp_path, "a")
    with pytest.raises(UserError, match=r"b: no such run in .* \(runs there: a\)"):
        runs.load(tmp_path, "b")


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    record(tmp_path, "a")
    with pytest.raises(UserError, match="a: it has no checkpoint yet; continue it with: raygan train `resume` a"):
        runs.find_checkpoint(tmp_path, "a")
    checkpointed(tmp_path, "a", 900)
    newest = checkpointed(tmp_path, "a", 12_000)
    checkpointed(tmp_path, "a", 13_000, whole=False)
    assert runs.find_checkpoint(tmp_path, "a") == newest
    assert runs.find_checkpoint(Path("elsewhere"), str(newest)) == newest
    assert runs.find_checkpoint(tmp_path, "a", "best") == newest, "none has a score"


def test_how_to_continue_is_said_even_if_the_checkpoints_are_out_of_reach(tmp_path: Path) -> None:
    launch = Launch(name="a" * 300, runs=tmp_path)  # longer than a file system takes
    run = Run(config=smoke(), launch=launch, data="d1", tracking="sqlite:///x.db", run_id="abc")
    assert "its checkpoints are out of reach" in run.what_remains()
    assert "continue it with: raygan train `resume` a" in run.what_remains()


def test_the_best_checkpoint_is_the_one_with_the_lowest_score(tmp_path: Path) -> None:
    record(tmp_path, "a")
    for position, score in ((64, 9.0), (128, 4.0), (192, math.nan), (256, 7.0)):
        checkpointed(tmp_path, "a", position, fd_randconv=score)
    assert runs.position_of(runs.find_checkpoint(tmp_path, "a", "best")) == 128
    assert runs.position_of(runs.find_checkpoint(tmp_path, "a", "newest")) == 256
