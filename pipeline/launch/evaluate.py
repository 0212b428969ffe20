"""Scores of a run's generator, or of images that any other program made, by one process or by Ray Train workers."""

import secrets
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from raygan.pipeline.config import Launch, Weights
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import OthersFailedError
from raygan.pipeline.evaluation.extractors.extractor import anywhere
from raygan.pipeline.evaluation.report import Report, evaluate
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.training import runs as records
from raygan.pipeline.training.checkpoint import load_sampler
from raygan.pipeline.training.header import HEADER
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder
from raygan.sharding.storage.locations import absolute

IMAGES_GENERATED = 5_000
Progress = Callable[[int, int], None]  # images done so far, images in total
GENERATORS: dict[Weights, str] = {"average": "ema", "last": "last"}  # as identities call them


class EvaluationRequest(BaseModel):
    """What is scored, and how. A worker on any node understands it, so all paths are absolute."""

    model_config = ConfigDict(frozen=True)

    source: str  # the folder of a checkpoint if `generated`, else a folder of images or an .npy file
    generated: bool
    real: str
    launch: Launch | None  # of the run whose own data set is the real side
    split: str
    extractor: str
    metrics: tuple[str, ...]
    count: int | None
    resamples: int
    weights: Weights

    @classmethod
    def resolve(
        cls,
        source: str,
        real: str | None,
        split: str,
        extractor: str,
        metrics: tuple[str, ...],
        count: int | None,
        resamples: int,
        runs: str,
        which: records.Which = "best",
        weights: Weights = "average",
    ) -> "EvaluationRequest":
        """The request with its checkpoint found, its paths made absolute and its defaults filled in.

        source: a run's name, a checkpoint's folder, a folder of images or an .npy file. real: a data set, a folder of
        images or an .npy file; None means the run's own data set. count: of generated images, IMAGES_GENERATED if None;
        of given images, all if None. runs: the folder of all runs. Raises UserError if something is not there.
        """
        path, launch = Path(source), None
        generated = path.suffix != ".npy" and not (path.is_dir() and not (path / HEADER).exists())
        if generated:
            checkpoint = records.find_checkpoint(runs, source, which)
            source, count = str(checkpoint), count or IMAGES_GENERATED
            if real is None:
                launch = records.load(runs, checkpoint.parent.name).launch
                real = launch.shards
        if real is None:
            raise UserError(
                f"`real`: {source} holds images; name the data set or the folder of images to compare them with"
            )
        return cls(
            source=absolute(source),
            generated=generated,
            real=absolute(real),
            launch=launch,
            split=split,
            extractor=anywhere(extractor),
            metrics=metrics,
            count=count,
            resamples=resamples,
            weights=weights,
        )

    def evaluate(self, device: torch.device, progress: Progress = lambda done, total: None) -> Report:
        """The report. Where torch.distributed is initialised every rank calls this, and they share the work.

        progress: is told how many images this process has seen, and how many there are. Raises UserError and RunError.
        """
        sampler = load_sampler(self.source, device, weights=self.weights) if self.generated else None
        return evaluate(
            self.source if sampler is None else lambda first, n: sampler.draw(first, n, Purpose.EVALUATION),
            DataSet.of(self.launch) if self.launch else self.real,
            self.split,
            extractor=self.extractor,
            metrics=self.metrics,
            count=self.count,
            resamples=self.resamples,
            device=str(device),
            generator=GENERATORS[self.weights] if self.generated else None,
            progress=progress,
        )


def evaluate_on_workers(request: EvaluationRequest, workers: int, device: str, runs: str) -> Report:
    """The report, by Ray Train workers with a core (device "cpu") or a GPU ("cuda") each. Ray must be connected.

    `runs` is a folder that all nodes share: Ray Train writes there while it works. Raises UserError and RunError.
    """
    import ray.train
    from ray.train.torch import TorchTrainer

    storage, name = absolute(runs), f".evaluation-{secrets.token_hex(4)}"
    trainer = TorchTrainer(
        _worker_loop,
        train_loop_config={"request": request.model_dump_json()},
        scaling_config=ray.train.ScalingConfig(
            num_workers=workers, use_gpu=device == "cuda", resources_per_worker={"CPU": 1.0}
        ),
        run_config=ray.train.RunConfig(name=name, storage_path=storage),
    )
    try:
        return Report.model_validate_json(trainer.fit().return_value)
    except ray.train.TrainingFailedError as e:
        raise cause(e) from e
    finally:
        (Folder(storage) / name).remove_all()


def _worker_loop(config: dict[str, str]) -> str:
    from ray.train.torch import get_device

    torch.set_num_threads(1)
    return EvaluationRequest.model_validate_json(config["request"]).evaluate(get_device()).model_dump_json()


def cause(error: Exception) -> UserError | RunError:
    """The error of the worker that failed first, rather than those of the workers that waited for it."""
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    causes = [getattr(failure, "cause", failure) for _, failure in sorted(failures.items())]
    cause = next((one for one in causes if not isinstance(one, OthersFailedError)), causes[0])
    return cause if isinstance(cause, UserError | RunError) else RunError(f"the evaluation failed: {cause!r}")
