"""Features that objectives train on: the evaluation's own networks, layer by layer, with gradients to the image."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model, squeezenet1_1

from raygan.pipeline.evaluation.extractors.extractor import load_extractor
from raygan.pipeline.evaluation.extractors.files import activations
from raygan.pipeline.evaluation.extractors.fingerprint import fingerprints
from raygan.pipeline.objectives.features import load_features
from raygan.sharding.errors import UserError
from tests.pipeline.evaluation.extractors.networks import save_script, save_squeezenet


def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


class TwoLayers(nn.Module):
    """A network of one's own that returns a list of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(16, 4, 3, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.first(x).relu()
        return [first, self.second(first).relu()]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("script") / "net.pt"
    save_script(TwoLayers(), path)
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "squeezenet.pth"
    save_squeezenet(path)
    return path


def test_pixels_are_the_image() -> None:
    features = load_features("pixels")
    assert [layer.equal(images()) for layer in features(images())] == [True]
    assert features.fingerprints == frozenset()


def test_randconv_gives_the_layers_behind_the_evaluations_features() -> None:
    shown = (images() * 127.5 + 127.5).round()
    layers = load_features("randconv")(shown / 127.5 - 1)
    expected = load_extractor("randconv")(shown.to(torch.uint8))
    means = torch.cat([layer.abs().mean((2, 3)) for layer in layers], 1)
    torch.testing.assert_close(means, expected[:, : means.shape[1]], rtol=1e-4, atol=1e-4)


def test_a_script_gives_its_list_of_layers_and_the_evaluation_all_of_them_averaged(script: Path) -> None:
    spec = f"file:{script}?size=64"
    shown = (images() * 127.5 + 127.5).round()
    layers = load_features(spec)(shown / 127.5 - 1)
    assert [tuple(layer.shape) for layer in layers] == [(2, 16, 31, 31), (2, 4, 15, 15)]
    pooled = torch.cat([layer.mean((2, 3)) for layer in layers], 1)
    torch.testing.assert_close(pooled, load_extractor(spec)(shown.to(torch.uint8)), rtol=1e-4, atol=1e-4)


def test_a_state_dict_gives_all_activations_or_the_layers_that_are_named(state: Path) -> None:
    spec = f"file:{state}?architecture=squeezenet1_1&size=64"
    everything = load_features(spec)(images())
    assert len(everything) == 26  # one after each convolution
    assert all((layer >= 0).all() for layer in everything)
    two = load_features(f"{spec}&layer=features.1,features.3.squeeze_activation")(images())
    assert [layer.equal(other) for layer, other in zip(two, everything, strict=False)] == [True, True]
    assert len(two) == 2


def test_a_module_that_is_called_twice_gives_two_layers() -> None:
    assert activations(get_model("resnet18").eval())[:3] == ["relu", "layer1.0.relu", "layer1.0.relu_1"]


@pytest.mark.parametrize("kind", ["pixels", "randconv", "script"])
def test_the_gradient_of_the_image_is_that_of_finite_differences(kind: str, script: Path) -> None:
    features = load_features(kind if kind != "script" else f"file:{script}?size=64")
    weights = [torch.linspace(-1, 1, layer.numel()).view_as(layer) for layer in features(images())]

    def total(image: Tensor) -> Tensor:
        pairs = zip(weights, features(image), strict=True)
        return torch.stack([(w * x).double().sum() for w, x in pairs]).sum()

    image = images().requires_grad_()
    (gradient,) = torch.autograd.grad(total(image), image)
    towards = gradient / gradient.norm()
    step = 1e-2  # large: the networks compute in float32
    with torch.no_grad():
        slope = (total(image + step * towards) - total(image - step * towards)) / (2 * step)
    torch.testing.assert_close(slope.float(), gradient.norm(), rtol=2e-2, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_the_same_weights_are_recognised_in_every_format_and_precision(state: Path, tmp_path: Path) -> None:
    mine = load_features(f"file:{state}?architecture=squeezenet1_1&size=64").fingerprints
    model = squeezenet1_1(weights=None).eval()
    model.load_state_dict(torch.load(state))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.trace(model.features, torch.rand(1, 3, 64, 64)))
    save_script(frozen, tmp_path / "frozen.pt")
    torch.save({name: value.half() for name, value in torch.load(state).items()}, tmp_path / "half.pth")
    for spec in (
        f"file:{tmp_path / 'frozen.pt'}?size=64",
        f"file:{tmp_path / 'half.pth'}?architecture=squeezenet1_1&layer=features.3&size=64",
    ):
        assert load_extractor(spec).fingerprints() & mine, spec
    torch.manual_seed(1)
    assert not fingerprints(squeezenet1_1(weights=None)) & mine
    assert not load_extractor("randconv").fingerprints() & mine


def test_onnx_weights_are_recognised_but_give_no_gradient(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 16, 3)
    filters = numpy_helper.from_array(convolution.weight.detach().numpy(), "filters")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "filters"], ["maps"])],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, ["n", 16, 14, 14])],
        [filters],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert fingerprints(convolution) <= load_extractor(f"file:{path}?size=16").fingerprints()
    with pytest.raises(UserError, match="no gradient comes through"):
        load_features(f"file:{path}?size=16")


@pytest.mark.parametrize("spec", ["randcon", "inception", "file:", "pixels:3"])
def test_other_features_are_refused_by_name(spec: str) -> None:
    with pytest.raises(UserError, match=spec):
        load_features(spec)
