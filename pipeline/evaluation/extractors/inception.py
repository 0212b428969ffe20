"""The network that defines FID: Inception V3 of 2015 as ported by torch-fidelity, with either of two protocols."""

import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raygan.pipeline.evaluation.extractors.weights import digest_of, fetch
from raygan.sharding.errors import UserError
from raygan.sharding.storage.locations import cache_folder

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
DIGEST = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # pytorch-fid publishes the same file
DIMENSIONS = 2048
SIDE = 299  # pixels


def tf1(images: Tensor) -> Tensor:
    """Input as in the original TensorFlow 1 graph and torch-fidelity: bilinear from the corner, (x - 128) / 128.

    uint8 [n, 3, H, W] to float32 [n, 3, SIDE, SIDE].
    """
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

    resized: Tensor = resize(images.float(), size=(SIDE, SIDE), align_corners=False)
    return (resized - 128) / 128


def pytorch_fid(images: Tensor) -> Tensor:
    """Input as in pytorch-fid: bilinear between half-pixel centres, 2 x / 255 - 1; shapes as in `tf1`."""
    return 2 * F.interpolate(images.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False) - 1


PROTOCOLS: dict[str, Callable[[Tensor], Tensor]] = {"tf1": tf1, "pytorch_fid": pytorch_fid}


class Inception(nn.Module):
    """The network up to its pooled features. Raises UserError for a file that is not its state dict."""

    def __init__(self, weights: Path, protocol: str) -> None:
        super().__init__()
        self._prepare = PROTOCOLS[protocol]
        layers = dict(_network(weights).named_children())
        del layers["fc"]
        self.trunk = nn.Sequential(*layers.values())  # they are registered in the order in which they run

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [n, 3, H, W] to float32 [n, DIMENSIONS]."""
        return self.trunk(self._prepare(images)).flatten(1)


def _network(weights: Path) -> nn.Module:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise UserError("extractor inception: torch-fidelity is not installed; pip install 'raygan[fid]'") from error
    checked = io.BytesIO()  # torch-fidelity unpickles its file: it gets one that holds only tensors
    try:
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), checked)
        checked.seek(0)
        with torch.random.fork_rng(devices=[]):  # new layers draw weights from the global generator
            return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=checked)
    except Exception as error:  # torch raises errors of many classes for other files
        raise UserError(f"{weights}: not the FID Inception network's state dict; give torch-fidelity's file") from error


def locate(path: str | None) -> tuple[Path, str]:
    """The weights file (without `path` downloaded to the user's cache) and its SHA-256. Raises UserError."""
    if path is None:
        return fetch(URL, DIGEST, cache_folder() / "weights"), DIGEST
    return Path(path), digest_of(Path(path))
