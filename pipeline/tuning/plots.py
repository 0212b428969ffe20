"""Pictures of a search: scores over two of the fields that varied, score against cost, importance."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from raygan.pipeline.tuning.ranking import Row
from raygan.pipeline.tuning.space import short

FIRST = ("generator.learning_rate", "discriminator.learning_rate", "balance")  # to be axes of a heat map, if varied
PANELS = 3  # of a heat map, where the balance takes more values than that
CELLS = 5  # of a heat map's axis, where a field takes more values than that
WIDE = 4.0  # an axis whose values differ by more than this factor is logarithmic
COLOURS = "viridis_r"  # dark is bad, since lower scores are better


def heat_maps(rows: Sequence[Row], path: Path) -> list[Path]:
    """The best last score in each cell of two fields' plane: of both learning rates, a panel per balance or range of
    balances; or of the first two numbers that were varied. Nothing if fewer were.
    """
    seen = [row for row in rows if row.score is not None]
    fields = varied(seen)[:2]
    if len(fields) < 2:
        return []
    panels = list(_by_balance(seen)) if "balance" not in fields else [("", seen)]
    cells = [Cells.of([row.values[field] for row in seen]) for field in fields]
    scores = [_score(row) for row in seen]
    colours = Normalize(min(scores), max(scores))
    figure = Figure(figsize=(3.6 * len(panels) + 1.4, 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (title, some) in zip(axes, panels, strict=True):
        mesh = axis.pcolormesh(
            *(cell.edges for cell in cells), _best_in_cells(some, fields, cells), norm=colours, cmap=COLOURS
        )
        for mark, ended in (("o", True), ("v", False)):
            of = [row for row in some if (row.state == "finished") == ended]
            axis.scatter(*([row.values[field] for row in of] for field in fields), c="black", s=14, marker=mark)
        axis.set(xscale=cells[0].scale, yscale=cells[1].scale, title=title, xlabel=fields[0])
        axis.minorticks_off()
        axis.set_xticks(cells[0].centres, map(short, cells[0].centres), rotation=30)
        axis.set_yticks(cells[1].centres, map(short, cells[1].centres))
    axes[0].set_ylabel(fields[1])
    figure.colorbar(mesh, ax=axes, label="last score; triangles were stopped early")
    figure.savefig(path, dpi=120)
    return [path]


def varied(rows: Sequence[Row]) -> list[str]:
    """The fields that took more than one value, all of them numbers; those that matter most first."""
    found = []
    for field in dict.fromkeys([*FIRST, *(rows[0].values if rows else ())]):
        values = {row.values.get(field) for row in rows}
        if len(values) > 1 and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            found.append(field)
    return found


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


class Cells(NamedTuple):
    """What a heat map's axis is divided into: a cell around each value if these are few, else CELLS of equal width."""

    scale: Literal["log", "linear"]
    centres: list[float]
    edges: list[float]  # one more

    @classmethod
    def of(cls, values: Sequence[float]) -> "Cells":
        log = min(values) > 0 and max(values) > WIDE * min(values)
        centres = np.unique(np.log10(values) if log else values)
        if len(centres) > CELLS + 2:
            centres = np.linspace(centres[0], centres[-1], CELLS)
        between = (centres[:-1] + centres[1:]) / 2
        edges = np.array([2 * centres[0] - between[0], *between, 2 * centres[-1] - between[-1]])
        if log:
            return cls("log", (10**centres).tolist(), (10**edges).tolist())
        return cls("linear", centres.tolist(), edges.tolist())


def _best_in_cells(rows: Sequence[Row], fields: Sequence[str], cells: Sequence[Cells]) -> np.ndarray:
    """float64 [the second field's cells, the first's]; NaN where no trial was."""
    best = np.full([len(cell.centres) for cell in cells[::-1]], np.nan)
    for row in rows:
        column, line = (
            int(np.searchsorted(cell.edges, row.values[field])) - 1 for field, cell in zip(fields, cells, strict=True)
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
