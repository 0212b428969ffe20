"""What is there after a search was killed: every study here is opened again, as the next process does it."""

import shutil
from pathlib import Path

import pytest

from raygan.pipeline.config import smoke
from raygan.pipeline.tuning.ranking import importances
from raygan.pipeline.tuning.search import Rungs, load
from raygan.pipeline.tuning.space import Values, parse
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions_of

RELEASED = Path(__file__).parent / "runs_of_0_1"  # a search that raygan 0.1 began, killed with two trials running

SPACE = parse({"balance": "0.5:5", "loss": "bce,hinge", "generator.betas": "[0.0,0.9],[0.5,0.999]"})
DISTRIBUTIONS = distributions_of(SPACE, smoke())


def opened(folder: Path, count: int = 6, rungs: Rungs | None = None) -> Study:
    return Study(folder / "journal.log", "search", DISTRIBUTIONS, count, rungs=rungs)


def run(study: Study, score: float) -> Values:
    record = study.next_trial()
    assert record is not None
    study.report(record.number, 100, score, cost=1.0)
    study.end(record.number, "finished")
    return record.values


def test_a_search_killed_between_any_two_trials_tries_the_same_values_as_one_that_was_not_killed(
    tmp_path: Path,
) -> None:
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    whole = opened(tmp_path / "whole")
    values = [run(whole, score) for score in range(6)]
    assert [run(opened(tmp_path / "killed"), score) for score in range(6)] == values
    assert len({value["balance"] for value in values}) == 6
    assert whole.next_trial() is None
    assert [record.score for record in opened(tmp_path / "whole").records()] == [0, 1, 2, 3, 4, 5]


def test_a_trial_that_had_not_ended_is_handed_out_again_first_with_what_it_had_reached(tmp_path: Path) -> None:
    study = opened(tmp_path)
    run(study, 1.0)
    begun = study.next_trial()
    assert begun is not None
    study.report(begun.number, 50, 0.5, cost=3.0)

    resumed = opened(tmp_path)
    again = resumed.next_trial()
    assert again is not None
    assert (again.number, again.values, again.scores, again.cost) == (begun.number, begun.values, {50: 0.5}, 3.0)
    resumed.report(again.number, 50, 9.9, cost=4.0)  # it went on from a checkpoint before its score
    assert resumed[again.number].scores == {50: 0.5}
    following = resumed.next_trial()
    assert following is not None
    assert following.number == 2


def test_known_points_are_tried_first_and_only_once(tmp_path: Path) -> None:
    point = {"balance": 2.0, "loss": "hinge", "generator.betas": (0.5, 0.999)}
    opened(tmp_path).enqueue([point])
    study = opened(tmp_path)
    study.enqueue([point])
    assert run(study, 0.0) == point
    assert run(study, 0.0) != point


def test_rungs_let_the_best_go_on_across_a_restart(tmp_path: Path) -> None:
    rungs = Rungs(first=10, reduction=3)
    assert [rungs.passed(position) for position in (9, 10, 29, 30, 90)] == [0, 1, 1, 2, 3]
    stopped = []
    for score in (5.0, 6.0, 7.0, 4.0, 8.0, 3.0):
        study = opened(tmp_path, rungs=rungs)
        record = study.next_trial()
        assert record is not None
        if study.report(record.number, 10, score, cost=1.0):
            stopped.append(score)
            study.end(record.number, "stopped")
        else:
            study.end(record.number, "finished")
    assert stopped == [6.0, 7.0, 8.0]


def test_a_trial_that_was_to_be_stopped_when_the_search_was_killed_is_not_continued(tmp_path: Path) -> None:
    study = opened(tmp_path, rungs=Rungs(10, 3))
    for score in (1.0, 2.0):
        record = study.next_trial()
        assert record is not None
        stop = study.report(record.number, 10, score, cost=1.0)
    assert stop
    resumed = opened(tmp_path, rungs=Rungs(10, 3))
    assert [record.state for record in resumed.records()] == ["running", "stopped"]
    again = resumed.next_trial()
    assert again is not None
    assert again.number == 0


def test_a_search_that_the_released_version_began_resumes(tmp_path: Path) -> None:
    search = load(RELEASED, "released")
    journal = shutil.copy(RELEASED / "released" / "journal.log", tmp_path)
    distributions = distributions_of(search.space, search.base)
    study = Study(Path(journal), "search", distributions, search.count, sampler="optuna", rungs=search.rungs)
    states = ["finished", "stopped", "failed", "stopped", "running"]  # 3 was to be stopped, but had not ended
    assert [record.state for record in study.records()] == states
    assert study[0].values == {"balance": 1.0, "loss": "bce", "generator.betas": (0.5, 0.999), "ema_half_life": 500}
    assert (study[0].scores, study[0].cost) == ({32: 2.0, 256: 1.0}, 25.6)
    assert study[2].reason == "loss/generator is nan at 16 images"
    assert "was not among the best of its rung" in study[3].reason
    running, new = study.next_trial(), study.next_trial()
    assert running is not None
    assert (running.number, running.scores) == (4, {32: 0.5})
    assert new is not None
    assert new.number == 5
    assert study.next_trial() is None


def test_score_and_cost_can_be_minimised_together(tmp_path: Path) -> None:
    study = Study(tmp_path / "journal.log", "search", DISTRIBUTIONS, 25, sampler="optuna", seed=1, costs=True)
    for _ in range(25):
        record = study.next_trial()
        assert record is not None
        balance = record.values["balance"]
        assert not study.report(record.number, 10, abs(balance - 2), cost=abs(balance - 3))
        study.end(record.number, "failed" if record.number == 3 else "finished", "")
    early, late = (study.records()[some] for some in (slice(10), slice(15, None)))
    assert mean_distance(late) < mean_distance(early)


def mean_distance(records: list[TrialRecord]) -> float:
    """From the balances that no other beats in both."""
    return sum(max(2 - e.values["balance"], e.values["balance"] - 3, 0) for e in records) / len(records)


def test_importance_names_the_field_that_decides_where_most_trials_have_a_score(tmp_path: Path) -> None:
    study = opened(tmp_path, count=20)
    for number in range(20):
        record = study.next_trial()
        assert record is not None
        study.report(record.number, 10, record.values["balance"] ** 2, cost=1.0)
        if number % 4 == 0:
            study.report(record.number, 30, 0.0, cost=2.0)
        study.end(record.number, "stopped")
    position, shares, *_ = importances(study.records(), DISTRIBUTIONS)
    assert position == 10
    assert max(shares, key=lambda field: shares[field]) == "balance"
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(study.records()[:2], DISTRIBUTIONS).shares == {}
