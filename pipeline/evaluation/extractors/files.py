"""Extractors from a file: TorchScript, ONNX, or a state dict of a torchvision architecture.

No file is unpickled, so none can run code of its own.
"""

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from raygan.sharding.errors import UserError

Triple = tuple[float, float, float]


class Preparation(BaseModel):
    """How uint8 images become the input of a network; the defaults are those of torchvision's ImageNet networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(224, ge=1, description="height and width in pixels, bilinear with antialiasing")
    channels: Literal["rgb", "bgr"] = Field("rgb", description="order of the channels")
    mean: Triple = Field((123.675, 116.28, 103.53), description="subtracted from the channels 0 to 255, in their order")
    deviation: Triple = Field((58.395, 57.12, 57.375), description="by which the difference is divided")
    architecture: str | None = Field(None, description="torchvision model that a state dict belongs to")
    layer: str | None = Field(None, description="whose output is used: modules, with commas, or for ONNX a tensor")

    def protocol(self) -> str:
        """All settings in one canonical line."""
        return self.model_dump_json(exclude_none=True)


class Prepared(nn.Module):
    """A network behind its preparation. It gives a tensor, or a list or tuple of them: one for each layer."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, preparation: Preparation) -> None:
        super().__init__()
        self.network, self._preparation = network, preparation
        self.register_buffer("mean", torch.tensor(preparation.mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(preparation.deviation).view(1, 3, 1, 1))

    def layers(self, images: Tensor) -> list[Tensor]:
        """[n, 3, H, W] on the scale 0 to 255 to what each layer gives, [n, ...]."""
        size = (self._preparation.size, self._preparation.size)
        x = F.interpolate(images.float(), size=size, mode="bilinear", antialias=True)
        if self._preparation.channels == "bgr":
            x = x.flip(1)
        found = self.network((x - self.mean) / self.deviation)
        return [found] if isinstance(found, Tensor) else list(found)

    def forward(self, images: Tensor) -> Tensor:
        """[n, 3, H, W] on the scale 0 to 255 to features, [n, d]: maps averaged over positions, layer after layer."""
        features = [x.flatten(2).mean(2) if x.ndim > 2 else x for x in self.layers(images)]
        return features[0] if len(features) == 1 else torch.cat(features, 1)


def load_file(path: Path, preparation: Preparation, every_layer: bool = False) -> tuple[Prepared, int]:
    """The network in `path`, on the CPU, and the number of its features.

    `every_layer`: a state dict gives all its activations where no layer is named. Raises UserError for a file,
    architecture or layer that cannot be used.
    """
    if path.suffix.lower() == ".onnx":
        network: nn.Module = Onnx(path, preparation.layer)
    elif preparation.architecture:
        network = _architecture(path, preparation.architecture, preparation.layer, every_layer)
    else:
        network = _torchscript(path)
    prepared = Prepared(network, preparation).eval()
    try:
        with torch.no_grad():
            features = prepared(torch.full((2, 3, 64, 64), 128, dtype=torch.uint8))
    except Exception as error:  # any error of the user's network
        raise UserError(f"{path}: fails on two images of {preparation.size} pixels ({_line(error)})") from error
    if features.ndim != 2 or len(features) != 2:
        raise UserError(f"{path}: gives {list(features.shape)} for two images instead of [2, features]; name a layer")
    return prepared, features.shape[1]


def _torchscript(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch recommends torch.export, but users have these files
            network: nn.Module = torch.jit.load(path, map_location="cpu")
    except Exception as error:
        remedy = "for a state dict say which: file:PATH?architecture=resnet50&layer=avgpool"
        raise UserError(f"{path}: neither ONNX (.onnx) nor TorchScript; {remedy}") from error
    return network


def _architecture(path: Path, architecture: str, layer: str | None, every_layer: bool) -> nn.Module:
    from torchvision.models import get_model
    from torchvision.models.feature_extraction import create_feature_extractor

    with torch.random.fork_rng(devices=[]):  # new layers draw weights, which are then replaced
        try:
            model = get_model(architecture, weights=None).eval()
        except ValueError as error:
            raise UserError(f"architecture {architecture!r}: torchvision has no such model") from error
    try:
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise UserError(f"{path}: not a state dict of {architecture} ({_line(error)})") from error
    layers = layer.split(",") if layer else activations(model) if every_layer else []
    if not layers:
        names = ", ".join(name for name, _ in model.named_children())
        raise UserError(f"{path}: say which layer's output to take, as in layer=NAME; {architecture} has {names}")
    try:
        return _Named(create_feature_extractor(model, layers), layers)
    except ValueError as error:
        raise UserError(f"layer {layer!r}: {architecture} has no such layer") from error


def activations(model: nn.Module) -> list[str]:
    """The outputs of all activation modules, by the names that torchvision's feature extraction has for them."""
    from torchvision.models.feature_extraction import get_graph_node_names

    modules = dict(model.named_modules())

    def module_of(output: str) -> nn.Module | None:
        name, _, calls = output.rpartition("_")  # the second output of a module that is called twice is relu_1
        return modules.get(output, modules.get(name) if calls.isdigit() else None)

    outputs = get_graph_node_names(model)[1]
    return [name for name in outputs if type(module_of(name)).__module__ == nn.ReLU.__module__]


class _Named(nn.Module):
    def __init__(self, network: nn.Module, layers: list[str]) -> None:
        super().__init__()
        self.network, self._layers = network, layers

    def forward(self, x: Tensor) -> list[Tensor]:
        found = self.network(x)
        return [found[name] for name in self._layers]


class Onnx(nn.Module):
    """An ONNX model with one image input, run by onnxruntime; `layer` may name any of its tensors."""

    def __init__(self, path: Path, layer: str | None) -> None:
        super().__init__()
        try:
            import onnx.numpy_helper
            import onnxruntime
        except ImportError as error:
            raise UserError(f"{path}: onnx and onnxruntime are not installed; pip install 'raygan[onnx]'") from error
        try:
            model = onnx.load(path)
            if layer and layer not in {output.name for output in model.graph.output}:
                model.graph.output.append(onnx.ValueInfoProto(name=layer))
            providers = onnxruntime.get_available_providers()
            self._session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise UserError(f"{path}: not a model that onnxruntime runs ({_line(error)})") from error
        for number, found in enumerate(model.graph.initializer):  # onnxruntime has its own: these tell which they are
            weights = onnx.numpy_helper.to_array(found)
            if weights.dtype.kind == "f":
                self.register_buffer(f"weights{number}", torch.from_numpy(weights.copy()))
        self._input, self._output = self._session.get_inputs()[0], layer or self._session.get_outputs()[0].name

    def forward(self, x: Tensor) -> Tensor:
        """Prepared images, float32 [n, 3, H, W], to the tensor `layer`, float32."""
        numbers = x.detach().cpu().numpy().astype(np.float16 if self._input.type == "tensor(float16)" else np.float32)
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else len(numbers)
        if len(numbers) % fixed:
            raise ValueError(f"the model takes {fixed} images at a time; use a batch that is a multiple of it")
        parts: list[Any] = [
            self._session.run([self._output], {self._input.name: numbers[start : start + fixed]})[0]
            for start in range(0, len(numbers), fixed)
        ]
        return torch.from_numpy(np.concatenate(parts)).float().to(x.device)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
