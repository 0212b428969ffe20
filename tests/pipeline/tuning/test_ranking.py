import csv
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib
import pytest

from raygan.jobs.defaults import from_file
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.tuning import plots
from raygan.pipeline.tuning.ranking import front, importances, rank, write_table
from raygan.pipeline.tuning.results import as_file
from raygan.pipeline.tuning.search import Options, Search
from raygan.pipeline.tuning.space import Range, Values, default, overlay
from raygan.pipeline.tuning.study import State, TrialRecord, distributions_of


def record(number: int, state: State, scores: dict[int, float], cost: float = 1.0, reason: str = "") -> TrialRecord:
    rate = 1e-4 * (number + 1)
    values = {"generator.learning_rate": rate, "discriminator.learning_rate": 2 * rate, "balance": 1.0 + number % 2}
    return TrialRecord(number, values, state, scores, cost, reason)


RECORDS = [
    record(0, "finished", {10: 5.0, 30: 3.0}, cost=30),
    record(1, "stopped", {10: 1.0}, cost=10),
    record(2, "finished", {10: 4.0, 30: 2.0}, cost=40),
    record(3, "failed", {10: 0.5}, reason="loss/generator is nan"),
    record(4, "finished", {30: 3.5}, cost=35),
    record(5, "stopped", {10: 2.0, 20: 6.0}, cost=20),
]


def final(trial: int, seed: int, score: float) -> TrialRecord:
    return TrialRecord(seed, {"trial": trial, "seed": seed}, "finished", {30: score}, 1.0, "")


def test_finalists_are_ranked_by_all_their_seeds_then_come_those_that_got_furthest_and_failures_last() -> None:
    rows = rank(RECORDS, [final(2, 1, 4.0), final(2, 2, 6.0), final(0, 1, 3.2), final(0, 2, 2.8)])
    assert [row.trial for row in rows] == [0, 2, 4, 5, 1, 3]
    assert (rows[1].score, rows[1].spread, rows[1].seeds) == (4.0, 2.0, 3)
    assert rows[2].spread is None


def test_the_front_holds_what_no_other_beats_in_both_score_and_cost() -> None:
    assert [row.trial for row in front(rank(RECORDS, []))] == [0, 2]


def test_the_best_configuration_is_a_file_that_train_takes(tmp_path: Path) -> None:
    search = Search(config=smoke(), launch=Launch(name="s"), space=default(smoke()), options=Options(), data="d")
    (best, *_) = rank(RECORDS, [])
    file = tmp_path / "best.yaml"
    file.write_text(as_file(search, best))
    assert from_file(file) == overlay(smoke(), RECORDS[2].values)


def test_the_table_and_the_plots_are_written_whatever_the_trials_came_to(tmp_path: Path) -> None:
    rows = rank(RECORDS, [])
    write_table(rows, tmp_path / "ranking.csv")
    with (tmp_path / "ranking.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["trial"] for line in table] == [f"{row.trial:04d}" for row in rows]
    assert float(table[0]["generator.learning_rate"]) == rows[0].values["generator.learning_rate"]
    (map_,) = plots.heat_maps(rows, tmp_path / "map.png")
    cost = plots.cost(rows, front(rows), "CPU", tmp_path / "cost.png")
    for picture in (map_, cost):
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert plots.heat_maps(rank([RECORDS[3]._replace(scores={})], []), tmp_path / "none.png") == []
    one = plots.cost(rank(RECORDS[1:2], []), [], "CPU", tmp_path / "one.png")
    assert one.exists()
    finished = plots.cost(rank([RECORDS[0], RECORDS[4]], []), [], "CPU", tmp_path / "finished.png")  # none was stopped
    assert finished.exists()


def test_importances_are_drawn_if_there_is_something_to_explain_and_the_style_of_other_plots_stays(
    tmp_path: Path,
) -> None:
    space = default(smoke()) | {"discriminator.learning_rate": Range(low=5e-5, high=2e-3, log=True)}
    distributions = distributions_of(space, smoke())
    before = dict(matplotlib.rcParams)
    (picture,) = plots.importance(importances(RECORDS, distributions), tmp_path / "importance.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    plots.cost(rank(RECORDS, []), [], "CPU", tmp_path / "cost.png")
    assert dict(matplotlib.rcParams) == before
    assert plots.importance(importances(RECORDS[:2], distributions), tmp_path / "none.png") == []


@pytest.mark.parametrize(
    ("values", "axes"),
    [
        ([{"balance": 1.0, "generator.learning_rate": 1e-4}, {"balance": 2.0, "generator.learning_rate": 2e-4}], 2),
        (
            [{"r1": 0.0, "ema_half_life": 100}, {"r1": 1.0, "ema_half_life": 5_000}, {"r1": 1.0, "ema_half_life": 100}],
            2,
        ),
        ([{"r1": 0.0, "loss": "bce"}, {"r1": 1.0, "loss": "hinge"}], 1),
        ([{"balance": "auto", "r1": 0.0}, {"balance": 1.0, "r1": 1.0}], 1),
        ([{"balance": 1.0, "r1": 0.0}, {"balance": 1.0, "r1": 1.0}], 1),
        ([{"balance": 1.0, "r1": 0.0}], 0),
    ],
)
def test_a_heat_map_is_drawn_of_any_two_numbers_that_were_varied(
    values: list[Values], axes: int, tmp_path: Path
) -> None:
    rows = rank([TrialRecord(number, of, "finished", {10: number}, 1.0, "") for number, of in enumerate(values)], [])
    assert len(plots.varied(rows)) == axes
    assert len(plots.heat_maps(rows, tmp_path / "map.png")) == (axes == 2)


def test_the_learning_rates_and_then_the_balance_come_first_in_a_heat_map() -> None:
    point = {"r1": 0.0, "balance": 1.0, "discriminator.learning_rate": 1e-4, "generator.learning_rate": 1e-4}
    other = {field: 2 * value + 1 for field, value in point.items()}
    rows = rank(
        [TrialRecord(number, of, "finished", {10: 1.0}, 1.0, "") for number, of in enumerate((point, other))], []
    )
    assert plots.varied(rows) == ["generator.learning_rate", "discriminator.learning_rate", "balance", "r1"]


@pytest.mark.parametrize(
    ("values", "scale", "cells"), [((0.5, 1, 5), "log", 3), ((0.0, 1, 2), "linear", 3), (range(1, 100), "log", 5)]
)
def test_every_value_lies_in_a_cell_of_its_axis(values: Sequence[float], scale: str, cells: int) -> None:
    axis = plots.Cells.of(values)
    assert (axis.scale, len(axis.centres), len(axis.edges)) == (scale, cells, cells + 1)
    held = [sum(low < value <= high for value in values) for low, high in pairwise(axis.edges)]
    assert sum(held) == len(values)
    if cells == len(values):
        assert held == [1] * cells
        assert axis.centres == pytest.approx(values)
