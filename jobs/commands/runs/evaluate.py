"""`raygan evaluate`: scores of a trained generator, or of images that any program made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from raygan.jobs.app import Device, Drawing, Runs, Split, Which, app
from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import console, progress
from raygan.sharding.errors import UserError

if TYPE_CHECKING:
    from raygan.pipeline.evaluation.report import Report
    from raygan.pipeline.launch.evaluate import EvaluationRequest


@app.command
def evaluate(
    source: str,
    *,
    real: Annotated[str | None, Parameter(help="Data set, folder or .npy. [default: the run's own data set]")] = None,
    split: Annotated[Split, Parameter(help="Which part of a data set.")] = "train",
    metric: Annotated[
        str, Parameter(help="Comma-separated: fid, kid, pr ... as docs/evaluation.md lists them.")
    ] = "fid,kid",
    extractor: Annotated[
        str, Parameter(help="randconv (a smoke signal), inception or inception:WEIGHTS (FID's), file:PATH.")
    ] = "randconv",
    count: Annotated[int | None, Parameter(help="Images scored. [default: 5000 drawn, or all given]")] = None,
    resamples: Annotated[int, Parameter(help="Resamples of the bootstrap for the intervals; 0: no intervals.")] = 50,
    against: Annotated[Path | None, Parameter(help="Report of another evaluation; prints the differences.")] = None,
    workers: Annotated[
        int | None,
        Parameter(
            help="Ray workers that share the work, a core or a GPU each. [default: this process]",
            validator=validators.Number(gte=1),
        ),
    ] = None,
    runs: Runs = "runs",
    checkpoint: Which = "best",
    weights: Drawing = "average",
    device: Device = "cpu",
    json: Annotated[Path | None, Parameter(help="JSON file to write the report to.")] = None,
) -> None:
    """Score a generator, or images that any program made, against real images.

    Parameters
    ----------
    source
        Name of a run, folder of a checkpoint, folder of images, or .npy file (uint8, [n, height, width, 3]).
    """
    from raygan.pipeline.evaluation.report import Report
    from raygan.pipeline.launch.evaluate import EvaluationRequest

    if json is not None and not json.parent.is_dir():
        raise UserError(f"--json {json}: there is no folder {json.parent}; make it first")
    other = Report.load(against) if against else None
    request = EvaluationRequest.resolve(
        source, real, split, extractor, tuple(metric.split(",")), count, resamples, runs, checkpoint, weights
    )
    report = _evaluate(request, device, workers, runs)
    print("\n".join(report.lines()))
    if json is not None:
        json.write_text(report.model_dump_json(indent=1))
    if other is not None:
        print("\n".join([f"less {against}:", *report.differences(other)]))


def _evaluate(request: EvaluationRequest, device: Device, workers: int | None, runs: str) -> Report:
    """The report, by this process (`workers` None) or by that many Ray workers."""
    import torch

    from raygan.pipeline.launch.evaluate import evaluate_on_workers

    if workers:
        console.print(f"evaluating with {workers} Ray worker(s)")
        with cluster(cpus=workers, gpus=workers if device == "cuda" else 0):
            return evaluate_on_workers(request, workers, device, runs)
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU on this machine; leave it out")
    with progress("evaluating") as advance:
        return request.evaluate(torch.device(device), lambda done, total: advance(done, total, ""))
