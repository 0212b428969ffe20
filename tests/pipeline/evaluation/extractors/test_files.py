"""Extractors from files: TorchScript, ONNX and state dicts give their features, and files of other kinds a reason."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import squeezenet1_1

from raygan.pipeline.evaluation.extractors.extractor import load_extractor
from raygan.sharding.errors import UserError
from tests.pipeline.evaluation.extractors.networks import save_script, save_squeezenet


def pictures(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, 40, 40), dtype=np.uint8))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("script") / "net.pt"
    save_script(nn.Conv2d(3, 5, 3, stride=2), path)
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "squeezenet.pth"
    save_squeezenet(path)
    return path


def save_onnx(path: Path, batch: int | str = "n", kind: str = "FLOAT") -> np.ndarray:
    """Relu(x . filters) of 1x1 convolutions, and then the mean over all channels as the only output."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    element = getattr(onnx.TensorProto, kind)
    filters = np.random.default_rng(1).normal(size=(4, 3, 1, 1)).astype(helper.tensor_dtype_to_np_dtype(element))
    nodes = [
        helper.make_node("Conv", ["x", "filters"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", element, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("pooled", element, [batch, 4, 1, 1])],
        [numpy_helper.from_array(filters, "filters")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return filters.astype(np.float32)


def prepared(images: torch.Tensor, size: int) -> torch.Tensor:
    """By hand: resized, BGR, minus 104, 117, 123, divided by 2, 4, 8."""
    x = F.interpolate(images.float(), size=(size, size), mode="bilinear", antialias=True)
    x = torch.stack([x[:, 2] - 104, x[:, 1] - 117, x[:, 0] - 123], 1)
    return x / torch.tensor([2.0, 4.0, 8.0]).view(1, 3, 1, 1)


HAND = "channels=bgr&mean=104,117,123&deviation=2,4,8"


def test_torchscript_features_are_averaged_over_positions(script: Path) -> None:
    extractor = load_extractor(f"file:{script}?size=16&{HAND}")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.jit.load(script)(prepared(pictures(), 16)).mean((2, 3))
    assert extractor.dimensions == 5
    torch.testing.assert_close(extractor(pictures()), expected)


@pytest.mark.parametrize(
    ("batch", "kind", "tolerance"), [("n", "FLOAT", 1e-5), (1, "FLOAT", 1e-5), (1, "FLOAT16", 1e-2)]
)
@pytest.mark.parametrize("layer", ["", "&layer=maps"])
def test_onnx_gives_its_output_or_any_tensor_inside(
    tmp_path: Path, batch: int | str, kind: str, tolerance: float, layer: str
) -> None:
    filters = torch.from_numpy(save_onnx(tmp_path / "net.onnx", batch, kind))
    extractor = load_extractor(f"file:{tmp_path / 'net.onnx'}?size=16&{HAND}{layer}")
    expected = F.conv2d(prepared(pictures(), 16), filters).relu().mean((2, 3))
    torch.testing.assert_close(extractor(pictures()), expected, rtol=tolerance, atol=tolerance)


def test_a_state_dict_needs_an_architecture_and_gives_the_layer_asked_for(state: Path) -> None:
    extractor = load_extractor(f"file:{state}?architecture=squeezenet1_1&layer=features&size=64&{HAND}")
    model = squeezenet1_1(weights=None).eval()
    model.load_state_dict(torch.load(state))
    with torch.no_grad():
        expected = model.features(prepared(pictures(), 64)).mean((2, 3))
    assert extractor.dimensions == 512
    torch.testing.assert_close(extractor(pictures()), expected, rtol=1e-4, atol=1e-4)


def test_half_precision_weights_work(state: Path, tmp_path: Path) -> None:
    torch.save({name: value.half() for name, value in torch.load(state).items()}, tmp_path / "half.pth")
    extractor = load_extractor(f"file:{tmp_path / 'half.pth'}?architecture=squeezenet1_1&layer=features&size=64")
    assert extractor(pictures()).dtype == torch.float32


def test_the_name_follows_the_content_and_the_preparation_and_not_the_path(script: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fid.pt"
    copy.write_bytes(script.read_bytes())
    name = load_extractor(f"file:{script}?size=16").name
    assert load_extractor(f"file:{copy}?size=16").name == name
    assert load_extractor(f"file:{copy}?size=20").name != name
    assert not load_extractor(f"file:{copy}?size=16").is_fid


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "file:PATH\\?architecture="),
        ("?architecture=resnet5", "no such model"),
        ("?architecture=resnet18", "not a state dict of resnet18"),
        ("?architecture=squeezenet1_1", "say which layer"),
        ("?architecture=squeezenet1_1&layer=nowhere", "no such layer"),
        ("?architecture=squeezenet1_1&layer=features&size=1", "fails on two images of 1 pixels"),
        ("?archtecture=squeezenet1_1", "archtecture"),
        ("?size=big", "size"),
        ("?mean=1,2", "mean"),
    ],
)
def test_what_cannot_be_used_has_a_reason(state: Path, options: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_extractor(f"file:{state}{options}")


def test_a_missing_or_broken_file_has_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_extractor(f"file:{tmp_path / 'missing.pt'}")
    pytest.importorskip("onnxruntime")
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(UserError, match="not a model that onnxruntime runs"):
        load_extractor(f"file:{tmp_path / 'broken.onnx'}")


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize("spec", ["file:{}?architecture=squeezenet1_1&layer=features", "file:{}", "inception:{}"])
def test_no_file_can_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.pth", "pickle.pth"):
        with pytest.raises(UserError, match=name):
            load_extractor(spec.format(tmp_path / name))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("spec", ["inception?protocol=clean", "inception?size=3"])
def test_inception_has_two_protocols_and_no_other_option(spec: str) -> None:
    with pytest.raises(UserError, match="tf1 or pytorch_fid"):
        load_extractor(spec)


def test_loading_leaves_the_random_state_alone(state: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_extractor(f"file:{state}?architecture=squeezenet1_1&layer=features&size=64")
    assert torch.equal(before, torch.get_rng_state())
