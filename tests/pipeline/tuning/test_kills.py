"""Whole searches on Ray: real trials, real kills of each kind of process, a real tracking store."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raygan.jobs.cli import main
from raygan.jobs.defaults import from_file
from raygan.pipeline.tuning import tune
from raygan.pipeline.tuning.coordinator import name_of
from raygan.pipeline.tuning.search import load
from tests import strangers
from tests.pipeline.tuning.searches import (
    checkpoints,
    comes_true,
    interrupt,
    made_by,
    mlflow_runs,
    nothing_is_left_behind,
    once,
    planned,
    processes,
    rates_and_betas,
    run,
    study_of,
)
from tests.pipeline.tuning.updates import Update, attempts, noted_trial


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("searches")


def test_every_sampled_value_is_in_the_optimizers_from_the_first_step_and_after_a_worker_was_killed(
    shards: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 5, read by the worker itself before each update. With finals: a search from its start to its results."""
    monkeypatch.setattr(tune, "run_trial", noted_trial)
    search = planned(shards, folder, "promise", 2048, trials=2, scheduler="none", concurrent=1, finalists=1, seeds=2)

    def kill() -> None:
        (process,) = processes("ImplicitFunc")
        process.kill()

    killing = once(lambda: bool(checkpoints(search, "0000")), kill)
    run(search)
    assert not killing.is_alive(), "no worker was killed"

    records = study_of(search).records()
    assert [(record.state, record.position) for record in records] == [("finished", 2048)] * 2
    for record, runs in zip(records, (2, 1), strict=True):
        made = attempts(search.trials / name_of(record.number))
        assert len(made) == runs
        for updates in made:
            for network in ("discriminator", "generator"):
                rate, betas = record.values[f"{network}.learning_rate"], record.values[f"{network}.betas"]
                assert {update for update in updates if update.network == network} == {Update(network, rate, betas)}
            turns = Counter(update.network for update in updates)
            more = turns["generator"] - turns["discriminator"] / record.values["balance"]
            assert -2 < more < 1  # the rhythm is the position's, and the kill may fall between two updates of a step
        assert (turns["discriminator"] < 2048 // search.config.batch) == (runs == 2)  # the second went on

    search = load(search.launch.runs, search.name)
    parent, trials = mlflow_runs(search)
    assert parent.info.status == "FINISHED"
    assert [trial.info.status for trial in trials] == ["FINISHED"] * 3
    best = from_file(search.folder / "best.yaml")
    by_score = min(records, key=lambda record: record.score or 0.0)
    assert best.generator.learning_rate == by_score.values["generator.learning_rate"]
    assert {trial.info.run_name for trial in trials} == {
        "promise-0000",
        "promise-0001",
        f"promise-{name_of(by_score.number, 1)}",
    }
    held = {file.path for file in MlflowClient(search.tracking).list_artifacts(parent.info.run_id)}
    assert {"best.yaml", "ranking.csv", "heat-map.png", "score-against-cost.png"} <= held
    assert comes_true(nothing_is_left_behind)


def test_a_search_that_is_killed_and_then_interrupted_loses_no_trial_and_repeats_none(
    shards: Path, folder: Path, ray_cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["tune", "--shards", str(shards), "--runs", str(folder), "--name", "killed", "--resume", "auto"]
    command += ["--preset", "smoke", "--images", "2048", "--trials", "4", "--search", "random", "--finalists", "0"]
    command += ["--concurrent", "1", "--vary", "balance=0.5:5:log"]
    here = strangers.write_packages(folder / "here")  # the search and its trials run beside them
    path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"RAY_ADDRESS": ray_cluster, "PYTHONPATH": path}
    process = subprocess.Popen(
        [sys.executable, "-m", "raygan.jobs", *command], cwd=here, env=environment, stderr=subprocess.PIPE
    )
    journal = folder / "killed" / "journal.log"

    def some_ended() -> bool:
        if not journal.exists():
            return False
        lines = [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("}")]
        return any("state" in line.get("user_attr", {}) for line in lines)

    assert comes_true(lambda: some_ended() or process.poll() is not None)
    process.kill()
    process.wait()
    search = load(folder, "killed")
    ended = {record.number: record for record in study_of(search).records() if record.state != "running"}
    before = {run.info.run_name: run.info.end_time for run in mlflow_runs(search)[1] if run.info.end_time}
    assert 1 <= len(ended) < 4
    assert before
    assert comes_true(nothing_is_left_behind)

    once(lambda: bool(processes("ImplicitFunc")), interrupt)
    with pytest.raises(SystemExit) as end:
        main(["tune", "--resume", "killed", "--runs", str(folder)])
    assert end.value.code == 130
    assert "continue it with: raygan tune --resume killed" in capsys.readouterr().err
    parent, trials = mlflow_runs(search)
    assert "RUNNING" not in {run.info.status for run in [parent, *trials]}
    assert parent.info.status == "KILLED"

    main(command)
    records = study_of(search).records()
    assert len(records) == 4
    assert {position for record in records for position in record.scores} <= {240, 720, 2048}  # rungs, and the end
    assert {record.state for record in records} <= {"finished", "stopped"}
    assert {record.number: record for record in records if record.number in ended} == ended
    parent, trials = mlflow_runs(search)
    assert parent.info.status == "FINISHED"
    assert Counter(run.info.run_name for run in trials) == {f"killed-{name_of(number)}": 1 for number in range(4)}
    statuses = {"finished": "FINISHED", "stopped": "KILLED"}
    assert {run.info.run_name: run.info.status for run in trials} == {
        f"killed-{name_of(record.number)}": statuses[record.state] for record in records
    }
    untouched = {run.info.run_name: run.info.end_time for run in trials if run.info.run_name in before}
    finished_before = {name: when for name, when in before.items() if int(name[-4:]) in ended}
    assert finished_before.items() <= untouched.items()


def test_a_trial_of_two_workers_goes_on_when_a_worker_and_then_its_driver_is_killed_and_leaves_nothing_behind(
    shards: Path, folder: Path
) -> None:
    search = planned(shards, folder, "pairs", 1024, workers=2, trials=1, scheduler="none", finalists=0)

    def kill_both() -> None:
        kept = checkpoints(search, "0000")
        processes("RayTrainWorker")[0].kill()
        assert comes_true(lambda: checkpoints(search, "0000")[-1:] > kept[-1:])
        (driver,) = processes("ImplicitFunc")
        driver.kill()

    killing = once(lambda: bool(checkpoints(search, "0000")), kill_both)
    run(search)
    assert not killing.is_alive(), "not both were killed"
    (record,) = study_of(search).records()
    assert (record.state, record.position) == ("finished", 1024)
    held, updates = made_by(checkpoints(search, "0000")[-1])
    assert held == rates_and_betas(record)
    assert updates["discriminator"] == 1024 // search.config.batch
    assert updates["generator"] == pytest.approx(updates["discriminator"] / record.values["balance"], abs=1)
    assert comes_true(nothing_is_left_behind)
