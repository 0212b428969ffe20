"""Where the values of `raygan train` come from before its own flags: a preset, or the run that is resumed."""

from typing import Any

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from pipeline import runs
from pipeline.config import PRESETS, Config, Launch
from sharding.errors import UserError

# What makes a run the run it is: the networks, and which image is shown when.
FIXED = (
    "seed",
    "architecture",
    "attributes",
    "latent",
    "latent_distribution",
    "window",
    "generator.width",
    "generator.normalisation",
    "discriminator.width",
    "discriminator.normalisation",
    "discriminator.spectral_gain",
)


def preset(name: str) -> Config:
    """Raises UserError for an unknown one."""
    if name not in PRESETS:
        raise UserError(f"--preset {name}: there is no such preset; there are {', '.join(PRESETS)}")
    return PRESETS[name]()


def fill(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Gives every flag of `raygan train` that was not typed its value (called by the command line's parser)."""
    if commands != ("train",):
        return
    typed = {argument.name: argument.tokens[0].value for argument in arguments if argument.tokens}
    folder = typed.get("--runs", Launch().runs)
    if name := resumed(typed.get("--resume"), folder, typed.get("--name")):
        run = runs.load(folder, name)
        values: dict[str, Any] = run.config.model_dump(mode="json") | run.launch.model_dump(mode="json")
        source = f"run {name}"
    else:
        config = preset(typed.get("--preset", Config().preset))
        values, source = config.model_dump(mode="json"), f"preset {config.preset}"
    Dict({"train": values}, source=source)(app, commands, arguments)


def resumed(resume: str | None, folder: str, name: str | None) -> str | None:
    """The run that --resume means, if any: `auto` is the one of --name, if it was begun. Raises UserError."""
    if resume != "auto":
        return resume
    if name in (None, "auto"):
        raise UserError("--resume auto: which run? Give its --name")
    return name if name and runs.exists(folder, name) else None


def refuse_changes(before: Config, after: Config) -> None:
    """Raises UserError if a resumed run would no longer be the same run."""
    for field in FIXED:
        old, new = _value(before, field), _value(after, field)
        if old != new:
            flag = f"--{field.replace('_', '-')}"
            raise UserError(f"{flag} {new}: the run was started with {old}, which a resumed run keeps; leave it out")


def _value(config: Config, field: str) -> Any:
    value: Any = config
    for part in field.split("."):
        value = getattr(value, part)
    return value
