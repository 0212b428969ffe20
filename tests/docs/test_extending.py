"""The recipes of docs/extending.md: their code is applied to a copy of the packages, and what it adds is used there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
PACKAGES = ("sharding", "pipeline", "jobs")

TRAIN = """
from raygan.pipeline.config import Config, Evaluation, smoke
from raygan.pipeline.data.dataset import DataSet
from raygan.pipeline.distributed import DistributedContext
from raygan.pipeline.training import checkpoint, loop
from tests.pipeline.small_datasets import write_dataset
from tests.pipeline.training.sessions import PlainSession

def two_steps(**settings):
    given = dict(smoke()) | {"images": 32, "evaluation": Evaluation(count=2)} | settings
    config = Config.model_validate(given)
    data = DataSet.open(str(write_dataset(folder / "shards", [32], size=32)))
    session = PlainSession(folder / "run")
    assert loop.train(config, data, DistributedContext(), session) == 32
    sampler = checkpoint.load_sampler(session.checkpoint(32))
    assert sampler.draw(0, 2).shape == (2, 3, 32, 32)
    return config, session
"""

USES = {
    "A new loss": TRAIN
    + """
from raygan.pipeline.config import Adversarial
config, session = two_steps(objective=Adversarial(loss="paired"))
assert config.objective.loss == "paired"
assert "loss/generator" in session.points[0][1]
""",
    "A new network": TRAIN
    + """
from raygan.pipeline.config.models import SIZES
from raygan.pipeline.models import build, residual
config, session = two_steps(architecture="residual", attributes=("Smiling",))
assert isinstance(build.generator(config, 64), residual.Generator)
assert SIZES["residual"] == residual.Generator.sizes
""",
    "A new objective": TRAIN
    + """
config, session = two_steps(objective="codebook", codebook={"vectors": 7})
assert config.fixed_settings()["codebook.vectors"] == 7
assert "loss/reconstruction" in session.points[0][1]
""",
    "A new source of faces": """
import io, tarfile
import numpy as np
from raygan.sharding.format.images import encode
from raygan.sharding.sources.detect import open_source
with tarfile.open(folder / "faces.tar", "w") as tar:
    for number in range(3):
        picture = encode(np.full((8, 8, 3), number, np.uint8), "png")
        member = tarfile.TarInfo(f"faces/00{number}.png")
        member.size = len(picture)
        tar.addfile(member, io.BytesIO(picture))
source = open_source(str(folder / "faces.tar"))
assert source.kind.startswith("plain tar of 3 images")
assert source.read(0) .startswith(b"\\x89PNG")
""",
    "A new metric": """
import torch
from raygan.pipeline.evaluation.scores import Evaluator
from tests.pipeline.small_datasets import write_dataset
data = write_dataset(folder / "shards", [32], size=32)
evaluator = Evaluator(str(data), count=16, metrics=("fid", "energy"), cache=folder / "cache")
def score(images):
    return evaluator.score(lambda first, count: images[first : first + count])["energy_randconv"]
black = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
noise = torch.randint(0, 256, black.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
assert score(noise) < score(black)
""",
    "A new image size": """
import torch
from raygan.pipeline.config import Launch, smoke
from raygan.pipeline.config.models import SIZES
from raygan.pipeline.launch.plan import plan
from raygan.pipeline.models import build, dcgan
from raygan.sharding.options import ShardingOptions
from tests.pipeline.small_datasets import write_dataset
size = ShardingOptions(size=512).size
data = write_dataset(folder / "shards", [2], size=size)
planned = plan(smoke(), Launch(shards=str(data), runs=folder))
assert SIZES["dcgan"] == dcgan.Generator.sizes
assert build.generator(planned.config, size)(torch.randn(1, 8)).shape == (1, 3, size, size)
""",
}


def blocks(recipe: str) -> Iterator[tuple[str, str, str]]:
    """The code blocks of a recipe: language, path, and what follows the path."""
    (section,) = re.findall(rf"^## {recipe}\n(.*?)(?=^## )", PAGE, re.M | re.S)
    for block in re.finditer(r"^```(python|diff)\n# (\S+)\n(.*?)^```$", section, re.M | re.S):
        yield block[1], block[2], block[3]


def patched(text: str, changes: str) -> str:
    """The text after the hunks of a diff without line numbers; each must fit at one place."""
    for hunk in re.split(r"^@@\n", changes, flags=re.M):
        lines = [(line[:1] or " ", line[1:]) for line in hunk.splitlines()]
        old = "".join(f"{line}\n" for sign, line in lines if sign != "+")
        new = "".join(f"{line}\n" for sign, line in lines if sign != "-")
        assert text.count(old) == 1, f"the file is no longer as docs/extending.md says:\n{old}"
        text = text.replace(old, new)
    return text


def apply(recipe: str, house: Path) -> list[Path]:
    """Carries out a recipe in a copy of the packages; returns the files that it touched."""
    touched = []
    for language, path, content in blocks(recipe):
        file = house / path
        if language == "diff":
            file.write_text(patched(file.read_text(), content))
        else:
            assert not file.exists(), f"{path} exists: choose another example in docs/extending.md"
            file.write_text(content)
        touched.append(file)
    return touched


def run(*command: str | Path, **environment: str) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("recipe", USES)
def test_a_recipe_works_as_it_is_written(recipe: str, tmp_path: Path) -> None:
    house = tmp_path / "raygan"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__"))
    (house / "__init__.py").touch()
    touched = apply(recipe, house)
    style: tuple[str | Path, ...] = ("--config", ROOT / "pyproject.toml", "--no-cache", *touched)
    run(sys.executable, "-m", "ruff", "check", *style)
    run(sys.executable, "-m", "ruff", "format", "--check", *style)
    program = f"import pathlib, raygan\nfolder = pathlib.Path({str(tmp_path)!r})\n" + USES[recipe]
    program += "assert pathlib.Path(raygan.__file__).parent == folder / 'raygan'\n"
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    run(sys.executable, "-c", program, PYTHONPATH=path, XDG_CACHE_HOME=str(tmp_path / "cache"))


@pytest.mark.parametrize("recipe", USES)
def test_the_table_counts_the_files_of_a_recipe(recipe: str) -> None:
    (row,) = re.findall(rf"^\| {recipe} \| \d+ \| (\d+) \|", PAGE, re.M)
    assert int(row) == len({path for _, path, _ in blocks(recipe)})


def test_every_recipe_is_followed() -> None:
    recipes = re.findall(r"^## (A new .*)$", PAGE, re.M)
    assert recipes == list(USES)
