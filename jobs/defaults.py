"""Where the values of `raygan train` and `tune` come from before their own flags.

A preset, then --config FILE over it; or the run or the search that is resumed.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict
from pydantic import ValidationError

from raygan.pipeline.config import PRESETS, Config, Launch
from raygan.pipeline.training import runs
from raygan.pipeline.tuning import search as searches
from raygan.sharding.errors import UserError


def preset(name: str) -> Config:
    """Raises UserError for an unknown one."""
    if name not in PRESETS:
        raise UserError(f"--preset {name}: there is no such preset; there are {', '.join(PRESETS)}")
    return PRESETS[name]()


def fill(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Gives every flag that was not typed its value (called by the command line's parser)."""
    if commands not in (("train",), ("tune",)):
        return
    typed = {argument.name: argument.tokens[0].value for argument in arguments if argument.tokens}
    begun = _begun(commands[0], typed)
    if begun and "--config" in typed and typed["--resume"] != "auto":
        raise UserError(f"--config {typed['--config']}: {begun[1]} keeps its own; leave it out")
    values, source = begun or _new(typed)
    Dict({commands[0]: values}, source=source)(app, commands, arguments)


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
    if file := typed.get("--config"):
        return from_file(Path(file), typed.get("--preset")).model_dump(mode="json"), file
    config = preset(typed.get("--preset", Config().preset))
    return config.model_dump(mode="json"), f"preset {config.preset}"


def from_file(path: Path, preset_name: str | None = None) -> Config:
    """A configuration in YAML or JSON, whole or in part; the rest is the preset's, which it may name. UserError."""
    given = read_mapping(path, "--config")
    base = preset(preset_name or str(given.get("preset", Config().preset)))
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
