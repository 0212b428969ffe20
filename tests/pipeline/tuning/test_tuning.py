"""The driver's side of a search, with a real tracking store and without a trial."""

from collections import Counter
from pathlib import Path

import pytest

from raygan.pipeline.config import Evaluation, Launch, smoke
from raygan.pipeline.launch.trainer import plan as plan_of_a_run
from raygan.pipeline.tuning import recording
from raygan.pipeline.tuning.capacity import room
from raygan.pipeline.tuning.coordinator import Coordinator, open_finals
from raygan.pipeline.tuning.search import Options, plan
from raygan.pipeline.tuning.space import parse
from raygan.sharding.errors import UserError
from tests.pipeline.tuning.searches import ledger_of, mlflow_runs, planned


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("searches")


def test_a_trial_that_fails_is_recorded_with_its_reason_and_the_search_goes_on(shards: Path, place: Path) -> None:
    space = {"r1": "1.0,0.0", "discriminator.normalisation": "batch,none"}
    config = smoke().model_copy(update={"images": 64})
    launch = Launch(shards=str(shards), runs=str(place), name="failing")
    data = plan_of_a_run(config, launch).digest
    search = plan(config, launch, parse(space), Options(search="grid"), data)
    search = recording.begin_search(search, "raygan tune")
    search.save()
    stopped: list[str] = []
    conductor = Coordinator(search, stopped.append, stopping=lambda: False)

    names = [conductor.next() for _ in range(3)]  # of four, one cannot be
    assert None not in names
    assert [conductor.next(), conductor.over] == [None, False]
    first, second, third = map(str, names)
    conductor.result(first, {"position": 64, "score": 2.0, "seconds": 5.0})
    conductor.ended(first, "failed", "loss/generator is nan at 64 images")
    conductor.result(second, {"position": 64, "score": 1.0, "seconds": 5.0})
    conductor.result(second, {"position": 64, "score": 1.0, "seconds": 1.0})  # started again
    conductor.ended(second, "finished", "")
    conductor.ended(third, "finished", "")  # its evaluation failed
    conductor.close()

    entries = conductor.ledger.entries()
    reasons = " ".join(entry.reason for entry in entries if entry.state == "failed")
    assert "which batch normalisation mixes" in reasons
    assert "loss/generator is nan" in reasons
    assert "its last evaluation failed" in reasons
    assert [entry.cost for entry in entries if entry.state == "finished"] == [6.0]
    _, trials = mlflow_runs(search)
    assert Counter(trial.info.status for trial in trials) == {"FAILED": 2, "FINISHED": 1}
    (failed,) = [trial for trial in trials if trial.info.run_name == f"failing-{first}"]
    assert failed.data.tags["reason"] == "loss/generator is nan at 64 images"


def test_the_next_driver_ends_what_had_ended_and_hands_out_the_rest_under_the_runs_they_had(
    shards: Path, place: Path
) -> None:
    search = planned(shards, place, "next", 64, trials=3, scheduler="none", finalists=0)
    search = recording.begin_search(search, "raygan tune")
    search.save()
    first = Coordinator(search, stop_one=lambda name: None, stopping=lambda: False)
    assert [first.next(), first.next()] == ["0000", "0001"]
    first.ledger.report(0, 64, 2.0, cost=1.0)
    first.ledger.end(0, "finished")
    first.ledger.report(1, 32, 3.0, cost=1.0)  # killed before MLflow heard of either
    before = {run.info.run_name: run.info.run_id for run in mlflow_runs(search)[1]}
    assert {run.info.status for run in mlflow_runs(search)[1]} == {"RUNNING"}

    second = Coordinator(search, stop_one=lambda name: None, stopping=lambda: False)
    second.settle(second.ledger)
    assert [standing.state for standing in second.standings.values()] == ["finished", "interrupted"]
    assert [second.next(), second.next(), second.next()] == ["0001", "0002", None]
    goes_on = second.standings["0001"]
    assert (goes_on.state, goes_on.position, goes_on.score) == ("running", 32, 3.0)
    statuses = {run.info.run_name: run.info.status for run in mlflow_runs(search)[1]}
    assert statuses == {"next-0000": "FINISHED", "next-0001": "RUNNING", "next-0002": "RUNNING"}
    after = {run.info.run_name: run.info.run_id for run in mlflow_runs(search)[1]}
    assert before.items() <= after.items()
    second.close()
    assert {run.info.status for run in mlflow_runs(search)[1]} == {"FINISHED", "KILLED"}


def test_a_trial_is_scored_at_rungs_and_at_its_end_or_as_any_run_if_none_is_stopped(shards: Path, place: Path) -> None:
    def scored(evaluation: Evaluation) -> list[int]:
        return [position for position in range(16, 1600, 16) if evaluation.due(position - 16, position)]

    asha = planned(shards, place, "x", 1600, first_rung=100, rung_count=8)
    assert scored(asha.base.evaluation) == [112, 304, 912]
    assert asha.rungs is not None
    assert [asha.rungs.passed(position) for position in (96, 112, 304, 912)] == [0, 1, 2, 3]
    assert (asha.base.evaluation.count, asha.base.evaluation.final_count) == (8, asha.config.evaluation.count)
    none = planned(shards, place, "x", 1600, scheduler="none")
    assert scored(none.base.evaluation) == [800]
    assert none.base.checkpoints.every == none.config.checkpoints.every


def test_a_trial_that_does_not_fit_is_refused_with_the_numbers(shards: Path, place: Path) -> None:
    nodes = [{"CPU": 2.0, "memory": 1e9}, {"CPU": 3.0, "GPU": 1.0}]
    assert room(planned(shards, place, "x", 64, trials=9), nodes).trials == 5
    assert room(planned(shards, place, "x", 64, workers=2, trials=9), nodes).trials == 2
    assert room(planned(shards, place, "x", 64, trials=9, concurrent=3), nodes).trials == 3
    with pytest.raises(UserError, match=r"`workers_per_trial` 6: .* 5 CPUs, 1 GPUs on 2 node.*room for 5 worker"):
        room(planned(shards, place, "x", 64, workers=6), nodes)
    with pytest.raises(UserError, match=r"`concurrent` 4: .*which is 2 trial"):
        room(planned(shards, place, "x", 64, workers=2, concurrent=4), nodes)


def test_finals_are_the_best_with_other_seeds(shards: Path, place: Path) -> None:
    search = planned(shards, place, "finals", 64, trials=4, finalists=2, seeds=3)
    search.save()
    ledger = ledger_of(search)
    for score in (3.0, 1.0, 2.0, 4.0):
        entry = ledger.next()
        assert entry is not None
        ledger.report(entry.number, 64, score, cost=1.0)
        ledger.end(entry.number, "finished")
    finals = open_finals(search, ledger)
    handed = []
    while entry := finals.next():
        handed.append((entry.values["trial"], entry.values["seed"]))
    assert sorted(handed) == [(1, 1), (1, 2), (2, 1), (2, 2)]
