"""`raygan evaluate`: scores of a run's generator, or of images that any other program made, by one process or many."""

import secrets
from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from raygan.jobs.cluster.connect import cluster
from raygan.jobs.ui.progress import progress
from raygan.pipeline.evaluation.extractors.extractor import anywhere
from raygan.pipeline.evaluation.ranks import OthersFailedError
from raygan.pipeline.evaluation.report import Report, judge
from raygan.pipeline.models.noise import Purpose
from raygan.pipeline.training import runs as records
from raygan.pipeline.training.checkpoint import load_faces
from raygan.pipeline.training.header import HEADER, Weights
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.folder import Folder

IMAGES_DRAWN = 5_000
GENERATORS: dict[Weights, str] = {"average": "ema", "last": "last"}  # as identities call them


class Question(BaseModel):
    """What is judged, and how: understood by a worker on any node, so all paths are absolute."""

    model_config = ConfigDict(frozen=True)

    source: str  # the folder of a checkpoint if `drawn`, else a folder of images or an .npy file
    drawn: bool
    real: str
    split: str
    extractor: str
    metrics: tuple[str, ...]
    count: int | None
    resamples: int
    weights: Weights

    @classmethod
    def about(
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
    ) -> "Question":
        """`source`: a run's name, a checkpoint's folder, a folder of images or an .npy file. Raises UserError."""
        path = Path(source)
        drawn = path.suffix != ".npy" and not (path.is_dir() and not (path / HEADER).exists())
        if drawn:
            checkpoint = records.find_checkpoint(runs, source, which)
            source, count = str(checkpoint), count or IMAGES_DRAWN
            real = real or records.load(runs, checkpoint.parent.name).launch.shards
        if real is None:
            raise UserError(f"--real: {source} holds images; what are they compared with? Give a data set or a folder")
        return cls(
            source=_anywhere(source),
            drawn=drawn,
            real=_anywhere(real),
            split=split,
            extractor=anywhere(extractor),
            metrics=metrics,
            count=count,
            resamples=resamples,
            weights=weights,
        )

    def answer(self, device: torch.device, told: Callable[[int, int], None] = lambda drawn, count: None) -> Report:
        """The report. Where torch.distributed is initialised every rank calls this, and they share the work."""
        faces = load_faces(self.source, device, weights=self.weights) if self.drawn else None
        return judge(
            self.source if faces is None else lambda first, n: faces.draw(first, n, Purpose.EVALUATION),
            self.real,
            self.split,
            extractor=self.extractor,
            metrics=self.metrics,
            count=self.count,
            resamples=self.resamples,
            device=str(device),
            generator=GENERATORS[self.weights] if self.drawn else None,
            progress=told,
        )


def _anywhere(location: str) -> str:
    """A path made absolute: workers run in another directory. A URL stays as it is."""
    folder = Folder(location)
    return str(folder.local or folder)


def evaluate(question: Question, device: str, workers: int | None, runs: str) -> Report:
    """The report, by this process (`workers` None) or by so many Ray workers with a core or a GPU each.

    `runs` is a folder that all nodes share: Ray Train writes there while it works. Raises UserError and RunError.
    """
    if workers:
        return _answer_of_workers(question, workers, device, runs)
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU on this machine; leave it out")
    with progress("evaluating") as advance:
        return question.answer(torch.device(device), lambda drawn, count: advance(drawn, count, ""))


def _answer_of_workers(question: Question, workers: int, device: str, runs: str) -> Report:
    with cluster(cpus=workers, gpus=workers if device == "cuda" else 0):
        import ray.train
        from ray.train.torch import TorchTrainer

        storage, name = _anywhere(runs), f".evaluation-{secrets.token_hex(4)}"
        trainer = TorchTrainer(
            _ray_worker,
            train_loop_config={"question": question.model_dump_json()},
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


def _ray_worker(job: dict[str, str]) -> str:
    from ray.train.torch import get_device

    torch.set_num_threads(1)
    return Question.model_validate_json(job["question"]).answer(get_device()).model_dump_json()


def cause(error: Exception) -> Exception:
    """What went wrong on the worker where it did."""
    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    causes = [getattr(failure, "cause", failure) for _, failure in sorted(failures.items())]
    cause = next((one for one in causes if not isinstance(one, OthersFailedError)), causes[0])
    return cause if isinstance(cause, UserError | RunError) else RunError(f"the evaluation failed: {cause!r}")
