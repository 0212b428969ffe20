"""Pictures of a search: scores over two of the fields that varied, score against cost, importance of each field."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib import pyplot
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from optuna.exceptions import ExperimentalWarning
from optuna.importance import BaseImportanceEvaluator
from optuna.visualization.matplotlib import plot_param_importances, plot_pareto_front

from raygan.pipeline.tuning.ranking import Importance, Row
from raygan.pipeline.tuning.space import short
from raygan.pipeline.tuning.study import Completed, completed_study

FIRST = ("generator.learning_rate", "discriminator.learning_rate", "balance")  # to be axes of a heat map, if varied
PANELS = 3  # of a heat map, where the balance takes more values than that
CELLS = 5  # of a heat map's axis, where a field takes more values than that
WIDE = 4.0  # an axis whose values differ by more than this factor is logarithmic
COLOURS = "viridis_r"  # dark is bad, since lower scores are better

matplotlib.use("agg")  # draws into files, without a display


def heat_maps(rows: Sequence[Row], path: Path) -> list[Path]:
    """The best last score in each cell of the plane of two fields: both learning rates, with a panel per balance or
    range of balances; else the first two numeric fields that varied. Nothing is drawn if fewer varied.

    `optuna.visualization` has no such plot. Its contours mix all balances in one plane, do not tell stopped trials from
    finished ones, and are interpolated where no trial was; a cell without a trial stays empty here.
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
    """The fields whose values are all numbers and of which at least two differ; those in FIRST come first."""
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
    """The cells of a heat map's axis: one around each value if these are few, else CELLS cells of equal width."""

    scale: Literal["log", "linear"]
    centres: list[float]
    edges: list[float]  # one more than centres

    @classmethod
    def of(cls, values: Sequence[float]) -> "Cells":
        """The cells that hold these values, of which at least two differ; logarithmic if they span a factor of WIDE."""
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
    """float64 [cells of the second field, cells of the first]; NaN in a cell without a trial."""
    best = np.full([len(cell.centres) for cell in cells[::-1]], np.nan)
    for row in rows:
        column, line = (
            int(np.searchsorted(cell.edges, row.values[field])) - 1 for field, cell in zip(fields, cells, strict=True)
        )
        best[line, column] = np.fmin(best[line, column], _score(row))
    return best


def cost(rows: Sequence[Row], front: Sequence[Row], unit: str, path: Path) -> Path:
    """Score against seconds of `unit`s: Optuna's plot of a Pareto front, with its trials named."""
    trials = [Completed({}, (row.cost, _score(row)), row.state != "finished") for row in rows]
    study = completed_study(trials, {}, objectives=2)
    with _optuna_figure(path):
        axis = plot_pareto_front(study, target_names=[f"{unit}-seconds", "last score (lower is better)"])
        axis.set(title="", facecolor="white")  # stopped trials are light grey, as is Optuna's background
        axis.grid(color="0.9")
        for row in front:
            axis.annotate(f" {row.trial:04d}", (row.cost, _score(row)))
        names = {"Infeasible Trial": "stopped", "Feasible Trial": "finished", "Best Trial": "not beaten in both"}
        names["Trial"] = "finished"  # Optuna's name for them where no trial was stopped
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles, [names[label] for label in labels])
    return path


def importance(found: Importance, path: Path) -> list[Path]:
    """How much of the scores' variance each field explains; nothing if there is nothing to explain."""
    if not found.shares:
        return []
    with _optuna_figure(path):
        axis = plot_param_importances(found.study, evaluator=_Known(found.shares))
        axis.set_title("", loc="left")
        axis.set(ylabel="", xlabel=f"share of the variance of the scores at {found.position:,} images (fANOVA)")
        axis.legend().remove()
    return [path]


class _Known(BaseImportanceEvaluator):
    """Gives Optuna's plot the importances that are known: to compute them takes seconds for some hundred trials."""

    def __init__(self, shares: dict[str, float]) -> None:
        self._shares = shares

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        return self._shares


@contextmanager
def _optuna_figure(path: Path) -> Iterator[None]:
    """Saves what is drawn inside, and leaves matplotlib's style as it was, which Optuna changes for the process."""
    with warnings.catch_warnings(), pyplot.rc_context():
        warnings.simplefilter("ignore", ExperimentalWarning)  # which all of Optuna's matplotlib plots raise
        try:
            yield
            pyplot.savefig(path, dpi=120, bbox_inches="tight")
        finally:
            pyplot.close()


def _score(row: Row) -> float:
    return float("nan") if row.score is None else row.score
