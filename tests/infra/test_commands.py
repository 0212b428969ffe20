import contextlib
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml
from cyclopts import CycloptsError, MissingArgumentError

from raygan.jobs.cli import app
from raygan.jobs.cluster import send as submit
from tests.infra.commands import command_lines, commands_in, parse, parse_click, texts
from tests.infra.compose import services
from tests.infra.kubernetes import build, cluster_of, containers
from tests.infra.programs import INFRA, ROOT

FILES = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in texts()]
EXAMPLE = """
# raygan train --comment
entrypoint: raygan shard A --size 64 && raygan train --shards B | tee log
    RAY_ADDRESS=HEAD:6379 .venv/bin/raygan train --workers 8 \\
        --gpu   # on a cluster
then raygan ui; raygan trains a model
"""


def container_commands() -> list[str]:
    """What containers and launched nodes start: lists in their files, not lines."""
    objects = build("laptop-jobs")
    mlflow = (container for thing in objects for container in containers(thing) if container["name"] == "mlflow")
    lines = [["mlflow", *container["args"]] for container in mlflow]
    for service in services().values():
        if service.get("entrypoint") is None and service.get("command"):
            lines.append(["mlflow"] * ("mlflow" in service["image"]) + service["command"])
    for cluster in filter(None, map(cluster_of, objects)):
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            flags = [f"--{name}={value}" for name, value in group["rayStartParams"].items()]
            lines.append(["ray", "start", *flags])
    launched = [yaml.safe_load(path.read_text()) for path in (INFRA / "ray").iterdir()]
    starts = [line for file in launched for line in file["head_start_ray_commands"] + file["worker_start_ray_commands"]]
    return [shlex.join(line) for line in lines] + [line for start in starts for line in command_lines(start, "ray")]


def test_command_lines_are_found_where_a_shell_would_run_them() -> None:
    assert sorted(command_lines(EXAMPLE, "raygan")) == sorted(
        [
            "raygan shard A --size 64",
            "raygan train --shards B",
            "raygan train --workers 8          --gpu",
            "raygan ui",
            "raygan trains a model",
        ]
    )


@pytest.mark.parametrize(
    "line", ["submit --nmae a -- train", "train --wrokers 2", "tarin", "train --workers many", "train --batch 0"]
)
def test_the_real_parser_refuses_what_does_not_exist(line: str) -> None:
    with pytest.raises(CycloptsError):
        parse(app, shlex.split(line))


@pytest.mark.parametrize("path", FILES)
def test_every_raygan_command_that_is_written_down_exists(path: Path) -> None:
    lines, mentions = commands_in(path, "raygan")
    for line in lines:
        arguments = parse(app, shlex.split(line)[1:])
        if line.startswith("raygan submit "):
            submit.check(app, submit.named(list(arguments["command"]), "job"))
    for line in mentions:
        with contextlib.suppress(MissingArgumentError):  # `raygan shard`, in a sentence
            parse(app, shlex.split(line)[1:])


def test_readme_and_the_cluster_guide_hold_commands() -> None:
    assert commands_in(ROOT / "README.md", "raygan")[0]
    assert commands_in(ROOT / "docs" / "cluster.md", "raygan")[0]


@pytest.mark.parametrize("program", ["ray", "mlflow"])
def test_every_ray_and_mlflow_command_that_is_written_down_exists(program: str) -> None:
    if program == "ray":
        from ray.scripts.scripts import cli
    else:
        from mlflow.cli import cli
    with pytest.raises(click.UsageError):
        parse_click(cli, f"{program} --no-such-option")
    lines = [line for path in texts() for line in commands_in(path, program)[0]]
    lines += [line for line in container_commands() if line.startswith(f"{program} ")]
    assert lines
    for line in lines:
        try:
            parse_click(cli, line)
        except click.UsageError as e:
            pytest.fail(f"{line}: {e.message}")


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_every_path_of_infra_that_is_written_down_exists(path: Path) -> None:
    for name in re.findall(r"(?<![\w/])infra/[\w./-]*[\w/]", path.read_text()):
        assert (ROOT / name).exists(), name
