"""What a search found: its trials in order, the spread of the best over seeds, and what quality costs."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from raygan.pipeline.tuning.space import Values
from raygan.pipeline.tuning.study import State, TrialRecord


class Row(NamedTuple):
    """One trial in the ranking. `score` is the mean over its seeds, `spread` their standard deviation."""

    trial: int
    values: Values
    state: State
    score: float | None
    spread: float | None
    seeds: int
    position: int  # images
    cost: float  # seconds of its CPU cores or GPUs
    reason: str


def finished(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those that reached the end, the best first."""
    return sorted((record for record in records if record.state == "finished"), key=lambda record: record.score or 0.0)


def rank(records: Sequence[TrialRecord], finals: Sequence[TrialRecord]) -> list[Row]:
    """Finalists by their mean over the seeds, then what reached the end, then what got furthest; failures last."""
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


def write_table(rows: Sequence[Row], path: Path) -> None:
    """A CSV file with a column for each value."""
    fields = list(rows[0].values) if rows else []
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rank", "trial", *fields, "state", "score", "spread", "seeds", "images", "seconds", "reason"])
        for number, row in enumerate(rows, 1):
            values = [row.values[field] for field in fields]
            told = [row.state, row.score, row.spread, row.seeds, row.position, f"{row.cost:.1f}", row.reason]
            table.writerow([number, f"{row.trial:04d}", *values, *told])
