"""The report of an evaluation: scores, their intervals, the scores of real images, and the identity."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation import bootstrap
from raygan.pipeline.evaluation.scores import Evaluator, Generate, score_names
from raygan.pipeline.evaluation.sources import Images, open_images
from raygan.sharding.errors import UserError

COUNT = 50_000
DEVIATIONS = {"fid": bootstrap.frechet_deviation, "kid": bootstrap.kid_deviation}
NORMAL_95 = 1.96


class Difference(NamedTuple):
    """A score minus another one; `interval` is 95%, None where one of the scores has none."""

    value: float
    interval: tuple[float, float] | None


class Report(BaseModel):
    """The result of an evaluation. `scores`, `intervals` and `floor` have the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]  # 95%, for other images of the same generator
    floor: dict[str, float]  # real images against other real images
    floor_count: int  # images on each side of the floor
    identity: dict[str, str]

    def lines(self) -> Iterator[str]:
        """The report for a person, line by line."""
        for name, score in self.scores.items():
            interval = "  ({:.6g} to {:.6g})".format(*self.intervals[name]) if name in self.intervals else ""
            yield f"{name}: {score:.6g}{interval}  real against real at {self.floor_count}: {self.floor[name]:.6g}"
        yield "identity: " + ", ".join(f"{name} {fact}" for name, fact in self.identity.items())

    def minus(self, other: "Report") -> dict[str, Difference]:
        """This report's scores minus the other's. UserError, naming what differs, if their identities differ.

        The generator's weights are compared only where both reports name them: images of another program have none.
        The images of the two reports count as drawn independently, so the variances of the scores add up.
        """
        mine, theirs = self.identity, other.identity
        names = [name for name in mine | theirs if name != "generator" or (name in mine and name in theirs)]
        if differing := [name for name in names if mine.get(name) != theirs.get(name)]:
            facts = "; ".join(f"{name}: {mine.get(name)} and {theirs.get(name)}" for name in differing)
            raise UserError(f"these scores cannot be compared ({facts}); evaluate both with the same settings")
        return {name: self._minus_one(other, name) for name in self.scores if name in other.scores}

    def differences(self, other: "Report") -> Iterator[str]:
        """The result of `minus` for a person, line by line."""
        for name, difference in self.minus(other).items():
            interval = "  ({:+.6g} to {:+.6g})".format(*difference.interval) if difference.interval else ""
            yield f"{name}: {difference.value:+.6g}{interval}"

    def _minus_one(self, other: "Report", name: str) -> Difference:
        value = self.scores[name] - other.scores[name]
        if name not in self.intervals or name not in other.intervals:
            return Difference(value, None)
        halves = [(high - low) / 2 for low, high in (self.intervals[name], other.intervals[name])]
        half = math.hypot(*halves)
        return Difference(value, (value - half, value + half))

    @classmethod
    def load(cls, path: str | Path) -> "Report":
        """Reads a report that `model_dump_json` wrote. UserError if the file is missing or is no report."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{path}: no report of an evaluation there; give the JSON file that `raygan evaluate` wrote"
            ) from error


def evaluate(
    candidate: str | Path | Generate,
    real: str | Path | DataSet,
    split: str = "train",
    *,
    extractor: str = "randconv",
    metrics: Sequence[str] = ("fid", "kid"),
    count: int | None = None,
    device: str = "cpu",
    cache: str | Path | None = None,
    resamples: int = 50,
    generator: str | None = None,
    batch: int = 100,
    progress: Callable[[int, int], None] = lambda drawn, count: None,
) -> Report:
    """Evaluates a generator, or images of another program in a folder or an .npy file.

    candidate: a folder, an .npy file, or a function as `Evaluator.score` takes it; `generator` names the weights that
    it draws with. count: images to score (default: all that there are, or 50,000 drawn). resamples: of the bootstrap;
    0 leaves the intervals out. progress: is called with the images that this process has scored so far, and `count`.
    The other settings are those of Evaluator. All features are kept: count x dimensions x 4 bytes. With
    torch.distributed initialised, every rank calls this and gets the same report. Raises UserError for settings that
    cannot be used.
    """
    if resamples == 1 or resamples < 0:
        raise UserError(f"`resamples` {resamples}: an interval needs at least 2 resamples; 0 leaves intervals out")
    if callable(candidate):
        generate, count = candidate, count or COUNT
    else:
        images = open_images(candidate)
        generate, count = _given(images), count or len(images)
        if count > len(images):
            raise UserError(f"{candidate}: holds {len(images)} images, not {count}; lower the count")
    context = DistributedContext.current(device)
    evaluator = Evaluator(
        real,
        split,
        extractor=extractor,
        count=count,
        metrics=metrics,
        cache=cache,
        kept=count,
        generator=generator,
        batch=batch,
        context=context,
    )
    reals, fakes = evaluator.real(), evaluator.draw(_counting(generate, lambda drawn: progress(drawn, evaluator.count)))
    scores = evaluator.compare(reals, fakes)
    names = {
        score_names(metric, evaluator.extractor)[0]: DEVIATIONS[metric]
        for metric in metrics
        if metric in DEVIATIONS and resamples
    }

    def deviations() -> list[float]:
        return [deviation(reals, fakes, resamples) for deviation in names.values()]

    found = context.computed_by_main(deviations, len(names))
    intervals = {
        name: (scores[name] - NORMAL_95 * deviation, scores[name] + NORMAL_95 * deviation)
        for name, deviation in zip(names, found, strict=True)
    }
    floor_count, floor = evaluator.floor()
    return Report(scores=scores, intervals=intervals, floor=floor, floor_count=floor_count, identity=evaluator.identity)


def _counting(generate: Generate, progress: Callable[[int], None]) -> Generate:
    drawn = 0

    def counting(first: int, count: int) -> Tensor:
        nonlocal drawn
        images = generate(first, count)
        drawn += count
        progress(drawn)
        return images

    return counting


def _given(images: Images) -> Generate:
    def generate(first: int, count: int) -> Tensor:
        return next(images.batches(first, count, count))

    return generate
