"""`raygan tune` around pipeline/tuning: the plan in words, the cluster, the words at the end."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.jobs.cluster.connect import cluster
from raygan.jobs.defaults import read_mapping
from raygan.jobs.ui.progress import console
from raygan.jobs.ui.search_table import shown
from raygan.pipeline.config import Config, Launch
from raygan.pipeline.launch.plan import plan, resolved
from raygan.pipeline.training import runs
from raygan.pipeline.tuning import search as searches
from raygan.pipeline.tuning.results import SearchResults
from raygan.pipeline.tuning.search import Options, Search
from raygan.pipeline.tuning.space import Space, default, parse, short, words
from raygan.sharding.errors import UserError

CHANGEABLE = {"trials", "finalists", "seeds", "concurrent"}  # when a search is resumed


def planned(
    resume: str | None, vary: Sequence[str], space: Path | None, options: Options, launch: Launch, config: Config
) -> Search:
    """The search that the command line asks for, new or resumed. Raises UserError."""
    asked = _space_of(vary, space)
    if resume:
        return _resumed(searches.load(launch.runs, resume), asked, options, launch, config)
    launch = resolved(Launch.model_validate(launch.model_dump()), f"tune-{config.preset}")
    data = plan(config, launch).data
    if searches.exists(launch.runs, launch.name) or runs.exists(launch.runs, launch.name):
        raise UserError(
            f"--name {launch.name}: there is one of that name in {launch.runs}; "
            f"continue it with --resume {launch.name} or choose another name"
        )
    return searches.plan(config, launch, asked or default(config), options, data.manifest.digest)


def _resumed(before: Search, space: Space | None, options: Options, launch: Launch, config: Config) -> Search:
    kept = before.options.model_dump(exclude=CHANGEABLE)
    changed = [f"--{name.replace('_', '-')}" for name, value in kept.items() if getattr(options, name) != value]
    changed += ["--vary"] if space not in (None, before.space) else []
    changed += ["a setting of the trials"] if config != before.config else []
    if changed:
        raise UserError(f"{changed[0]}: search {before.name} keeps what it was started with; leave it out")
    launch = resolved(Launch.model_validate(launch.model_dump() | {"name": before.name}), config.preset)
    if plan(config, launch).data.manifest.digest != before.data:
        raise UserError(f"{launch.shards}: not the data set of search {before.name} (its digest differs)")
    return before.model_copy(update={"options": options, "launch": launch})


def _space_of(vary: Sequence[str], file: Path | None) -> Space | None:
    given: dict[str, Any] = {} if file is None else read_mapping(file, "--space")
    for text in vary:
        field, equals, values = text.partition("=")
        if not equals:
            raise UserError(f"--vary {text}: give FIELD=LOW:HIGH or FIELD=VALUE,VALUE")
        given[field.replace("-", "_")] = values
    return parse(given) if given else None


def describe(search: Search) -> str:
    """The plan in words."""
    options, config = search.options, search.base
    rungs = search.rungs
    stops = "every trial runs to its end"
    if rungs:
        at = [f"{rungs.first * rungs.reduction**k:,}" for k in range(rungs.passed(config.images - 1))]
        stops = f"one in {rungs.reduction} continues after each rung, at {', '.join(at)} images"
    finals = options.finalists * (options.seeds - 1)
    lines = [
        f"search {search.name} in {search.folder}, tracked in {search.launch.tracking}",
        f"{search.count} trials of {config.images:,} images at most, proposed by {options.search}; {stops}",
        f"then the best {options.finalists} with {options.seeds} seeds each: {finals} more" if finals else "no finals",
        *(f"  {text}" for text in words(search.space)),
    ]
    return "\n".join(lines)


def tune_with_table(search: Search) -> SearchResults:
    """Runs the search on the cluster and shows how it stands. Raises UserError and RunError."""
    launch = search.launch
    _say(describe(search))
    with (
        cluster(cpus=search.workers * launch.cpus_per_worker, gpus=search.workers if launch.gpu else 0),
        shown() as show,
    ):
        from raygan.pipeline.tuning.tune import search_all  # imports Ray, which the cluster prepares for

        return search_all(search, show, _say, command=shlex.join(["raygan", *sys.argv[1:]]))


def _say(words: str) -> None:
    console.print(words, markup=False, soft_wrap=not console.is_terminal)


def report(search: Search, found: SearchResults) -> list[str]:
    """What was found, in lines."""
    lines = ["", f"ranking ({search.options.score}, lower is better; finalists: mean and deviation over seeds)"]
    for rank, row in enumerate(found.rows[:5], 1):
        score = "-" if row.score is None else f"{row.score:.5g}"
        spread = "" if row.spread is None else f" ± {row.spread:.2g} over {row.seeds} seeds"
        values = " ".join(f"{field}={short(value)}" for field, value in row.values.items())
        lines.append(
            f"  {rank}. trial {row.trial:04d}  {score}{spread}  {row.state} at {row.position:,} images  {values}"
        )
    unit = "GPU" if search.launch.gpu else "CPU"
    points = "; ".join(f"{row.trial:04d}: {row.score:.4g} for {row.cost:.0f} s" for row in found.front)
    lines.append(f"best for their {unit}-seconds: {points}")
    if found.importance.shares:
        shares = ", ".join(f"{field} {share:.0%}" for field, share in found.importance.shares.items())
        lines.append(f"importance at {found.importance.position:,} images: {shares}")
    if found.undelivered:
        lines.append(
            f"MLflow has not taken {found.undelivered} writes: raygan tracking flush --runs {search.launch.runs}"
        )
    return lines
