"""The registered model: what it holds, who is champion, and that it needs nothing of raygan."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from raygan.pipeline import tracking
from raygan.pipeline.evaluation.sampler import Sampler
from raygan.pipeline.models.dcgan import Generator
from raygan.pipeline.models.noise import Purpose, latents
from raygan.pipeline.tracking.client import client
from raygan.pipeline.tracking.registry.code import write_package
from raygan.pipeline.tracking.registry.package import save_generator
from raygan.pipeline.tracking.registry.register import CHAMPION, NOT_REGISTERED
from raygan.sharding.errors import RunError
from tests.pipeline.tracking.networks import mixed

ROOT = Path(__file__).parents[3]
ARGUMENTS = {"size": 32, "latent": 5, "width": 4, "normalisation": "batch"}
CONDITIONAL = {"normalisation": "none", "attributes": 2}
KID = "score/kid_randconv"


def generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(**ARGUMENTS)  # type: ignore[arg-type]
    network(torch.randn(16, 5))  # moves the BatchNorm buffers, so that losing them would show
    return network.eval()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tracking.local_uri(tmp_path_factory.mktemp("models"))


@pytest.fixture
def registered(store: str) -> tuple[str, str]:
    return store, tracking.create_run(store, "faces", "run", {})


def register(uri: str, run_id: str, kid: float, identity: dict[str, str], position: int = 640) -> tracking.Registered:
    return tracking.register_generator(
        uri, run_id, "raygan-faces", generator(), ARGUMENTS, position, {KID: kid}, KID, identity, "# A card"
    )


def test_the_champion_changes_only_for_a_better_score_under_the_same_identity(registered: tuple[str, str]) -> None:
    randconv, inception = {"extractor": "randconv"}, {"extractor": "inception"}
    attempts = [(5.0, randconv), (6.0, randconv), (5.0, randconv), (4.0, randconv), (1.0, inception)]
    results = [register(*registered, kid, identity, position) for position, (kid, identity) in enumerate(attempts)]
    assert [result.champion for result in results] == [True, False, False, True, False]
    assert "not comparable" in results[-1].reason
    champion = client(registered[0]).get_model_version_by_alias("raygan-faces", CHAMPION)
    assert str(champion.version) == results[3].version
    assert (champion.description, champion.tags[KID], champion.run_id) == ("# A card", "4.0", registered[1])


def test_a_generator_is_registered_once(registered: tuple[str, str]) -> None:
    first, second = (register(*registered, 2.0, {"extractor": "once"}, position=1280) for _ in range(2))
    assert (second.version, second.champion, second.reason) == (
        first.version,
        first.champion,
        "it was registered before",
    )


def test_registering_adds_no_second_point_to_a_score(registered: tuple[str, str], tmp_path: Path) -> None:
    uri, run_id = registered
    writer = tracking.Writer(uri, run_id, tmp_path / "spool")
    writer.metrics({KID: 5.0}, 640)
    assert writer.close(60) == 0
    register(uri, run_id, 5.0 + 1e-9, {})
    assert len(client(uri).get_metric_history(run_id, KID)) == 1


def test_a_conditional_model_takes_attributes_by_name(tmp_path: Path) -> None:
    import mlflow

    torch.manual_seed(0)
    network = Generator(32, 5, 4, "none", attributes=2)
    network.seed.rows[512:] = 1
    save_generator(tmp_path / "model", network, ARGUMENTS | CONDITIONAL, "# A card", ["Smiling", "Male"])
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))

    def drawn(table: dict[str, list[int]]) -> np.ndarray:
        return model.predict(pd.DataFrame(table), params={"format": "array"})

    seeds = {"seed": [0] * 8, "index": [*range(8)]}
    noise = torch.cat([latents(0, Purpose.FACES, i, 1, 6) for i in range(8)])
    told = torch.tensor([[1, 0]] * 8)
    with torch.no_grad():
        expected = ((network(noise, told) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(drawn(seeds | {"Smiling": [1] * 8, "Male": [0] * 8}), expected)
    assert not np.array_equal(drawn(seeds), expected)


LOADS_WITHOUT_RAYGAN = """
import json, os, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"

class NoRaygan:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("raygan", "tests", "ray"):
            raise ImportError(f"{name} must not be needed")

sys.meta_path.insert(0, NoRaygan())
import base64, io
import mlflow, numpy as np, pandas as pd
from PIL import Image
model = mlflow.pyfunc.load_model(sys.argv[1])
seeds = pd.DataFrame({"seed": [3, 3], "index": [0, 1]})
np.save(sys.argv[2], model.predict(seeds, params={"format": "array"}))
png = Image.open(io.BytesIO(base64.b64decode(model.predict(seeds)["png"][1])))
latents = pd.DataFrame({"latent": [[0.5] * 5]})
try:
    model.predict(pd.DataFrame({"latent": [[0.5] * 4]}))
except Exception as error:
    mistake = str(error)
given = model.predict(latents, params={"format": "array"})
print(json.dumps({"png": np.asarray(png).tolist(), "latent": given.tolist(), "mistake": mistake}))
"""


def fresh_interpreter(folder: Path, requirements: Path) -> str:
    """The Python of a new virtual environment that holds nothing but `requirements`, in the versions pinned here.

    From uv's cache; in CI, where it must not be skipped, uv may ask the registry for what its cache does not hold.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    python = folder / "bin" / "python"
    for command in (
        ["venv", "--python", sys.executable, folder],
        ["pip", "install", "--python", python, "-r", requirements, "-c", ROOT / "requirements.txt"],
    ):
        done = subprocess.run(
            [uv, "--quiet", *([] if "CI" in os.environ else ["--offline"]), *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and "CI" not in os.environ:
            pytest.skip(f"uv's cache does not hold the model's requirements: {done.stderr}")
        assert done.returncode == 0, done.stderr
    return str(python)


@pytest.mark.parametrize("environment", ["ours", "fresh"])
def test_a_model_draws_the_same_faces_without_raygan_and_without_pickle(tmp_path: Path, environment: str) -> None:
    network, python = generator(), sys.executable
    save_generator(tmp_path / "model", network, ARGUMENTS, "# A card")
    if environment == "fresh":
        python = fresh_interpreter(tmp_path / "venv", tmp_path / "model" / "requirements.txt")
    command = [python, "-c", LOADS_WITHOUT_RAYGAN, str(tmp_path / "model"), str(tmp_path / "drawn.npy")]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told = json.loads(answer.stdout.splitlines()[-1])

    faces = Sampler(network, 5, torch.device("cpu"), seed=3).draw(0, 2).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "drawn.npy"), faces)
    np.testing.assert_array_equal(told["png"], faces[1])
    expected = ((network(torch.full((1, 5), 0.5)) + 1) * 127.5).round().clamp(0, 255)
    np.testing.assert_array_equal(told["latent"], expected.permute(0, 2, 3, 1).detach().numpy())
    assert "expected 5 numbers a row, got 4" in told["mistake"]
    files = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} <= {"", ".json", ".md", ".py", ".safetensors", ".txt", ".yaml"}


def test_a_network_takes_along_the_modules_that_its_file_imports_directly_or_not(store: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, run_id = mixed.Mixer(5).eval(), tracking.create_run(store, "faces", "own-network", {})
    done = tracking.register_generator(store, run_id, "own", network, {"latent": 5}, 64, {KID: 1.0}, KID, {}, "")
    subprocess.run(
        [sys.executable, "-c", LOADS_WITHOUT_RAYGAN, f"models:/own/{done.version}", str(tmp_path / "drawn.npy")],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": store},
        check=True,
    )
    faces = Sampler(network, 5, torch.device("cpu"), seed=3).draw(0, 2).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "drawn.npy"), faces)
    assert faces.std() > 1


def test_the_copied_code_is_the_original_but_for_its_imports(tmp_path: Path) -> None:
    package = write_package(tmp_path, [mixed.__name__])
    files = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.stat().st_size}
    helpers = "tests/pipeline/tracking/networks"
    assert files == {f"{helpers}/{name}.py" for name in ("mixed", "blocks", "scale")} | {
        "raygan/pipeline/models/layers.py"
    }
    scale = Path(mixed.__file__).with_name("scale.py").read_text()
    assert (package / helpers / "scale.py").read_text() == scale
    assert "# a comment stays" in (package / helpers / "blocks.py").read_text()
    other = write_package(tmp_path, [f"{mixed.__package__}.blocks"])
    assert other.name != package.name


def test_code_without_a_source_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="itertools: it has no source file"):
        write_package(tmp_path, ["itertools"])


def test_why_a_generator_is_not_registered_is_a_tag_of_its_run(registered: tuple[str, str]) -> None:
    uri, run_id = registered
    assert tracking.note_unregistered(uri, run_id, RunError("no space left\nanywhere")) == "no space left"
    assert tracking.find_run(uri, run_id).tags[NOT_REGISTERED] == "no space left"
    assert tracking.note_unregistered("http://127.0.0.1:9", run_id, ValueError()) == "ValueError"
