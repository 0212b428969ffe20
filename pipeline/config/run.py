"""The configuration of a training run, whole."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from raygan.pipeline.config.adversarial import Adversarial
from raygan.pipeline.config.base import AtCommas, Settings, dotted
from raygan.pipeline.config.evaluation import Evaluation
from raygan.pipeline.config.models import Architecture, Generator
from raygan.pipeline.config.objectives import DEFAULT, AnyObjective, kind_of, owner_of, settings_of, written_names
from raygan.pipeline.config.training import Checkpoints

WINDOW = 32


class Config(Settings):
    """One training run. Every schedule counts in real images shown.

    In files, in MLflow and on the command line the objective's settings stand under the objective's prefix, or beside
    the others where that is empty: `objective: vae` and `vae: {beta: 4}`, but `balance: 2`.
    """

    # what a resumed run must keep: its networks and the order of images. The objective adds its own.
    fixed: ClassVar[tuple[str, ...]] = (
        "seed",
        "objective",
        "architecture",
        "attributes",
        "latent",
        "latent_distribution",
        "window",
        "generator.width",
        "generator.normalisation",
        "generator.upsampling",
    )

    preset: str = Field("radford", description="Where the values came from.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of the weights, the latents and the order.")
    images: int = Field(2_000_000, gt=0, description="Real images shown until the run stops.")
    batch: int = Field(128, ge=1, description="Global batch: images per update, over all workers.")
    objective: AnyObjective = Field(Adversarial(), description="What is minimised.")

    architecture: Architecture = Field("dcgan", description="dcgan: Radford's; article: the tutorial's.")
    generator: Generator = Generator()
    sync_batch_norm: bool = Field(False, description="Batch normalisation over all workers' images; GPUs only.")
    latent: int = Field(100, ge=1, le=4096, description="Dimensions of the latent vector.")
    latent_distribution: Literal["normal", "uniform"] = Field("normal", description="Standard normal, or in [-1, 1].")
    attributes: Annotated[tuple[str, ...], AtCommas] = Field(
        (), description="Attributes of the data set that faces are conditioned on, as Smiling,Male."
    )
    flip: bool = Field(False, description="Flip half of the real images left to right.")

    warm_up: int = Field(0, ge=0, description="Images over which the learning rates rise from zero.")
    decay: Literal["none", "linear", "cosine"] = Field("none", description="How they fall to zero over the run.")
    ema_half_life: int = Field(
        10_000, ge=0, description="Images after which a weight counts half in the averaged generator; 0 is off."
    )

    precision: Literal["fp32", "bf16"] = Field("fp32", description="Of the convolutions; penalties stay in fp32.")
    compile: bool = Field(False, description="Compile the networks with torch.compile.")
    accumulate: int = Field(1, ge=1, description="Micro-batches that a worker's share of a batch is computed in.")

    window: int = Field(WINDOW, ge=1, description="Shards that are shuffled together.")
    log_every: int = Field(5_000, gt=0, description="Images between points of the loss curves.")
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()

    @property
    def latent_dimensions(self) -> int:
        """Numbers that one image is drawn from; a conditional generator takes one more, which picks its attributes."""
        return self.latent + bool(self.attributes)

    def dotted(self) -> dict[str, Any]:
        """Every setting by its dotted name, as people write it: generator.width, balance, vae.beta."""
        return dict(dotted(self.model_dump()))

    def with_objective(self, kind: str) -> "Config":
        """With the default settings of another objective; itself if it has that one. Raises ValueError."""
        if kind == self.objective.kind:
            return self
        return Config.model_validate(dict(self) | {"objective": {"kind": kind}})

    def fixed_settings(self) -> dict[str, Any]:
        """The settings, by dotted name, that a resumed run keeps."""
        prefix, values = self.objective.prefix, self.dotted()
        own = [f"{prefix}.{name}" if prefix else name for name in self.objective.fixed]
        return {name: values[name] for name in (*self.fixed, *own)}

    def with_settings(self, values: Mapping[str, Any]) -> "Config":
        """With other values of some settings, by dotted name. Raises KeyError for an unknown one, ValidationError."""
        content = self.model_dump()
        for name, value in values.items():
            *groups, last = name.split(".")
            part = content
            for group in groups:
                part = part[group]
            if not isinstance(part, dict) or last not in part or isinstance(part[last], dict):
                raise KeyError(name)
            part[last] = value
        return Config.model_validate(content)

    @model_validator(mode="before")
    @classmethod
    def _gather_objective(cls, given: Any) -> Any:
        """Puts the settings of the objective, as people write them, into `objective`."""
        if not isinstance(given, Mapping):
            return given
        chosen = given.get("objective", DEFAULT)
        kind = kind_of(chosen)
        settings = settings_of(kind)
        names = [name for name in written_names(settings) if name in given]
        for name in given:
            if name not in cls.model_fields and name not in names and (owner := owner_of(name)):
                raise ValueError(f"`{name}`: a setting of the objective {owner}, and this one is {kind}: leave it out")
        if not names:
            return given
        own = given[settings.prefix] if settings.prefix else {name: given[name] for name in names}
        before = chosen.model_dump() if isinstance(chosen, Settings) else chosen if isinstance(chosen, Mapping) else {}
        others = {name: value for name, value in given.items() if name not in names}
        return others | {"objective": {"kind": kind} | dict(before) | dict(own)}

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The settings of the objective where people write them."""
        content: dict[str, Any] = {}
        for name, value in handler(self).items():
            content[name] = value
            if name == "objective":
                content[name] = value.pop("kind")
                content |= {self.objective.prefix: value} if self.objective.prefix else value
        return content

    @model_validator(mode="after")
    def _batch_suffices(self) -> "Config":
        if (setting := self.objective.compares_images) and self.batch < 2 * self.accumulate:
            raise ValueError(
                f"{setting} compares images with each other: `batch` {self.batch} is too small for it; "
                f"give at least {2 * self.accumulate}, 2 for each micro-batch (`accumulate`)"
            )
        return self
