"""What a finished search leaves in its folder and with its run: the best configuration, the ranking, the plots."""

from pathlib import Path
from typing import NamedTuple

import yaml

from raygan.pipeline.config import Config
from raygan.pipeline.tuning import ranking, recording
from raygan.pipeline.tuning.ranking import Row
from raygan.pipeline.tuning.search import Search
from raygan.pipeline.tuning.space import overlay, short
from raygan.pipeline.tuning.study import Study, TrialRecord, distributions, importances
from raygan.sharding.errors import RunError

BEST, RANKING = "best.yaml", "ranking.csv"


class SearchResults(NamedTuple):
    """`importance`: by field, the share of the scores' variance that it explains at `compared_at` images."""

    rows: list[Row]  # the best first
    front: list[Row]  # the cheapest first
    importance: dict[str, float]
    compared_at: int
    best: Path
    undelivered: int  # writes that MLflow has not taken


def write(search: Search, study: Study, finals: Study | None) -> SearchResults:
    """Raises RunError if no trial reached its end."""
    from raygan.pipeline.tuning import plots  # imports matplotlib

    records = study.records()
    rows = ranking.rank(records, finals.records() if finals else [])
    if not rows or rows[0].state != "finished":
        raise RunError(f"search {search.name}: no trial reached its end ({_reasons(records)}); widen `vary`")
    front = ranking.front(rows)
    at, importance = importances(records, distributions(search.space, search.config))

    best = search.folder / BEST
    best.write_text(as_file(search, rows[0]))
    ranking.write_table(rows, search.folder / RANKING)
    pictures = [
        *plots.heat_maps(rows, search.folder / "heat-map.png"),
        plots.cost(rows, front, "GPU" if search.launch.gpu else "CPU", search.folder / "score-against-cost.png"),
        *plots.importance(importance, at, search.folder / "importance.png"),
    ]
    metrics = {f"importance/{field}": share for field, share in importance.items()}
    metrics |= {"best/score": rows[0].score or 0.0} | ({"best/spread": s} if (s := rows[0].spread) is not None else {})
    left = recording.keep(
        search, [best, search.folder / RANKING, *pictures], metrics, _note(search, rows, importance, at)
    )
    return SearchResults(rows, front, importance, at, best, left)


def as_file(search: Search, row: Row) -> str:
    """A trial's configuration as YAML, which `raygan train` takes as its configuration file."""
    config: Config = overlay(search.config, row.values)
    spread = "" if row.spread is None else f", {row.spread:.3g} deviation over {row.seeds} seeds"
    score = "none" if row.score is None else f"{row.score:.6g}"
    head = f"# trial {row.trial:04d} of search {search.name}: {search.options.score} {score}{spread}\n"
    return head + yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _note(search: Search, rows: list[Row], importance: dict[str, float], at: int) -> str:
    """The description of the search's run, in Markdown."""
    fields = list(search.space)
    head = f"| trial | {' | '.join(fields)} | {search.options.score} | seeds |"
    table = [head, "|" + "---|" * (len(fields) + 3)]
    for row in rows[:5]:
        score = "" if row.score is None else f"{row.score:.5g}" + ("" if row.spread is None else f" ± {row.spread:.2g}")
        values = " | ".join(short(row.values[field]) for field in fields)
        table.append(f"| {row.trial:04d} | {values} | {score} | {row.seeds} |")
    shares = ", ".join(f"{field} {share:.0%}" for field, share in importance.items())
    told = [f"**Importance** at {at:,} images: {shares}"] if shares else []
    return "\n\n".join([f"**Search** of {len(rows)} trials, best first", "\n".join(table), *told])


def _reasons(records: list[TrialRecord]) -> str:
    reasons = [record.reason for record in records if record.state == "failed"]
    return f"{len(reasons)} failed, the last: {reasons[-1]}" if reasons else "none failed"
