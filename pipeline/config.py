"""Every knob of a training run: typed, bounded, with its unit. A preset is a function returning a whole Config."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from raygan.pipeline.data.order import WINDOW
from raygan.sharding.storage.locations import absolute

Normalisation = Literal["batch", "group", "none"]
Augmentation = Literal["colour", "translation", "cutout"]
SHARD_CACHE_BYTES = 100_000_000_000


def _at_commas(value: Any) -> Any:
    """On a command line a list is typed as one word: Smiling,Male."""
    words = [value] if isinstance(value, str) else value
    return [part for word in words for part in word.split(",") if part]


AtCommas = BeforeValidator(_at_commas)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimizer(Settings):
    """One network's Adam."""

    learning_rate: float = Field(2e-4, gt=0, le=1, description="Adam's step size.")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.5, 0.999), description="Adam's decay rates of the first and second moment."
    )


class Generator(Optimizer):
    """The network that draws."""

    width: int = Field(64, ge=4, le=1024, description="Channels of the last hidden layer; each earlier one doubles.")
    normalisation: Normalisation = Field("batch", description="What follows each convolution but the last.")
    upsampling: Literal["transposed", "nearest"] = Field(
        "transposed", description="transposed: Radford's convolution; nearest: pixels doubled, then a convolution."
    )


class Discriminator(Optimizer):
    """The network that judges."""

    width: int = Field(64, ge=4, le=1024, description="Channels of the first layer; each later one doubles.")
    normalisation: Normalisation = Field("batch", description="What follows each convolution but the first.")
    spectral_gain: float = Field(
        0.0, ge=0, le=10_000, description="How far the network may stretch, by spectral normalisation; 0 is off."
    )


class Evaluation(Settings):
    """When and how the generator is scored."""

    every: int = Field(50_000, gt=0, description="Images between evaluations: a face grid and the scores.")
    growth: int = Field(
        1, ge=1, description="Above 1, each evaluation comes at so many times the images of the one before."
    )
    count: int = Field(5_000, ge=2, description="Generated images scored at each evaluation.")
    final_count: int | None = Field(None, ge=2, description="Generated images scored at the end. [default: count]")
    place: Literal["workers", "aside"] = Field(
        "workers", description="workers: training waits for it; aside: one more worker's room, while training goes on."
    )
    split: Literal["train", "valid", "test"] = Field("train", description="The real images they are compared with.")
    extractor: str = Field("randconv", description="What gives the features that are compared: randconv or inception.")

    def due(self, before: int, after: int) -> bool:
        """Whether one lies in (before, after], in images."""
        if self.growth == 1:
            return before // self.every != after // self.every
        at = self.every
        while at <= before:
            at *= self.growth
        return at <= after


class Checkpoints(Settings):
    """When the whole state is written, and how much of it is kept."""

    every: int = Field(50_000, gt=0, description="Images between checkpoints.")
    keep: int = Field(2, ge=1, description="Newest checkpoints kept.")


class Config(Settings):
    """One training run, whole. Every schedule counts in images shown to the discriminator."""

    preset: str = Field("radford", description="Where the values came from.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of the weights, the latents and the order.")
    images: int = Field(2_000_000, gt=0, description="Images shown to the discriminator until the run stops.")
    batch: int = Field(128, ge=1, description="Global batch: images per discriminator update, over all workers.")

    architecture: Literal["dcgan", "article"] = Field("dcgan", description="dcgan: Radford's; article: the tutorial's.")
    generator: Generator = Generator()
    discriminator: Discriminator = Discriminator()
    sync_batch_norm: bool = Field(False, description="Batch normalisation over all workers' images; GPUs only.")
    latent: int = Field(100, ge=1, le=4096, description="Dimensions of the latent vector.")
    latent_distribution: Literal["normal", "uniform"] = Field("normal", description="Standard normal, or in [-1, 1].")
    attributes: Annotated[tuple[str, ...], AtCommas] = Field(
        (), description="Attributes of the data set that faces are conditioned on, as Smiling,Male."
    )

    loss: Literal["bce", "hinge", "least-squares", "relativistic", "wasserstein", "mmd"] = Field(
        "bce", description="bce: the article's, real = 1, fake = 0, non-saturating; mmd: repulsive and bounded."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Taken from the label of real images; bce only.")
    balance: Annotated[float, Field(ge=0.05, le=20)] | Literal["auto"] = Field(
        1.0, description="Discriminator updates per generator update; auto: whichever keeps --balance-target."
    )
    balance_target: float = Field(0.8, gt=0.5, lt=1, description="The discriminator's accuracy that auto holds.")
    r1: float = Field(0.0, ge=0, description="Weight of the gradient penalty on real images; 0 is off.")
    gradient_penalty: float = Field(
        0.0, ge=0, description="Weight of the penalty on gradients unlike 1 between real images and fakes; 0 is off."
    )
    penalty_every: int = Field(4, ge=1, description="Discriminator updates per penalty (lazy regularisation).")
    augment: Annotated[tuple[Augmentation, ...], AtCommas] = Field(
        (), description="Changes to images before they are judged (DiffAugment): colour,translation,cutout."
    )
    flip: bool = Field(False, description="Mirror half of the real images.")

    warm_up: int = Field(0, ge=0, description="Images over which both learning rates rise from zero.")
    decay: Literal["none", "linear", "cosine"] = Field("none", description="How both fall to zero over the run.")
    ema_half_life: int = Field(
        10_000, ge=0, description="Images until the averaged generator has forgotten half; 0 is off."
    )

    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of the convolutions; penalties stay in fp32.")
    compile: bool = Field(False, description="Compile both networks with torch.compile.")
    accumulate: int = Field(1, ge=1, description="Parts of a worker's share of a batch, computed one by one.")

    window: int = Field(WINDOW, ge=1, description="Shards that are shuffled together.")
    log_every: int = Field(5_000, gt=0, description="Images between points of the loss curves.")
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()

    @property
    def latent_dimensions(self) -> int:
        """Numbers that one face grows from; a conditional generator takes one more, which picks its attributes."""
        return self.latent + bool(self.attributes)

    @model_validator(mode="after")
    def _penalties_fit(self) -> "Config":
        for name in ("r1", "gradient_penalty"):
            if not getattr(self, name):
                continue
            flag = "--" + name.replace("_", "-")
            if self.discriminator.normalisation == "batch":
                raise ValueError(
                    f"{flag} is of one image's gradient, which batch normalisation mixes with others': "
                    "set --discriminator.normalisation none"
                )
            if self.loss == "mmd":
                raise ValueError(f"{flag} is not defined for --loss mmd: use --discriminator.spectral-gain")
        return self

    @model_validator(mode="after")
    def _only_where_it_counts(self) -> "Config":
        if self.label_smoothing and self.loss != "bce":
            raise ValueError(f"--label-smoothing is for --loss bce, not {self.loss}: leave it out")
        if self.loss == "wasserstein" and not (self.gradient_penalty or self.discriminator.spectral_gain):
            raise ValueError("--loss wasserstein needs --gradient-penalty 10 or --discriminator.spectral-gain 1")
        if self.loss == "mmd" and self.batch < 2 * self.accumulate:
            raise ValueError(f"--loss mmd compares images with each other: --batch {self.batch} is too small for it")
        return self


class Launch(Settings):
    """Where a run reads and writes, and what it may use; the Config says what it does."""

    shards: str = Field("shards", description="Folder of the data set, as `raygan shard` wrote it.")
    name: str = Field("auto", pattern=r"^[\w.-]+$", description="Of the run; auto: the preset and the time.")
    workers: Annotated[str, BeforeValidator(str)] = Field(
        "1",
        pattern=r"^[1-9]\d*(:[1-9]\d*)?$",
        description="Ray Train workers: one GPU each with --gpu, else CPU cores. MIN:MAX: as many as find room.",
    )
    gpu: bool = Field(False, description="A GPU per worker (NCCL) instead of CPUs (gloo).")
    cpus_per_worker: int = Field(1, ge=1, description="CPU cores per worker, which are also its threads.")
    cache: Literal["none", "device"] = Field(
        "none", description="device: keep the whole training split in the GPU's memory, if it fits."
    )
    shard_cache: str = Field(
        "",
        description="Folder on every node for copies of shards in an object store; by default in the user's cache.",
    )
    shard_cache_bytes: int = Field(
        SHARD_CACHE_BYTES, gt=0, description="Most that it may hold; the oldest copies make room."
    )
    runs: Annotated[str, BeforeValidator(str)] = Field(
        "runs",
        description="Folder of all runs, shared by all nodes of a cluster; or the URL of one, as s3://BUCKET/RUNS.",
    )
    tracking: str = Field("local", description="MLflow server's address; local: SQLite and files in --runs.")
    experiment: str = Field("raygan", min_length=1, description="MLflow experiment.")
    max_failures: int = Field(2, ge=0, description="Restarts from the newest checkpoint before the run has failed.")
    timeout: int = Field(300, ge=1, description="Seconds that workers wait for one that hangs before they start again.")
    resize_every: int = Field(60, ge=1, description="Seconds between looks for room for more workers, up to MAX.")

    @property
    def fewest_workers(self) -> int:
        return int(self.workers.partition(":")[0])

    @property
    def most_workers(self) -> int:
        return int(self.workers.rpartition(":")[2])

    @model_validator(mode="after")
    def _fewest_workers_first(self) -> "Launch":
        if self.fewest_workers > self.most_workers:
            raise ValueError(
                f"--workers {self.workers}: give the fewest first, as {self.most_workers}:{self.fewest_workers}"
            )
        return self

    def resolved(self, preset: str) -> "Launch":
        """With a name of its own in place of auto, and absolute folders, since workers run in another one."""
        name = f"{preset}-{datetime.now():%Y%m%d-%H%M%S}" if self.name == "auto" else self.name
        folders = {field: absolute(getattr(self, field)) for field in ("shards", "runs")}
        if self.shard_cache and not self.shard_cache.startswith("~"):  # each node finds its own home and cache
            folders["shard_cache"] = absolute(self.shard_cache)
        return self.model_copy(update={"name": name} | folders)

    @property
    def copies(self) -> dict[str, Any]:
        """The options of Shards."""
        return {"cache_folder": self.shard_cache, "cache_bytes": self.shard_cache_bytes}


def article() -> Config:
    """The tutorial's networks and uniform latents, trained with equal turns of both."""
    return Config(preset="article", architecture="article", latent_distribution="uniform")


def radford() -> Config:
    """DCGAN as published: Radford, Metz, Chintala, arXiv 1511.06434."""
    return Config()


def celeba64() -> Config:
    """The best at DCGAN's size that was found here: docs/recipes.md has what it scores."""
    return Config(
        preset="celeba64",
        batch=64,
        generator=Generator(learning_rate=4e-4, upsampling="nearest"),
        discriminator=Discriminator(learning_rate=4e-4, normalisation="none"),
        r1=0.1,
        flip=True,
        precision="bf16",
    )


def wide() -> Config:
    """celeba64 for a big GPU: twice the width, eight times the batch."""
    small = celeba64()
    return small.model_copy(
        update={
            "preset": "wide",
            "images": 20_000_000,
            "batch": 512,
            "generator": small.generator.model_copy(update={"width": 128}),
            "discriminator": small.discriminator.model_copy(update={"width": 128}),
        }
    )


def demo() -> Config:
    """Recognisable drawn faces after three minutes on two CPU cores."""
    adam = {"learning_rate": 4e-4, "width": 24}
    return Config(
        preset="demo",
        images=60_000,
        batch=32,
        latent=64,
        generator=Generator(**adam),
        discriminator=Discriminator(**adam, normalisation="none"),
        r1=1.0,
        flip=True,
        ema_half_life=4_000,
        log_every=1_000,
        evaluation=Evaluation(every=10_000, count=1_000),
        checkpoints=Checkpoints(every=10_000),
    )


def smoke() -> Config:
    """The smallest run that still does everything; for tests."""
    return Config(
        preset="smoke",
        images=256,
        batch=16,
        latent=8,
        generator=Generator(width=4),
        discriminator=Discriminator(width=4),
        ema_half_life=64,
        log_every=64,
        evaluation=Evaluation(every=128, count=32),
        checkpoints=Checkpoints(every=64),
    )


PRESETS: dict[str, Callable[[], Config]] = {f.__name__: f for f in (article, radford, celeba64, wide, demo, smoke)}
