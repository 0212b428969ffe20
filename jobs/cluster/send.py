"""`raygan submit`: any raygan command as a Ray job.

The command is parsed on this machine first, so that a mistake is reported before anything is sent. Only two things are
sent: the code of this raygan, and the job's description. No data, no other file, no credential.
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
from raygan.jobs.cluster.job_server import JobOptions, JobServer
from raygan.jobs.defaults import option
from raygan.jobs.training_flags import prepare
from raygan.pipeline.tracking import ORIGIN
from raygan.pipeline.tracking.client import redact
from raygan.sharding.errors import UserError

DEFAULT = JobOptions()
NAME = r"[\w.-]+"
STOP_SECONDS = 300  # that a stopped job has to save its checkpoint before Ray kills it
CODE = Path(raygan.__file__).parent  # what is sent
LOCAL_ONLY = ("submit", "jobs", "ui", "demo")
PATHS = ("shards", "runs", "out", "real", "folder")  # arguments that are paths or URLs, though their type is str
READ_ON_CLUSTER = ("--resume", "--config", "--space")  # files with settings, which lie on the cluster


def send(
    app: App,
    server: JobServer,
    name: str | None,
    words: Sequence[str],
    options: JobOptions = DEFAULT,
    resume: bool = False,
) -> str:
    """Sends the command `words` and returns the id of its job. `app` parses it.

    name: of the job; None takes it from the command. resume: continue the job of this name, which must have ended.
    Raises UserError, and CycloptsError for a mistyped command.
    """
    words = list(words[1:] if [*words[:1]] == ["raygan"] else words)
    name = name or option(words, "--name") or option(words, "--resume") or _default_name(words)
    if not re.fullmatch(NAME, name):
        raise UserError(f"--name {name}: use letters, digits, dots, dashes and underscores only")
    words = resumed(named(words, name)) if resume else named(words, name)
    check(app, words)
    attempt = _attempt(server, name, resume)
    id = name if attempt == 1 else f"{name}.{attempt}"
    metadata = {
        "name": name,
        "attempt": str(attempt),
        "command": shlex.join(["raygan", *words]),
        "run": (option(words, "--name") or option(words, "--resume") or "") if words[0] in ("train", "tune") else "",
        "user": getpass.getuser(),
        "commit": commit(),
        "raygan": version("raygan"),
        "code": "installed" if options.installed else "sent",
        "cpus": f"{options.cpus:g}",
        "gpus": f"{options.gpus:g}",
    }
    server.send(id, entrypoint(words, options.installed), _runtime_env(id, options.installed), metadata, options)
    return id


def named(words: list[str], name: str) -> list[str]:
    """The command, with the job's name as the name of its run or search if it gives none."""
    if words[:1] not in (["train"], ["tune"]) or option(words, "--name") or option(words, "--resume"):
        return words
    return [*words, "--name", name]


def resumed(words: list[str]) -> list[str]:
    """The command that continues what this one started. Other commands continue when repeated."""
    name, runs = option(words, "--name"), option(words, "--runs")
    if words[:1] == ["train"] and not option(words, "--resume"):
        return [*words, "--resume", "auto"]
    if words[:1] == ["tune"] and name and runs:
        return ["tune", "--resume", name, "--runs", runs]
    return words


def check(app: App, words: list[str]) -> None:
    """Raises UserError or CycloptsError for a command that would fail on any cluster, or that holds a credential."""
    line = shlex.join(words)
    if not words or words[0] in LOCAL_ONLY:
        raise UserError("name the command to send after two dashes, as in: raygan submit -- train --shards s3://...")
    if redact(line) != line:
        raise UserError(
            f"{redact(line)}: everyone who can see the job would see the credential in it; leave it out and set it "
            "as an environment variable on the cluster's nodes"
        )
    for flag, path in _paths(app, words):
        if "://" not in path and not Path(path).is_absolute():
            raise UserError(
                f"{flag} {path}: on the cluster this would lie on the disk of one node only; "
                "give a path that all nodes share, such as /data/runs, or a URL"
            )


def entrypoint(words: list[str], installed: bool) -> str:
    """The line that the head's shell runs. -P: the code that was sent is found before files in the current folder."""
    return shlex.join([*(["raygan"] if installed else ["python", "-P", "-m", "raygan.jobs"]), *words])


def _paths(app: App, words: list[str]) -> Iterator[tuple[str, str]]:
    """The flags and positional arguments that are paths, with their values. Raises CycloptsError and UserError."""
    typed = {flag: value for flag in READ_ON_CLUSTER if (value := option(words, flag)) not in (None, "auto")}
    if typed:  # the other values are on the cluster, which checks the whole command
        yield from (
            (flag, value) for flag in ("--shards", "--runs", *READ_ON_CLUSTER[1:]) if (value := option(words, flag))
        )
        return
    _, bound, _ = app.parse_args(prepare(app, words), exit_on_error=False, print_error=False)
    bound.apply_defaults()
    for name, value in bound.arguments.items():
        for field, path in dict(value).items() if isinstance(value, BaseModel) else ((name, value),):
            if isinstance(path, Path) or field in PATHS or (words[0], field) == ("shard", "source"):
                yield f"--{field}", str(path or "/")


def _attempt(server: JobServer, name: str, resume: bool) -> int:
    before = server.attempts(name)
    if not before:
        return 1
    last = before[-1]
    if not last.done:
        raise UserError(
            f"--name {name}: that job is {last.status}; watch it with: raygan jobs logs -f {last.id}{server.flag}, "
            f"stop it with: raygan jobs stop {name}{server.flag}, or choose another name"
        )
    if not resume:
        raise UserError(
            f"--name {name}: a job of that name has ended ({last.status}); continue it with: raygan jobs resume {name}"
            f"{server.flag}, run this command in its place by adding --resume, or choose another name"
        )
    return last.attempt + 1


def _runtime_env(id: str, installed: bool) -> dict[str, Any]:
    """The environment of a job. It must hold no secret: everyone who can open the dashboard can read it."""
    origin = {"mlflow.source.type": "JOB", "mlflow.user": getpass.getuser(), "version": version("raygan"), "job": id}
    if code := commit():
        origin["mlflow.source.git.commit"] = code
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), ORIGIN: json.dumps(origin)}
    code_env = {} if installed else {"py_modules": [str(CODE)]}
    return {"env_vars": environment, **code_env}


def commit() -> str:
    """The commit of the code that is sent, with "-dirty" if it was changed since; empty outside of a git checkout."""
    command = ["git", "-C", str(CODE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _default_name(words: Sequence[str]) -> str:
    return f"{'-'.join(words[:1]) or 'job'}-{datetime.now():%Y%m%d-%H%M%S}"
