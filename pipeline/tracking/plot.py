"""A plot of the discriminator's accuracy: over a run, and against the balance of all runs of its experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raygan.pipeline.tracking.client import answering
from raygan.pipeline.tracking.runs import find_run, list_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from raygan.pipeline.tracking.runs import RunInfo

PLOT = "accuracy.png"
ACCURACY, BALANCE = "discriminator/accuracy", "balance"
MOST_RUNS = 1000  # of the experiment, newest first


def log_accuracy(uri: str, run_id: str) -> None:
    """Draws the artifact PLOT of a run from its metrics; does nothing for a run without ACCURACY.

    Left: accuracy by position (images). Right: the last accuracy of every run of the experiment by its balance
    (discriminator updates per generator update), with this run's own point marked; for a search these are its trials.
    Raises UserError when the server does not answer.
    """
    from matplotlib.figure import Figure

    run = find_run(uri, run_id)
    if ACCURACY not in run.metrics:
        return
    others = [other for other in list_runs(uri, run.experiment, MOST_RUNS) if other.id != run.id]
    figure = Figure(figsize=(10, 4), layout="constrained")
    along, against = figure.subplots(1, 2, sharey=True)
    with answering(uri) as server:
        history = sorted((point.step, point.value) for point in server.get_metric_history(run_id, ACCURACY))
        along.plot([position for position, _ in history], [value for _, value in history])
        _label(along, "images shown to the discriminator", "accuracy of the discriminator")
        _scatter(against, others, "other runs of the experiment", color="0.6")
        _scatter(against, [run], run.name)
        _label(against, "balance: discriminator updates per generator update")
        against.set_xscale("log")
        against.xaxis.set_major_formatter("{x:g}")
        against.legend(loc="lower right")
        server.log_figure(run_id, figure, PLOT)


def _scatter(axes: Axes, runs: list[RunInfo], label: str, **style: Any) -> None:
    points = [
        (balance, run.metrics[ACCURACY])
        for run in runs
        if ACCURACY in run.metrics and (balance := _balance(run)) is not None
    ]
    axes.scatter([balance for balance, _ in points], [accuracy for _, accuracy in points], label=label, **style)


def _balance(run: RunInfo) -> float | None:
    """None where it varied during the run, and for a run without that parameter."""
    try:
        return float(run.parameters[BALANCE])
    except (KeyError, ValueError):
        return None


def _label(axes: Axes, x: str, y: str = "") -> None:
    axes.set(xlabel=x, ylabel=y, ylim=(0, 1.02))
    axes.axhline(0.5, color="0.8", linestyle="--", zorder=0)  # the accuracy of guesses
    axes.grid(alpha=0.3)
