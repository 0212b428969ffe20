"""`raygan evaluate`: scores of a trained generator, or of images that any program made."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from raygan.jobs.app import Device, Drawing, Runs, Split, Which, app


@app.command
def evaluate(
    source: str,
    *,
    real: Annotated[str | None, Parameter(help="Data set, folder or .npy. [default: the run's own data set]")] = None,
    split: Annotated[Split, Parameter(help="Of a data set.")] = "train",
    metric: Annotated[
        str, Parameter(help="Comma-separated: fid, kid, pr ... as docs/evaluation.md lists them.")
    ] = "fid,kid",
    extractor: Annotated[
        str, Parameter(help="randconv (a smoke signal), inception or inception:WEIGHTS (FID's), file:PATH.")
    ] = "randconv",
    count: Annotated[int | None, Parameter(help="Images judged. [default: 5000 drawn, or all given]")] = None,
    resamples: Annotated[int, Parameter(help="Of the bootstrap behind the intervals; 0: no intervals.")] = 50,
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
    json: Annotated[Path | None, Parameter(help="File for the report.")] = None,
) -> None:
    """Score a generator, or images that any program made, against real images.

    Parameters
    ----------
    source
        Name of a run, folder of a checkpoint, folder of images, or .npy file (uint8, [n, height, width, 3]).
    """
    from raygan.pipeline.evaluation.report import Report
    from raygan.pipeline.launch.evaluate import Question
    from raygan.pipeline.launch.evaluate import evaluate as judge

    other = Report.load(against) if against else None
    question = Question.about(
        source, real, split, extractor, tuple(metric.split(",")), count, resamples, runs, checkpoint, weights
    )
    report = judge(question, device, workers, runs)
    print("\n".join(report.lines()))
    if json is not None:
        json.write_text(report.model_dump_json(indent=1))
    if other is not None:
        print("\n".join([f"less {against}:", *report.differences(other)]))
