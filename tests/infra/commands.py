"""Finds the command lines in documents, manifests and scripts, and parses them with the real programs; runs nothing."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import click
from cyclopts import App

from raygan.jobs import defaults
from raygan.jobs.training_flags import prepare
from raygan.pipeline.config import Launch, radford
from raygan.pipeline.training.runs import Run
from raygan.pipeline.tuning import search as searches
from raygan.pipeline.tuning.search import Options
from raygan.pipeline.tuning.space import default
from tests.infra.programs import INFRA, ROOT

# Where a shell looks for a program: at the start of a line, or after one of these. Variables may be set before it.
_BEFORE = (
    r"(?:^[ \t]*(?:- )?|(?:&&|\|\||;|\$|\bthen|\bdo|\belse|entrypoint:|command:|[ \"']--) +)(?:\w+=\S+ +)*(?:\S*/)?"
)
_AFTER = re.compile(r" *(?:&&|\|\||[;|<>#])")
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
_INDENTED = re.compile(r"(?:^ {4}.*(?:\n|\Z))+", re.M)
_SPAN = re.compile(r"`([^`\n]+)`")


def texts() -> Iterator[Path]:
    """README, documents, and all of infra/."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))
    yield from sorted(path for path in INFRA.rglob("*") if path.is_file())


def command_lines(script: str, program: str) -> list[str]:
    """Each `PROGRAM ...` in a script or manifest, up to where the shell ends it; comments are left out."""
    script = re.sub(r"^\s*#.*$", "", script.replace("\\\n", " "), flags=re.M)
    starts = re.compile(rf"{_BEFORE}({program} \S.*)$", re.M)
    lines = []
    for match in starts.finditer(script):
        lines += command_lines(match[1].partition(" ")[2], program)  # A && A: a line may hold several
        lines.append(_AFTER.split(match[1], maxsplit=1)[0].strip())
    return lines


def raygan_commands(script: str) -> list[str]:
    return command_lines(script, "raygan")


def commands_in(path: Path, program: str) -> tuple[list[str], list[str]]:
    """The command lines of a file, and those that its prose merely mentions, perhaps without their arguments."""
    text = path.read_text()
    if path.suffix != ".md":
        return command_lines(text, program), []
    blocks = _FENCE.findall(text)
    prose = _FENCE.sub("", text)
    blocks += _INDENTED.findall(prose)
    spans = [span for span in _SPAN.findall(_INDENTED.sub("", prose)) if span.startswith(f"{program} ")]
    return [line for block in blocks for line in command_lines(block, program)], spans


def parse(app: App, tokens: list[str]) -> dict[str, Any]:
    """The arguments a cyclopts app would call its command with. Raises CycloptsError.

    A run or search that is resumed, and a file of settings, lend their values; none exists here, so these do.
    """
    launch = Launch(name="run")
    run = Run(config=radford(), launch=launch, data="", tracking="local", run_id="")
    search = searches.plan(radford(), launch, default(radford()), Options(), "")
    with (
        mock.patch.object(defaults.runs, "load", return_value=run),
        mock.patch.object(defaults.searches, "load", return_value=search),
        mock.patch.object(defaults, "read_mapping", return_value={}),
    ):
        _, bound, _ = app.parse_args(prepare(app, tokens), exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def parse_click(command: click.Command, line: str) -> None:
    """Raises click.UsageError for what a click program would refuse."""
    tokens = shlex.split(line)
    context = None
    while True:
        context = command.make_context(tokens[0], tokens[1:], parent=context)
        if not isinstance(command, click.Group):
            return
        rest = [*getattr(context, "_protected_args", ()), *context.args]  # Click 9 keeps all in args
        _, found, arguments = command.resolve_command(context, rest)
        assert found is not None
        command, tokens = found, [found.name or "", *arguments]
