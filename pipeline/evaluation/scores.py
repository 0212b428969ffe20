"""Scores of generated images against real images, computed by any number of workers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from raygan.pipeline.config import Config
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.cache import Cache, Measurement, default_location
from raygan.pipeline.evaluation.extractors.extractor import Extractor, load_extractor
from raygan.pipeline.evaluation.sources import open_images
from raygan.pipeline.evaluation.statistics import Statistics
from raygan.sharding.errors import RunError, UserError

Generate = Callable[[int, int], Tensor]
Batches = Callable[[int, int], Iterator[Tensor]]


@dataclass(frozen=True)
class Metric:
    """The names of a metric's values, and the function that computes them from two measurements (real, fake)."""

    names: tuple[str, ...]
    values: Callable[[Measurement, Measurement], tuple[float, ...]]


METRICS = {
    "fid": Metric(("fd",), lambda real, fake: (distances.frechet(real.statistics, fake.statistics),)),
    "kid": Metric(("kid",), lambda real, fake: (distances.kid(real.features, fake.features),)),
    "kid_subsets": Metric(
        ("kid_subsets", "kid_subsets_deviation"),
        lambda real, fake: distances.kid_subsets(real.features, fake.features),
    ),
    "pr": Metric(("precision", "recall"), lambda real, fake: distances.precision_recall(real.features, fake.features)),
    "dc": Metric(("density", "coverage"), lambda real, fake: distances.density_coverage(real.features, fake.features)),
}


def score_names(metric: str, extractor: Extractor) -> tuple[str, ...]:
    """The names of a metric's values: without the extractor's name, and with `fid`, for the FID network only."""
    names = METRICS[metric].names
    if extractor.is_fid:
        return tuple("fid" if name == "fd" else name for name in names)
    return tuple(f"{name}_{extractor.name}" for name in names)


class Evaluator:
    """Scores images against one set of real images, whose statistics are computed once and cached.

    Every rank calls `real` and `score`, does its share and gets the same scores. Nothing here draws from or changes the
    global random state.
    """

    def __init__(
        self,
        real: str | Path | DataSet,
        split: str = "train",
        *,
        extractor: str = "randconv",
        count: int = 50_000,
        real_count: int | None = None,
        metrics: Sequence[str] = ("fid", "kid"),
        device: str | torch.device = "cpu",
        cache: str | Path | None = None,
        kept: int = 10_000,
        generator: str | None = "ema",
        batch: int = 100,
        context: DistributedContext | None = None,
    ) -> None:
        """Opens the real images and loads the extractor.

        Args:
            real: A data set, a folder of images, or an .npy file.
            split: The split that is used, if `real` is a data set.
            extractor: What gives the features, as `load_extractor` takes it.
            count: Generated images per score.
            real_count: Real images; by default `count`, and never more than there are.
            metrics: Keys of METRICS.
            device: Where features are computed, if there is no `context`.
            cache: A folder or fsspec URL for the statistics of real images; by default `cache.default_location()`.
            kept: Features kept of each side. KID and the like need the features themselves, not only their sums.
            generator: Which weights draw the images, as a part of the identity; None if that is not known.
            batch: Images per forward pass.
            context: The workers that share the work; by default those of torch's process group.

        Raises:
            UserError: A metric or the extractor does not exist, the real images cannot be opened, or one side has
                fewer than 2 images.
        """
        if unknown := [metric for metric in metrics if metric not in METRICS]:
            raise UserError(f"metric {unknown[0]!r} is not known; there are {', '.join(METRICS)}")
        self._images = open_images(real, split)
        self._context = context or DistributedContext.current(device)
        self.extractor = load_extractor(extractor, self._context.device)
        self.count, self._real_count = count, min(real_count or count, len(self._images))
        if min(self.count, self._real_count) < 2:
            raise UserError(f"{real}: a score needs at least 2 images on both sides; raise the count")
        self.metrics, self._kept, self._batch = tuple(metrics), kept, batch
        self._cache = Cache(cache or default_location())
        self._real: Measurement | None = None
        self.identity = self._real_identity() | {"count": str(count)} | ({"generator": generator} if generator else {})

    @classmethod
    def of_run(cls, config: Config, count: int, data: DataSet, context: DistributedContext) -> "Evaluator":
        """As a run's settings ask for. Scores of few images and of many are computed against the same real images."""
        settings = config.evaluation
        return cls(
            data,
            settings.split,
            extractor=settings.extractor,
            count=count,
            real_count=max(settings.count, settings.final_count or 0),
            context=context,
        )

    def _real_identity(self) -> dict[str, str]:
        extractor = self.extractor
        return self._images.identity | {
            "extractor": extractor.name,
            "extractor_digest": extractor.digest,
            "protocol": extractor.protocol,
            "real_count": str(self._real_count),
            "kept": str(self._kept),
        }

    def real(self) -> Measurement:
        """The measurement of the real images: from memory, from the cache, or computed by all ranks."""
        if self._real is None:
            self._real = self._load() or self._compute()
        return self._real

    def _load(self) -> Measurement | None:
        """The measurement in the cache of rank 0, for all ranks: they need not share a file system."""
        device, key = self.extractor.device, self._real_identity()
        found = self._cache.load(key, device) if self._context.is_main else None
        hit = torch.tensor([found is not None], dtype=torch.float32, device=device)
        self._context.broadcast(hit)
        if not hit:
            return None
        measurement = found or self._empty(self._real_count)
        statistics = measurement.statistics
        statistics.count = self._real_count
        for tensor in (statistics.reference, statistics.sum, statistics.outer, measurement.features):
            self._context.broadcast(tensor)
        return measurement

    def _compute(self) -> Measurement:
        measurement = self.measure(
            lambda first, count: self._images.batches(first, count, self._batch), self._real_count
        )
        if self._context.is_main:
            self._cache.store(self._real_identity(), measurement)
        return measurement

    def score(self, generate: Generate) -> dict[str, float]:
        """Scores the images of the indices 0, ..., count - 1.

        `generate(first, count)` returns the images first, ..., first + count - 1, uint8 [count, 3, H, W]. It must
        depend on nothing else, so that the scores do not depend on the number of ranks. Raises RunError on every rank
        if it fails on one of them.
        """
        return self.compare(self.real(), self.draw(generate))

    def draw(self, generate: Generate) -> Measurement:
        """The measurement of the generated images 0, ..., count - 1."""

        def batches(first: int, count: int) -> Iterator[Tensor]:
            for start in range(first, first + count, self._batch):
                yield generate(start, min(self._batch, first + count - start))

        return self.measure(batches, self.count)

    @torch.no_grad()
    def measure(self, batches: Batches, count: int) -> Measurement:
        """Measures `count` images, each rank its share; batches(first, count) yields those images in order.

        Raises RunError on every rank if it fails on one of them.
        """
        measurement = self._empty(count)
        error: Exception | None = None
        try:
            self._measure_share(batches, count, measurement)
        except Exception as raised:
            error = raised
        self._context.fail_together(error)
        measurement.statistics.reduce(self._context)
        self._context.sum(measurement.features)
        return measurement

    def _empty(self, count: int) -> Measurement:
        dimensions, device = self.extractor.dimensions, self.extractor.device
        return Measurement(
            Statistics(dimensions, device), torch.zeros(min(count, self._kept), dimensions, device=device)
        )

    def _measure_share(self, batches: Batches, count: int, measurement: Measurement) -> None:
        position, end = self._context.block_share(count, self._batch)
        for images in batches(position, end - position):
            self._refuse_other_sizes(images)
            features = self.extractor(images)
            measurement.statistics.add(features)
            kept = measurement.features[position : position + len(features)]
            kept.copy_(features[: len(kept)])
            position += len(features)
        if position != end:
            raise RunError(f"{count} images were asked for, but only {position} came")

    def _refuse_other_sizes(self, images: Tensor) -> None:
        size, expected = f"{images.shape[3]}x{images.shape[2]}", self.identity["size"]
        if size != expected:
            raise UserError(f"generated images are {size}, real ones {expected}; prepare both at one size")

    def compare(self, real: Measurement, fake: Measurement) -> dict[str, float]:
        """The scores of one measurement against another: computed by rank 0, returned on all.

        Raises RunError for a score that is not finite.
        """
        names = [name for metric in self.metrics for name in score_names(metric, self.extractor)]

        def values() -> list[float]:
            return [value for metric in self.metrics for value in METRICS[metric].values(real, fake)]

        scores = dict(zip(names, self._context.computed_by_main(values, len(names)), strict=True))
        if not all(map(math.isfinite, scores.values())):
            raise RunError(f"{self.extractor.name}: a score is not finite; the features of some image are not either")
        return scores

    def floor(self) -> tuple[int, dict[str, float]]:
        """The scores of real images against other real images, and their number on each side.

        No generator can score much better. Compares the first `count` real images with the next `count`, or two halves
        where there are fewer. Raises UserError for fewer than 4 real images.
        """
        count = min(self.count, len(self._images) // 2)
        if count < 2:
            raise UserError(f"a floor needs at least 4 real images, these are {len(self._images)}")

        def after(start: int) -> Measurement:
            return self.measure(lambda first, n: self._images.batches(start + first, n, self._batch), count)

        return count, self.compare(self.real() if count == self._real_count else after(0), after(count))
