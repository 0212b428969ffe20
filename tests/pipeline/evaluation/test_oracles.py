"""The same images and the same weights through torch-fidelity, pytorch-fid and torchmetrics give the same scores.

The weights are random, for nobody may ship the real ones with a test; the batch statistics are calibrated on the
images, so that the features spread as a trained network's do.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raygan.pipeline.evaluation import distances
from raygan.pipeline.evaluation.cache import Measurement
from raygan.pipeline.evaluation.extractors import inception
from raygan.pipeline.evaluation.extractors.extractor import load_extractor
from raygan.pipeline.evaluation.scores import Evaluator, score_names
from tests.pipeline.evaluation.pictures import pictures, save_folder

pytest.importorskip("torch_fidelity", reason="the FID network comes from torch-fidelity: pip install 'raygan[fid]'")

COUNT = 8
TOLERANCE = 1e-3  # promised; measured: 7e-7


def save_random_weights(path: Path, images: torch.Tensor) -> None:
    from torch_fidelity import feature_extractor_inceptionv3 as peer

    class Unloaded(peer.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args: object, **kwargs: object) -> None:
            """Keeps the random weights that the constructor would replace."""

    torch.save({}, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Unloaded("random", ["2048"], feature_extractor_weights_path=str(path))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
            module.momentum = None  # the plain average of what it sees
    with torch.no_grad():
        network(images)
    torch.save(network.state_dict(), path)


@dataclass
class Material:
    weights: Path
    real: Path
    fake: Path

    def images(self, folder: Path) -> torch.Tensor:
        stacked = np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Material]:
    """Two folders of PNG files, and weights under the very name that the peers download theirs to."""
    root = tmp_path_factory.mktemp("oracles")
    found = Material(
        root / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth", real=root / "real", fake=root / "fake"
    )
    save_folder(found.real, pictures(COUNT, 0, 64))
    save_folder(found.fake, pictures(COUNT, 1, 64, contrast=90))
    found.weights.parent.mkdir(parents=True)
    save_random_weights(found.weights, found.images(found.real))
    before = os.environ.get("TORCH_HOME")
    os.environ["TORCH_HOME"] = str(root)
    yield found
    if before is None:
        del os.environ["TORCH_HOME"]
    else:
        os.environ["TORCH_HOME"] = before


@dataclass
class Ours:
    scores: dict[str, float]
    real: Measurement
    fake: Measurement
    name: str


def ours(material: Material, protocol: str) -> Ours:
    evaluator = Evaluator(
        material.real,
        extractor=f"inception:{material.weights}?protocol={protocol}",
        count=COUNT,
        metrics=["fid", "kid"],
        cache=material.weights.parent / "cache",
    )
    images = material.images(material.fake)
    fake = evaluator.draw(lambda first, count: images[first : first + count])
    name = evaluator.extractor.name
    return Ours(evaluator.compare(evaluator.real(), fake), evaluator.real(), fake, name)


@pytest.fixture(scope="module")
def tf1(material: Material) -> Ours:
    return ours(material, "tf1")


def test_torch_fidelity_agrees(material: Material, tf1: Ours) -> None:
    import torch_fidelity

    peer = torch_fidelity.calculate_metrics(
        input1=str(material.fake),
        input2=str(material.real),
        feature_extractor_weights_path=str(material.weights),
        fid=True,
        kid=True,
        kid_subsets=20,
        kid_subset_size=6,
        cuda=False,
        cache=False,
        verbose=False,
    )
    assert tf1.scores[f"fd_{tf1.name}"] == pytest.approx(peer["frechet_inception_distance"], rel=TOLERANCE)
    mean, deviation = distances.kid_subsets(tf1.real.features, tf1.fake.features, subsets=20, size=6)
    assert mean == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-5, abs=1e-6)
    assert deviation == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-5, abs=1e-6)


def test_torchmetrics_agrees(material: Material, tf1: Ours) -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    kid = pytest.importorskip("torchmetrics.image.kid")
    peer = fid.FrechetInceptionDistance(feature_extractor_weights_path=str(material.weights), antialias=False)
    peer.update(material.images(material.real), real=True)
    peer.update(material.images(material.fake), real=False)
    assert tf1.scores[f"fd_{tf1.name}"] == pytest.approx(float(peer.compute()), rel=TOLERANCE)
    theirs = float(kid.poly_mmd(tf1.real.features.double(), tf1.fake.features.double()))
    assert tf1.scores[f"kid_{tf1.name}"] == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_pytorch_fid_agrees_and_differs_from_the_other_protocol(material: Material, tf1: Ours) -> None:
    peer = pytest.importorskip("pytorch_fid.fid_score")
    from pytorch_fid.inception import InceptionV3

    network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()
    statistics = [
        peer.calculate_activation_statistics(sorted(folder.iterdir()), network, batch_size=COUNT, num_workers=0)
        for folder in (material.real, material.fake)
    ]
    theirs = peer.calculate_frechet_distance(*statistics[0], *statistics[1])
    found = ours(material, "pytorch_fid")
    assert found.scores[f"fd_{found.name}"] == pytest.approx(theirs, rel=TOLERANCE)
    assert found.scores[f"fd_{found.name}"] != pytest.approx(tf1.scores[f"fd_{tf1.name}"], rel=TOLERANCE)


def test_fid_is_not_written_without_the_published_weights_whatever_the_file_is_called(tf1: Ours) -> None:
    assert "fid" not in tf1.scores
    assert "kid" not in tf1.scores
    assert tf1.name.startswith("inception_")


def test_fid_is_written_for_the_published_weights(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    published = load_extractor(f"inception:{material.weights}").digest
    monkeypatch.setattr(inception, "DIGEST", published)
    extractor = load_extractor(f"inception:{material.weights}")
    assert score_names("fid", extractor) == ("fid",)
    assert score_names("kid", extractor) == ("kid",)


def test_loading_the_network_leaves_the_random_state_alone(material: Material) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_extractor(f"inception:{material.weights}")
    assert torch.equal(before, torch.get_rng_state())
