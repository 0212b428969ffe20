"""The files of a finished search, in its folder and in MLflow: the best configuration, the ranking, the plots."""

from pathlib import Path
from typing import NamedTuple

import yaml

from raygan.pipeline.config import Config
from raygan.pipeline.tuning import ranking, recording
from raygan.pipeline.tuning.ranking import Importance, Row
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.space import overlay, short
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions_of
from raygan.sharding.errors import RunError
from raygan.sharding.storage.folder import Folder

BEST, RANKING = "best.yaml", "ranking.csv"


class SearchResults(NamedTuple):
    """The trials in order, what was learnt of the fields, and the file with the best configuration."""

    rows: list[Row]  # the best first
    front: list[Row]  # the cheapest first
    importance: Importance
    best: Path
    undelivered: int  # writes that MLflow has not taken


def write(search: Search, study: Study, finals: Study | None) -> SearchResults:
    """Writes the files of a search that has ended, and adds them to its MLflow run. `finals`: the other seeds.

    Raises RunError if no trial reached its end.
    """
    from raygan.pipeline.tuning import plots  # imports matplotlib

    records = study.records()
    rows = ranking.rank(records, finals.records() if finals else [])
    if not rows or rows[0].state != "finished":
        raise RunError(f"search {search.name}: no trial reached its end ({_reasons(records)}); widen `vary`")
    front = ranking.front(rows)
    importance = ranking.importances(records, distributions_of(search.space, search.config))

    best = search.folder / BEST
    Folder(str(search.folder)).write(BEST, as_file(search, rows[0]).encode())
    ranking.write_table(rows, search.folder / RANKING)
    pictures = [
        *plots.heat_maps(rows, search.folder / "heat-map.png"),
        plots.cost(rows, front, "GPU" if search.launch.gpu else "CPU", search.folder / "score-against-cost.png"),
        *plots.importance(importance, search.folder / "importance.png"),
    ]
    metrics = {f"importance/{field}": share for field, share in importance.shares.items()}
    metrics |= {"best/score": rows[0].score or 0.0} | ({"best/spread": s} if (s := rows[0].spread) is not None else {})
    left = recording.log_results(
        search, [best, search.folder / RANKING, *pictures], metrics, _note(search, rows, importance)
    )
    return SearchResults(rows, front, importance, best, left)


def as_file(search: Search, row: Row) -> str:
    """A trial's configuration as YAML, which `raygan train` takes as its configuration file."""
    config: Config = overlay(search.config, row.values)
    spread = "" if row.spread is None else f", {row.spread:.3g} deviation over {row.seeds} seeds"
    score = "none" if row.score is None else f"{row.score:.6g}"
    head = f"# trial {row.trial:04d} of search {search.name}: {search.options.score} {score}{spread}\n"
    return head + yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _note(search: Search, rows: list[Row], importance: Importance) -> str:
    """The description of the search's run, in Markdown."""
    fields = list(search.space)
    head = f"| trial | {' | '.join(fields)} | {search.options.score} | seeds |"
    table = [head, "|" + "---|" * (len(fields) + 3)]
    for row in rows[:5]:
        score = "" if row.score is None else f"{row.score:.5g}" + ("" if row.spread is None else f" ± {row.spread:.2g}")
        values = " | ".join(short(row.values[field]) for field in fields)
        table.append(f"| {row.trial:04d} | {values} | {score} | {row.seeds} |")
    shares = ", ".join(f"{field} {share:.0%}" for field, share in importance.shares.items())
    last = [f"**Importance** at {importance.position:,} images: {shares}"] if shares else []
    return "\n\n".join([f"**Search** of {len(rows)} trials, best first", "\n".join(table), *last])


def _reasons(records: list[TrialRecord]) -> str:
    reasons = [record.reason for record in records if record.state == "failed"]
    return f"{len(reasons)} failed, the last: {reasons[-1]}" if reasons else "none failed"
