"""The flags of `raygan train` and `raygan tune`: those of every run, and those of the objective that is chosen.

So `--help` shows what counts, and a setting of another objective is refused by name.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import create_model

from raygan.jobs import defaults
from raygan.jobs.ui.progress import console
from raygan.pipeline.config import Config, ObjectiveSettings, objectives
from raygan.pipeline.config.objectives import DEFAULT, settings_of

COMMANDS = ("train", "tune")

# flags of version 0.1 that have other names now
RENAMED = {
    ("--evaluation.place", "aside"): ["--evaluation.background"],
    ("--evaluation.place", "workers"): [],
}


def prepare(app: App, tokens: Sequence[str]) -> list[str]:
    """Gives both commands the flags and defaults that these tokens ask for; returns the tokens in today's words.

    Raises UserError.
    """
    tokens = _in_new_words(tokens)
    found = defaults.find(tokens)
    app.config = (found.fill,) if found else ()
    flags = flags_of(settings_of(found.objective if found else DEFAULT))
    for name in COMMANDS:
        if (command := app[name].default_command) is not None:
            _take(command, flags)
    return tokens


def flags_of(settings: type[ObjectiveSettings]) -> type[Config]:
    """A Config as the command line takes it, with the settings of one objective under their prefix."""
    kind = Parameter(name="--objective", help="What is minimised: a name, or MODULE:CLASS of your own.")
    default: Any = settings.model_fields["kind"].default
    field: Any = (Annotated[str, kind], default)
    own = create_model(settings.__name__, __base__=settings, kind=field)
    where = Parameter(name=settings.prefix or "*", group="What it minimises", negative_iterable="")
    return create_model("Flags", __base__=Config, objective=(Annotated[own, where], own(kind=default)))


def owner_of(flag: str) -> str | None:
    """The objective that has this flag."""
    return objectives.owner_of(flag.removeprefix("--").partition(".")[0].replace("-", "_"))


def _take(command: Callable[..., Any], flags: type[Config]) -> None:
    signature = inspect.signature(command)
    (group,) = signature.parameters["config"].annotation.__metadata__
    config = signature.parameters["config"].replace(annotation=Annotated[flags, group], default=flags())
    changed = signature.replace(parameters=[*(signature.parameters | {"config": config}).values()])
    command.__signature__ = changed  # type: ignore[attr-defined]
    command.__annotations__["config"] = config.annotation


def _in_new_words(tokens: Sequence[str]) -> list[str]:
    words, found = [], list(tokens)
    while found:
        flag, equals, value = found[0].partition("=")
        pair = (flag, value) if equals else tuple(found[:2])
        if (new := RENAMED.get(pair)) is None:  # type: ignore[arg-type]
            words.append(found.pop(0))
            continue
        del found[: 1 if equals else 2]
        words += new
        console.print(f"{' '.join(pair)} is now {' '.join(new) or 'the default'}", style="yellow", markup=False)
    return words
