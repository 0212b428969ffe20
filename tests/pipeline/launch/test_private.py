"""Private interfaces are used for the versions for which they were checked, and for no other."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from raygan.pipeline.launch import private

ROOT = Path(__file__).parents[3]
PRIVATE = re.compile(r"\b(?:ray|optuna)(?:\.\w+)*\._[a-z]|from (?:ray|optuna)[\w.]*\._|\._trial_id\b")


def test_the_installed_and_the_pinned_ray_are_those_that_private_calls_were_checked_for() -> None:
    checked = SpecifierSet(private.RAY)
    assert version("ray") in checked
    pinned = re.search(r"^ray==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert pinned[1] in checked
    declared = map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert {requirement.name: requirement.specifier for requirement in declared}["ray"] == checked


def test_no_other_file_uses_private_parts_of_ray_or_optuna() -> None:
    files = [file for folder in ("sharding", "pipeline", "jobs") for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    users = {file.relative_to(ROOT).as_posix() for file in files if PRIVATE.search(file.read_text())}
    assert users == {"pipeline/launch/private.py"}


@pytest.mark.ray_cluster
def test_the_head_of_a_cluster_answers(ray_cluster: str) -> None:
    private.ask_head(ray_cluster)
