"""What a search found: its trials in order, which of them are worth their cost, and which fields matter."""

import csv
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.distributions import BaseDistribution

from raygan.pipeline.tuning.space import Values
from raygan.pipeline.tuning.study import Completed, State, TrialRecord, completed_study


class Row(NamedTuple):
    """One trial in the ranking. `score` is the mean over its seeds, `spread` their standard deviation."""

    trial: int
    values: Values
    state: State
    score: float | None
    spread: float | None
    seeds: int
    position: int  # images
    cost: float  # core- or GPU-seconds
    reason: str


def finished(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that reached the end, the best first."""
    return sorted((record for record in records if record.state == "finished"), key=lambda record: record.score or 0.0)


def rank(records: Sequence[TrialRecord], finals: Sequence[TrialRecord]) -> list[Row]:
    """The rows in order: finalists by the mean over their seeds, other finished trials, stopped trials, failed trials.

    A stopped trial that got further comes first. `finals` are the repetitions with other seeds.
    """
    rows = [_row(record, [other for other in finals if other.values["trial"] == record.number]) for record in records]
    return sorted(rows, key=_order)


def _row(record: TrialRecord, repeats: Sequence[TrialRecord]) -> Row:
    scores = [other.score for other in (record, *finished(repeats)) if other.score is not None]
    several = record.state == "finished" and len(scores) > 1
    return Row(
        record.number,
        record.values,
        record.state,
        statistics.mean(scores) if several else record.score,
        statistics.stdev(scores) if several else None,
        len(scores),
        record.position,
        record.cost,
        record.reason,
    )


def _order(row: Row) -> tuple[int, int, float]:
    score = float("inf") if row.score is None else row.score
    if row.state == "finished":
        return (0 if row.spread is not None else 1), 0, score
    return (3 if row.state == "failed" else 2), -row.position, score


def front(rows: Sequence[Row]) -> list[Row]:
    """The finished trials that no other beats in both score and cost, the cheapest first."""
    best, chosen = float("inf"), []
    for row in sorted((row for row in rows if row.state == "finished"), key=lambda row: (row.cost, row.score)):
        if row.score is not None and row.score < best:
            best = row.score
            chosen.append(row)
    return chosen


class Importance(NamedTuple):
    """What `importances` found, and the study of the trials that it compared."""

    position: int  # images
    shares: dict[str, float]  # by field, the largest first; empty if nothing is to be explained
    study: optuna.Study


def importances(records: Sequence[TrialRecord], distributions: dict[str, BaseDistribution]) -> Importance:
    """Which share of the scores' variance each field explains: fANOVA, Hutter et al., ICML 2014.

    Scores are compared at the position where most trials have one, since a stopped trial has none at the end. With
    fewer than three different scores there is nothing to explain.
    """
    counts = Counter(position for record in records for position in record.scores)
    position = max(counts, key=lambda at: (counts[at], at), default=0)
    compared = [record for record in records if position in record.scores]
    study = completed_study(
        [Completed(record.values, (record.scores[position],)) for record in compared], distributions, objectives=1
    )
    if len({trial.value for trial in study.get_trials(deepcopy=False)}) < 3:
        return Importance(position, {}, study)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=0)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return Importance(position, {field: float(share) for field, share in shares.items()}, study)


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows as a CSV file, with a column for each field that varied."""
    fields = list(rows[0].values) if rows else []
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rank", "trial", *fields, "state", "score", "spread", "seeds", "images", "seconds", "reason"])
        for number, row in enumerate(rows, 1):
            values = [row.values[field] for field in fields]
            measured = [row.state, row.score, row.spread, row.seeds, row.position, f"{row.cost:.1f}", row.reason]
            table.writerow([number, f"{row.trial:04d}", *values, *measured])
