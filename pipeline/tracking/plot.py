"""The discriminator's accuracy as a picture: along a run, and against the balance of the runs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raygan.pipeline.tracking.runs import answering, find_run, list_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from raygan.pipeline.tracking.runs import RunInfo

PLOT = "accuracy.png"
ACCURACY, BALANCE = "discriminator/accuracy", "balance"
MOST_RUNS = 1000  # of the experiment, newest first


def log_accuracy(uri: str, run_id: str) -> None:
    """Draws the artifact PLOT of a run from what MLflow holds. Raises UserError when the server does not answer.

    Left: accuracy by position (images). Right: the last accuracy of every run of the experiment by its balance
    (discriminator updates per generator update), with this run's own point marked; of a search it shows the trials.
    """
    from matplotlib.figure import Figure

    run = find_run(uri, run_id)
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
    """None where the run chose it as it went, or is no training run."""
    try:
        return float(run.parameters[BALANCE])
    except (KeyError, ValueError):
        return None


def _label(axes: Axes, x: str, y: str = "") -> None:
    axes.set(xlabel=x, ylabel=y, ylim=(0, 1.02))
    axes.axhline(0.5, color="0.8", linestyle="--", zorder=0)  # where it guesses
    axes.grid(alpha=0.3)
