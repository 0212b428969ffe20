"""`raygan evaluate`: scores of a run's generator, or of images that any other program made."""

from pathlib import Path

import torch

from pipeline import runs as records
from pipeline.checkpoint import load_faces
from pipeline.evaluation.report import Report, judge
from pipeline.header import HEADER
from pipeline.noise import Purpose
from sharding.errors import UserError

IMAGES_DRAWN = 5_000


def evaluate(
    source: str,
    real: str | None,
    split: str,
    extractor: str,
    metrics: tuple[str, ...],
    count: int | None,
    device: str,
    runs: str,
    which: records.Which = "best",
) -> Report:
    """`source`: a run's name, a checkpoint's folder, a folder of images or an .npy file. Raises UserError."""
    path = Path(source)
    if path.suffix == ".npy" or (path.is_dir() and not (path / HEADER).exists()):
        if real is None:
            raise UserError(f"--real: {source} holds images; what are they compared with? Give a data set or a folder")
        return judge(source, real, split, extractor=extractor, metrics=metrics, count=count, device=device)
    checkpoint = records.find_checkpoint(runs, source, which)
    real = real or records.load(runs, checkpoint.parent.name).launch.shards
    faces = load_faces(checkpoint, torch.device(device))
    return judge(
        lambda first, number: faces.draw(first, number, Purpose.EVALUATION),
        real,
        split,
        extractor=extractor,
        metrics=metrics,
        count=count or IMAGES_DRAWN,
        device=device,
        generator="ema",
    )
