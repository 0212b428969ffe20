"""`raygan submit`: any raygan command as a Ray job.

The command is parsed here first, so that a mistake is said before anything is sent. What travels is the code of the
raygan that was typed (its three packages) and a few words about the job: no data, no other file, no credential.
"""

import getpass
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cyclopts import App
from pydantic import BaseModel

import raygan
from raygan.jobs.cluster.job_server import How, JobServer
from raygan.pipeline.tracking import ORIGIN
from raygan.pipeline.tracking.client import redact
from raygan.sharding.errors import UserError

AS_IT_IS = How()
NAME = r"[\w.-]+"
STOP_SECONDS = 300  # what a stopped job is given to save its checkpoint before Ray kills it
CODE = Path(raygan.__file__).parent  # what travels
HERE_ONLY = ("submit", "jobs", "ui", "demo")
PLACES = ("shards", "runs", "out", "real", "folder")  # arguments that name a place, though not by their type
READ_THERE = ("--resume", "--config", "--space")  # what lies on the cluster and holds settings


def send(
    app: App, server: JobServer, name: str | None, words: Sequence[str], how: How = AS_IT_IS, resume: bool = False
) -> str:
    """Sends the command `words` and returns the id of its job. `app` parses it.

    `resume`: the job of this name may exist if it is over, and is gone on with. Raises UserError.
    """
    words = list(words[1:] if [*words[:1]] == ["raygan"] else words)
    name = name or _option(words, "--name") or _option(words, "--resume") or _drawn_name(words)
    if not re.fullmatch(NAME, name):
        raise UserError(f"--name {name}: letters, digits, points, dashes and underscores make a name")
    words = resumed(named(words, name)) if resume else named(words, name)
    check(app, words)
    attempt = _attempt(server, name, resume)
    id = name if attempt == 1 else f"{name}.{attempt}"
    metadata = {
        "name": name,
        "attempt": str(attempt),
        "command": shlex.join(["raygan", *words]),
        "run": (_option(words, "--name") or _option(words, "--resume") or "") if words[0] in ("train", "tune") else "",
        "user": getpass.getuser(),
        "commit": commit(),
        "raygan": version("raygan"),
        "code": "installed" if how.installed else "sent",
        "cpus": f"{how.cpus:g}",
        "gpus": f"{how.gpus:g}",
    }
    server.send(id, entrypoint(words, how.installed), _runtime_env(id, how.installed), metadata, how)
    return id


def named(words: list[str], name: str) -> list[str]:
    """The command with the job's name as that of its run or search, if it has none."""
    if words[:1] not in (["train"], ["tune"]) or _option(words, "--name") or _option(words, "--resume"):
        return words
    return [*words, "--name", name]


def resumed(words: list[str]) -> list[str]:
    """The command that goes on with what this one began. All but these two go on by being repeated."""
    name, runs = _option(words, "--name"), _option(words, "--runs")
    if words[:1] == ["train"] and not _option(words, "--resume"):
        return [*words, "--resume", "auto"]
    if words[:1] == ["tune"] and name and runs:
        return ["tune", "--resume", name, "--runs", runs]
    return words


def check(app: App, words: list[str]) -> None:
    """Raises UserError and CycloptsError for a command that would fail on any cluster, or tell a secret."""
    line = shlex.join(words)
    if not words or words[0] in HERE_ONLY:
        raise UserError("name the command to send after two dashes, as in: raygan submit -- train --shards s3://...")
    if redact(line) != line:
        raise UserError(
            f"{redact(line)}: a credential in it would be shown to all who look at the job; leave it out and give it "
            "to the cluster's nodes as an environment variable"
        )
    for flag, place in _places(app, words):
        if "://" not in place and not Path(place).is_absolute():
            raise UserError(
                f"{flag} {place}: on the cluster this would be a folder of one node's scratch; "
                "name one that all nodes share, as /data/runs, or a URL"
            )


def entrypoint(words: list[str], installed: bool) -> str:
    """The line that the head's shell runs. -P: the code that travelled comes before what the head's folder holds."""
    return shlex.join([*(["raygan"] if installed else ["python", "-P", "-m", "raygan.jobs"]), *words])


def _places(app: App, words: list[str]) -> Iterator[tuple[str, str]]:
    """The flags, or positions, that name a file or a folder, and their values. Raises CycloptsError, UserError."""
    typed = {flag: value for flag in READ_THERE if (value := _option(words, flag)) not in (None, "auto")}
    if typed:  # the other values lie on the cluster, where the command is judged
        yield from (
            (flag, value) for flag in ("--shards", "--runs", *READ_THERE[1:]) if (value := _option(words, flag))
        )
        return
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        for field, place in dict(value).items() if isinstance(value, BaseModel) else ((name, value),):
            if isinstance(place, Path) or field in PLACES or (words[0], field) == ("shard", "source"):
                yield f"--{field}", str(place or "/")


def _attempt(server: JobServer, name: str, resume: bool) -> int:
    before = server.attempts(name)
    if not before:
        return 1
    last = before[-1]
    if not last.over:
        raise UserError(
            f"--name {name}: that job is {last.status}; watch it with: raygan jobs logs -f {last.id}{server.flag}, "
            f"stop it with: raygan jobs stop {name}{server.flag}, or choose another name"
        )
    if not resume:
        raise UserError(
            f"--name {name}: there was such a job ({last.status}); continue it with: raygan jobs resume {name}"
            f"{server.flag}, send this command in its place with --resume, or choose another name"
        )
    return last.attempt + 1


def _runtime_env(id: str, installed: bool) -> dict[str, Any]:
    """Everything here is public: whoever may look at the dashboard may read it."""
    origin = {"mlflow.source.type": "JOB", "mlflow.user": getpass.getuser(), "version": version("raygan"), "job": id}
    if code := commit():
        origin["mlflow.source.git.commit"] = code
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), ORIGIN: json.dumps(origin)}
    code_env = {} if installed else {"py_modules": [str(CODE)]}
    return {"env_vars": environment, **code_env}


def commit() -> str:
    """The commit of the code that travels, with "-dirty" if it was changed since; empty outside of git."""
    command = ["git", "-C", str(CODE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _option(words: Sequence[str], flag: str) -> str | None:
    """The value of a flag that was typed."""
    for number, word in enumerate(words):
        if word == flag and number + 1 < len(words):
            return words[number + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def _drawn_name(words: Sequence[str]) -> str:
    return f"{'-'.join(words[:1]) or 'job'}-{datetime.now():%Y%m%d-%H%M%S}"
