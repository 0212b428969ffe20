"""The driver's side of a search, with a real tracking store and without a trial."""

from collections import Counter
from pathlib import Path

import pytest

from raygan.pipeline.config import Evaluation, Launch, smoke
from raygan.pipeline.launch.plan import plan as plan_of_a_run
from raygan.pipeline.tuning import recording
from raygan.pipeline.tuning.coordinator import Coordinator, open_finals
from raygan.pipeline.tuning.search import Options, capacity, plan
from raygan.pipeline.tuning.space import parse
from raygan.sharding.errors import UserError
from tests.pipeline.tuning.searches import mlflow_runs, planned, study_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("searches")


def test_a_trial_that_fails_is_recorded_with_its_reason_and_the_search_goes_on(shards: Path, folder: Path) -> None:
    space = {"r1": "1.0,0.0", "discriminator.normalisation": "batch,none"}
    config = smoke().model_copy(update={"images": 64})
    launch = Launch(shards=str(shards), runs=str(folder), name="failing")
    data = plan_of_a_run(config, launch).data.manifest.digest
    search = plan(config, launch, parse(space), Options(search="grid"), data)
    search = recording.begin_search(search, "raygan tune")
    search.save()
    stopped: list[str] = []
    coordinator = Coordinator(search, stopped.append, stopping=lambda: False)

    names = [coordinator.next_trial() for _ in range(3)]  # of four, one cannot be
    assert None not in names
    assert [coordinator.next_trial(), coordinator.exhausted] == [None, False]
    first, second, third = map(str, names)
    coordinator.on_result(first, {"position": 64, "score": 2.0, "seconds": 5.0})
    coordinator.on_end(first, "failed", "loss/generator is nan at 64 images")
    coordinator.on_result(second, {"position": 64, "score": 1.0, "seconds": 5.0})
    coordinator.on_result(second, {"position": 64, "score": 1.0, "seconds": 1.0})  # started again
    coordinator.on_end(second, "finished", "")
    coordinator.on_end(third, "finished", "")  # its evaluation failed
    coordinator.close()

    records = coordinator.study.records()
    reasons = " ".join(record.reason for record in records if record.state == "failed")
    assert "which batch normalisation mixes" in reasons
    assert "loss/generator is nan" in reasons
    assert "its last evaluation failed" in reasons
    assert [record.cost for record in records if record.state == "finished"] == [6.0]
    _, trials = mlflow_runs(search)
    assert Counter(trial.info.status for trial in trials) == {"FAILED": 2, "FINISHED": 1}
    (failed,) = [trial for trial in trials if trial.info.run_name == f"failing-{first}"]
    assert failed.data.tags["reason"] == "loss/generator is nan at 64 images"


def test_the_next_driver_ends_what_had_ended_and_hands_out_the_rest_under_the_runs_they_had(
    shards: Path, folder: Path
) -> None:
    search = planned(shards, folder, "next", 64, trials=3, scheduler="none", finalists=0)
    search = recording.begin_search(search, "raygan tune")
    search.save()
    first = Coordinator(search, stop_one=lambda name: None, stopping=lambda: False)
    assert [first.next_trial(), first.next_trial()] == ["0000", "0001"]
    first.study.report(0, 64, 2.0, cost=1.0)
    first.study.end(0, "finished")
    first.study.report(1, 32, 3.0, cost=1.0)  # killed before either was written to MLflow
    before = {run.info.run_name: run.info.run_id for run in mlflow_runs(search)[1]}
    assert {run.info.status for run in mlflow_runs(search)[1]} == {"RUNNING"}

    second = Coordinator(search, stop_one=lambda name: None, stopping=lambda: False)
    second.sync_status(second.study)
    assert [status.state for status in second.statuses.values()] == ["finished", "interrupted"]
    assert [second.next_trial(), second.next_trial(), second.next_trial()] == ["0001", "0002", None]
    goes_on = second.statuses["0001"]
    assert (goes_on.state, goes_on.position, goes_on.score) == ("running", 32, 3.0)
    statuses = {run.info.run_name: run.info.status for run in mlflow_runs(search)[1]}
    assert statuses == {"next-0000": "FINISHED", "next-0001": "RUNNING", "next-0002": "RUNNING"}
    after = {run.info.run_name: run.info.run_id for run in mlflow_runs(search)[1]}
    assert before.items() <= after.items()
    second.close()
    assert {run.info.status for run in mlflow_runs(search)[1]} == {"FINISHED", "KILLED"}


def test_a_trial_is_scored_at_rungs_and_at_its_end_or_as_any_run_if_none_is_stopped(shards: Path, folder: Path) -> None:
    def scored(evaluation: Evaluation) -> list[int]:
        return [position for position in range(16, 1600, 16) if evaluation.due(position - 16, position)]

    asha = planned(shards, folder, "x", 1600, first_rung=100, rung_count=8)
    assert scored(asha.base.evaluation) == [112, 304, 912]
    assert asha.rungs is not None
    assert [asha.rungs.passed(position) for position in (96, 112, 304, 912)] == [0, 1, 2, 3]
    assert (asha.base.evaluation.count, asha.base.evaluation.final_count) == (8, asha.config.evaluation.count)
    none = planned(shards, folder, "x", 1600, scheduler="none")
    assert scored(none.base.evaluation) == [800]
    assert none.base.checkpoints.every == none.config.checkpoints.every


def test_a_trial_that_does_not_fit_is_refused_with_the_numbers(shards: Path, folder: Path) -> None:
    nodes = [{"CPU": 2.0, "memory": 1e9}, {"CPU": 3.0, "GPU": 1.0}]
    assert capacity(planned(shards, folder, "x", 64, trials=9), nodes).trials == 5
    assert capacity(planned(shards, folder, "x", 64, workers=2, trials=9), nodes).trials == 2
    assert capacity(planned(shards, folder, "x", 64, trials=9, concurrent=3), nodes).trials == 3
    with pytest.raises(UserError, match=r"`workers_per_trial` 6: .* 5 CPUs, 1 GPUs on 2 node.*capacity for 5 worker"):
        capacity(planned(shards, folder, "x", 64, workers=6), nodes)
    with pytest.raises(UserError, match=r"`concurrent` 4: .*which is 2 trial"):
        capacity(planned(shards, folder, "x", 64, workers=2, concurrent=4), nodes)


def test_finals_are_the_best_with_other_seeds(shards: Path, folder: Path) -> None:
    search = planned(shards, folder, "finals", 64, trials=4, finalists=2, seeds=3)
    search.save()
    study = study_of(search)
    for score in (3.0, 1.0, 2.0, 4.0):
        record = study.next_trial()
        assert record is not None
        study.report(record.number, 64, score, cost=1.0)
        study.end(record.number, "finished")
    finals = open_finals(search, study)
    handed = []
    while record := finals.next_trial():
        handed.append((record.values["trial"], record.values["seed"]))
    assert sorted(handed) == [(1, 1), (1, 2), (2, 1), (2, 2)]
