"""Fixed features that objectives train on: the evaluation's extractors, layer by layer, differentiable in the image."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from raygan.pipeline.evaluation.extractors.extractor import load_extractor
from raygan.sharding.errors import UserError

PIXELS = "pixels"


@runtime_checkable
class Layered(Protocol):
    """A network that gives its layers."""

    def layers(self, images: Tensor) -> list[Tensor]:
        """[n, 3, H, W] on the scale 0 to 255 to what each layer gives, [n, ...]."""


class Features(nn.Module):
    """A fixed network from images to the outputs of its layers. Only the images have gradients.

    name: the extractor's, as in kid_<name>, and the layers'. fingerprints: what tells its weights from others' in
    evaluation; none for pixels.
    """

    def __init__(self, name: str, network: nn.Module | None, fingerprints: frozenset[str]) -> None:
        super().__init__()
        self.name, self.network, self.fingerprints = name, network, fingerprints

    def forward(self, images: Tensor) -> list[Tensor]:
        """float32 [n, 3, H, W] in [-1, 1] to one tensor per layer, [n, channels, h, w] or [n, d]."""
        if self.network is None:
            return [images]
        assert isinstance(self.network, Layered)
        return self.network.layers((images + 1) * 127.5)


def load_features(spec: str, device: str | torch.device = "cpu") -> Features:
    """The features that `spec` names, on `device`.

    pixels: the image itself. randconv: each layer of the evaluation's random convolutions. file:PATH[?OPTIONS]: what
    `load_extractor` takes; TorchScript that returns a list of tensors, one per layer, or a torchvision state dict,
    whose `layer` names modules, with commas; all activations without it.

    Raises UserError if there are none, their file cannot be used, or no gradient comes through.
    """
    if spec == PIXELS:
        return Features(PIXELS, None, frozenset())
    if spec != "randconv" and not spec.startswith("file:"):
        raise UserError(f"features {spec!r} are not known; there are {PIXELS}, randconv and file:PATH")
    extractor = load_extractor(spec, device, every_layer=True)
    features = Features(extractor.name, extractor.network, extractor.fingerprints())
    _refuse_without_gradient(features, spec, torch.device(device))
    return features.eval()


def _refuse_without_gradient(features: Features, spec: str, device: torch.device) -> None:
    image = torch.linspace(-1, 1, 2 * 3 * 64 * 64, device=device).view(2, 3, 64, 64).requires_grad_()
    total = sum((layer.square().mean() for layer in features(image)), torch.zeros((), device=device))
    if not total.requires_grad or not torch.autograd.grad(total, image)[0].any():
        raise UserError(
            f"features {spec}: no gradient comes through to the image, as through ONNX; "
            "give TorchScript or a torchvision state dict"
        )
