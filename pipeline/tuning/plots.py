"""Pictures of a search: learning rates against each other per balance, score against cost, importance."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pipeline.tuning.ranking import Row

GENERATOR, DISCRIMINATOR = RATES = ("generator.learning_rate", "discriminator.learning_rate")
PANELS = 3  # of a heat map, where the balance takes more values than that
CELLS = 5  # of a heat map's axis, where a rate takes more values than that
COLOURS = "viridis_r"  # dark is bad, since lower scores are better


def heat_maps(rows: Sequence[Row], path: Path) -> list[Path]:
    """The best last score in each cell of the two learning rates' plane, a panel per balance or range of balances.

    Nothing if a rate was not varied.
    """
    seen = [row for row in rows if row.score is not None and all(rate in row.values for rate in RATES)]
    if not seen:
        return []
    panels = list(_by_balance(seen))
    edges = [_edges([row.values[rate] for row in seen]) for rate in RATES]
    scores = [_score(row) for row in seen]
    colours = Normalize(min(scores), max(scores))
    figure = Figure(figsize=(3.6 * len(panels) + 1.4, 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (title, some) in zip(axes, panels, strict=True):
        mesh = axis.pcolormesh(*edges, _best_in_cells(some, edges), norm=colours, cmap=COLOURS)
        for mark, ended in (("o", True), ("v", False)):
            of = [row for row in some if (row.state == "finished") == ended]
            axis.scatter(*([row.values[rate] for row in of] for rate in RATES), c="black", s=14, marker=mark)
        axis.set(xscale="log", yscale="log", title=title, xlabel=GENERATOR)
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel(DISCRIMINATOR)
    figure.colorbar(mesh, ax=axes, label="last score; triangles were stopped early")
    figure.savefig(path, dpi=120)
    return [path]


def _by_balance(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    chosen = {row.values["balance"] for row in rows if "balance" in row.values}
    if not chosen:
        yield "", list(rows)
        return
    values = sorted(chosen, key=lambda value: (isinstance(value, str), value))  # "auto" last
    if len(values) <= PANELS + 2 or isinstance(values[-1], str):
        for value in values:
            yield f"balance {short(value)}", [row for row in rows if row.values["balance"] == value]
    else:
        for some in np.array_split(np.array(values), PANELS):
            of = [row for row in rows if some[0] <= row.values["balance"] <= some[-1]]
            yield f"balance {some[0]:.2g} to {some[-1]:.2g}", of


def _edges(rates: Sequence[float]) -> np.ndarray:
    """Of cells of equal width on a logarithmic axis, as many as there are values, or CELLS."""
    distinct = len(set(rates))
    low, high = np.log10(min(rates)), np.log10(max(rates))
    cells = distinct if distinct <= CELLS + 2 else CELLS
    half = (high - low) / (cells - 1) / 2 if cells > 1 else 0.1
    return np.logspace(low - half, high + half, cells + 1)


def _best_in_cells(rows: Sequence[Row], edges: Sequence[np.ndarray]) -> np.ndarray:
    """float64 [discriminator's cells, generator's cells]; NaN where no trial was."""
    best = np.full((len(edges[1]) - 1, len(edges[0]) - 1), np.nan)
    for row in rows:
        column, line = (
            int(np.searchsorted(edge, row.values[rate])) - 1 for edge, rate in zip(edges, RATES, strict=True)
        )
        best[line, column] = np.fmin(best[line, column], _score(row))
    return best


def cost(rows: Sequence[Row], front: Sequence[Row], unit: str, path: Path) -> Path:
    """Score against seconds of `unit`s, with the trials that no other beats in both."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for words, ended in (("finished", True), ("stopped", False)):
        of = [row for row in rows if row.score is not None and (row.state == "finished") == ended]
        axis.scatter([row.cost for row in of], [_score(row) for row in of], label=words, marker="o" if ended else "v")
    best = [row.cost for row in front], [_score(row) for row in front]
    axis.step(*best, "k-o", where="post", markerfacecolor="none", markersize=12, label="not beaten in both")
    for row in front:
        axis.annotate(f" {row.trial:04d}", (row.cost, _score(row)))
    axis.set(xlabel=f"{unit}-seconds", ylabel="last score (lower is better)")
    axis.legend()
    figure.savefig(path, dpi=120)
    return path


def importance(shares: Mapping[str, float], at: int, path: Path) -> list[Path]:
    """How much of the scores' variance each field explains; nothing if that is not known."""
    if not shares:
        return []
    figure = Figure(figsize=(6, 0.5 * len(shares) + 1), layout="constrained")
    axis = figure.subplots()
    axis.barh(list(shares)[::-1], list(shares.values())[::-1])
    axis.set(xlabel=f"share of the variance of the scores at {at:,} images (fANOVA)", xlim=(0, 1))
    figure.savefig(path, dpi=120)
    return [path]


def _score(row: Row) -> float:
    return float("nan") if row.score is None else row.score


def short(value: Any) -> str:
    """A value as tables show it."""
    if isinstance(value, tuple):
        return "/".join(map(short, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
