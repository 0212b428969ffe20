"""Where the values of `raygan train` and `tune` come from before their own flags.

A preset, then --config FILE over it; or the run or the search that is resumed.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict
from pydantic import ValidationError

from raygan.pipeline.config import PRESETS, Config, Launch
from raygan.pipeline.config.objectives import kind_of
from raygan.pipeline.training import runs
from raygan.pipeline.tuning import search as searches
from raygan.sharding.errors import UserError

DECIDING = ("--resume", "--runs", "--name", "--config", "--preset", "--objective")  # flags that others depend on


def preset(name: str) -> Config:
    """Raises UserError for an unknown one."""
    if name not in PRESETS:
        raise UserError(f"--preset {name}: there is no such preset; there are {', '.join(PRESETS)}")
    return PRESETS[name]()


class Defaults(NamedTuple):
    """Values of flags that are not typed, by command, and where they come from."""

    command: str
    values: dict[str, Any]
    source: str

    @property
    def objective(self) -> str:
        """The kind of the objective."""
        return str(self.values["objective"])

    def fill(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Gives every flag that was not typed its value (called by the command line's parser)."""
        if commands == (self.command,):
            Dict({self.command: self.values}, source=self.source)(app, commands, arguments)


def find(tokens: Sequence[str]) -> Defaults | None:
    """The defaults of a command line that trains or tunes; None for any other. Raises UserError."""
    if not tokens or tokens[0] not in ("train", "tune"):
        return None
    typed = {flag: value for flag in DECIDING if (value := option(tokens, flag)) is not None}
    begun = _begun(tokens[0], typed)
    if begun and "--config" in typed and typed["--resume"] != "auto":
        raise UserError(f"--config {typed['--config']}: {begun[1]} keeps its own; leave it out")
    values, source = begun or _new(typed)
    return Defaults(tokens[0], values, source)


def option(tokens: Sequence[str], flag: str) -> str | None:
    """The value of a flag that was typed."""
    for number, word in enumerate(tokens):
        if word == flag and number + 1 < len(tokens):
            return tokens[number + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _begun(command: str, typed: Mapping[str, str]) -> tuple[dict[str, Any], str] | None:
    """What the run or search that is resumed was begun with; None for a new one."""
    folder = typed.get("--runs", Launch().runs)
    if command == "tune":
        if (name := resumed(typed.get("--resume"), folder, typed.get("--name"), searches.exists)) is None:
            return None
        search = searches.load(folder, name)
        # Its flag has another name than the field, since it is of each trial.
        launch = search.launch.model_dump(mode="json")
        launch["workers-per-trial"] = launch.pop("workers")
        return search.config.model_dump(mode="json") | launch | search.options.model_dump(mode="json"), f"search {name}"
    if (name := resumed(typed.get("--resume"), folder, typed.get("--name"))) is None:
        return None
    run = runs.load(folder, name)
    return run.config.model_dump(mode="json") | run.launch.model_dump(mode="json"), f"run {name}"


def _new(typed: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    objective = typed.get("--objective")
    if file := typed.get("--config"):
        return from_file(Path(file), typed.get("--preset"), objective).model_dump(mode="json"), file
    config = _with_objective(preset(typed.get("--preset", Config().preset)), objective)
    return config.model_dump(mode="json"), f"preset {config.preset}"


def _with_objective(config: Config, kind: str | None) -> Config:
    try:
        return config if kind is None else config.with_objective(kind)
    except ValueError as e:
        words = e.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(e, ValidationError) else str(e)
        raise UserError(f"--objective {kind}: {words}") from e


def from_file(path: Path, preset_name: str | None = None, objective: str | None = None) -> Config:
    """A configuration in YAML or JSON, whole or in part; the rest is the preset's, which it may name. UserError."""
    given = read_mapping(path, "--config")
    base = preset(preset_name or str(given.get("preset", Config().preset)))
    base = _with_objective(base, objective or (kind_of(given["objective"]) if "objective" in given else None))
    try:
        return Config.model_validate(_merged(base.model_dump(), given))
    except ValidationError as e:
        problem = e.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        said = "there is no such setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        raise UserError(f"--config {path}: {where}: {said.removeprefix('Value error, ')}".replace(": : ", ": ")) from e


def read_mapping(path: Path, flag: str) -> dict[str, Any]:
    """A file of settings in YAML, of which JSON is a part. Raises UserError."""
    try:
        given = yaml.safe_load(path.read_text())
    except OSError as e:
        raise UserError(f"{flag} {path}: cannot be read ({e.strerror})") from e
    except (UnicodeDecodeError, yaml.YAMLError) as e:
        raise UserError(f"{flag} {path}: neither YAML nor JSON ({' '.join(str(e).split())})") from e
    if not isinstance(given, dict):
        raise UserError(f"{flag} {path}: settings by name are expected, as in `balance: 2`")
    return given


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: (base.get(name), value) for name, value in over.items()}
    return base | {
        name: _merged(old, new) if isinstance(old, dict) and isinstance(new, dict) else new
        for name, (old, new) in both.items()
    }


def resumed(
    resume: str | None, folder: str, name: str | None, begun: Callable[[str, str], bool] = runs.exists
) -> str | None:
    """The run or search that --resume means: `auto` is the one of --name, if it was begun. Raises UserError."""
    if resume != "auto":
        return resume
    if name in (None, "auto"):
        raise UserError("--resume auto: which run? Give its --name")
    return name if name and begun(folder, name) else None
