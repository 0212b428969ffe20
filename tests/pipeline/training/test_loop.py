import math
from pathlib import Path
from typing import Any

import pytest
import torch

from raygan.pipeline.config import Config, Launch, smoke
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation.scores import Evaluator
from raygan.pipeline.objectives.adversarial.objective import AdversarialObjective
from raygan.pipeline.training import checkpoint, loop
from raygan.pipeline.training.header import Header, read_header
from raygan.pipeline.training.loop import NotFiniteError
from raygan.pipeline.training.throughput import Throughput
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder
from tests.pipeline import stores  # noqa: F401  (registers flaky://)
from tests.pipeline.training.sessions import KilledError, PlainSession


def config(**settings: object) -> Config:
    return Config.model_validate(dict(smoke()) | settings)


def trained(shards: Path, session: PlainSession, settings: Config) -> PlainSession:
    loop.train(settings, DataSet.open(str(shards)), DistributedContext(), session)
    return session


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / checkpoint.STATE, weights_only=True)


def header(folder: Path) -> Header:
    return read_header(Folder(str(folder)))


def test_a_run_leaves_curves_images_scores_and_checkpoints_at_their_positions(shards: Path, tmp_path: Path) -> None:
    session = trained(shards, PlainSession(tmp_path), config())
    curves = [position for position, values in session.points if "loss/generator" in values]
    assert curves == [64, 128, 192, 256]
    for _, values in session.points:
        assert all(math.isfinite(value) for value in values.values())
    assert [position for position, _ in session.images] == [0, 128, 256]
    scores = {position: set(values) for position, values in session.points if "score/fd_randconv" in values}
    assert scores == {at: {"score/fd_randconv", "score/kid_randconv"} for at in (128, 256)}
    assert sorted(path.name for path in tmp_path.glob("checkpoint_*")) == [
        f"checkpoint_{position:012d}" for position in (64, 128, 192, 256)
    ]
    assert [set(header(session.checkpoint(at)).scores) for at in (192, 256)] == [set(), {"fd_randconv", "kid_randconv"}]


@pytest.mark.parametrize("killed_at", [64, 192])
def test_a_run_that_was_killed_and_resumed_ends_bit_identical(shards: Path, tmp_path: Path, killed_at: int) -> None:
    settings = config(balance=1.5)
    whole = trained(shards, PlainSession(tmp_path / "whole"), settings)
    killed = PlainSession(tmp_path / "killed", killed_at=killed_at)
    with pytest.raises(KilledError):
        trained(shards, killed, settings)
    resumed = PlainSession(tmp_path / "resumed", earlier=[killed.checkpoint(killed_at)])
    trained(shards, resumed, settings)
    torch.testing.assert_close(state(resumed.checkpoint(256)), state(whole.checkpoint(256)), rtol=0, atol=0)
    found, expected = (header(session.checkpoint(256)) for session in (resumed, whole))
    assert (found.position, found.scores) == (expected.position, expected.scores)
    assert torch.equal(torch.from_numpy(resumed.images[-1][1]), torch.from_numpy(whole.images[-1][1]))


def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_taken(shards: Path, tmp_path: Path) -> None:
    whole = trained(shards, PlainSession(tmp_path / "whole"), config())
    newest, before = (whole.checkpoint(position) for position in (192, 128))
    content = bytearray((newest / checkpoint.STATE).read_bytes())
    content[-100] ^= 1
    (newest / checkpoint.STATE).write_bytes(content)
    resumed = trained(shards, PlainSession(tmp_path / "resumed", earlier=[newest, before]), config())
    ((_, words),) = resumed.warnings
    assert str(newest / checkpoint.STATE) in words
    assert sorted(path.name for path in resumed.folder.iterdir())[0] == "checkpoint_000000000192"
    torch.testing.assert_close(state(resumed.checkpoint(256)), state(whole.checkpoint(256)), rtol=0, atol=0)
    with pytest.raises(RunError, match="every checkpoint is damaged"):
        trained(shards, PlainSession(tmp_path / "lost", earlier=[newest]), config())


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    shards: Path, tmp_path: Path
) -> None:
    poisoned = AdversarialObjective(config(), 32, DistributedContext())
    with torch.no_grad():
        next(poisoned.generator.parameters()).fill_(torch.nan)
    checkpoint.write(tmp_path / "start", checkpoint.snapshot(poisoned, 64, data="", identity={}, scores={}))
    session = PlainSession(tmp_path / "run", earlier=[tmp_path / "start"])
    with pytest.raises(NotFiniteError, match=r"is nan at 128 images; lower the learning rates"):
        trained(shards, session, config())
    assert not list((tmp_path / "run").glob("*"))


def test_an_evaluation_that_fails_is_reported_and_ends_nothing(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Evaluator, "score", lambda *_: (_ for _ in ()).throw(RunError("no space left")))
    session = trained(shards, PlainSession(tmp_path), config())
    assert session.warnings == [(at, f"the evaluation at {at} images failed: no space left") for at in (128, 256)]
    assert header(session.checkpoint(256)).scores == {}


def test_an_evaluation_in_the_background_gets_the_generator_as_it_is_and_the_last_one_is_not_in_the_background(
    shards: Path, tmp_path: Path
) -> None:
    background = smoke().evaluation.model_copy(update={"background": True})
    session = trained(shards, PlainSession(tmp_path), config(evaluation=background))
    ((position, images),) = session.background
    assert position == 128
    shown = dict(session.images)[128]
    assert (torch.from_numpy(shown[2:34, 2:34]).permute(2, 0, 1).int() - images[0].int()).abs().max() <= 1
    assert header(session.checkpoint(128)).scores == {}
    assert set(header(session.checkpoint(256)).scores) == {"fd_randconv", "kid_randconv"}


def test_remote_shards_and_their_attributes_train_to_the_same_end_and_are_copied_to_the_folder_asked_for(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    whole = trained(shards, PlainSession(tmp_path / "local"), config(attributes=("Smiling",)))
    far = PlainSession(tmp_path / "far")
    launch = Launch(shards=f"flaky://{shards}", shard_cache=str(tmp_path / "copies"), shard_cache_bytes=10**9)
    loop.train(config(attributes=("Smiling",)), DataSet.of(launch), DistributedContext(), far)
    torch.testing.assert_close(state(far.checkpoint(256)), state(whole.checkpoint(256)), rtol=0, atol=0)
    assert len(list((tmp_path / "copies").glob("*/train-*.tar"))) == len(list(shards.glob("train-*.tar")))
    assert not (tmp_path / "home").exists()


def test_the_throughput_leaves_pauses_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    throughput = Throughput(position=1000)
    now[0] += 4
    with throughput.paused():
        now[0] += 50
    assert throughput.lap(1200, waited=1.0) == {"speed/images_per_second": 50.0, "speed/waiting_for_data": 0.25}
    now[0] += 2
    assert throughput.lap(1300, waited=1.0) == {"speed/images_per_second": 50.0, "speed/waiting_for_data": 0.0}
