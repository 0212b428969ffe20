"""Extractors: frozen networks from images to features, and the names under which their scores are known."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from raygan.pipeline.evaluation.extractors import inception, randconv
from raygan.pipeline.evaluation.extractors.files import Preparation, load_file
from raygan.pipeline.evaluation.extractors.fingerprint import fingerprints
from raygan.pipeline.evaluation.extractors.weights import digest_of
from raygan.sharding.errors import RunError, UserError
from raygan.sharding.storage.locations import absolute


@dataclass(frozen=True)
class Extractor:
    """A frozen network from images to features, with its identity.

    name: part of the names of its scores, as in fd_<name>. digest: SHA-256 of its weights. protocol: how images are
    resized and normalised for it. dimensions: features per image. is_fid: whether its Fréchet distance may be called
    FID; true only for the FID Inception network with the published weights. network: uint8 [n, 3, H, W] to
    [n, dimensions]; those of randconv and of files have `layers`, too, through which gradients flow.
    """

    name: str
    digest: str
    protocol: str
    dimensions: int
    is_fid: bool
    device: torch.device
    network: nn.Module = field(repr=False)

    def fingerprints(self) -> frozenset[str]:
        """What tells its weights from those of other networks, whatever file they are in."""
        return frozenset({self.digest[:32]}) | fingerprints(self.network)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [n, 3, H, W] to float32 [n, dimensions], in float32 whatever the caller's autocast and TF32 modes."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be uint8 [n, 3, H, W], these are {images.dtype} {list(images.shape)}")
        if not len(images):
            return torch.zeros(0, self.dimensions, device=self.device)
        images = images.to(self.device)
        with torch.autocast(self.device.type, enabled=False), torch.backends.cudnn.flags(allow_tf32=False):
            features: Tensor = self.network(images)
            return features.float()


def load_extractor(spec: str, device: str | torch.device = "cpu", every_layer: bool = False) -> Extractor:
    """The extractor that `spec` names, on `device`. UserError if there is none, or its file cannot be used.

    randconv: fixed random convolutions, for smoke tests and regressions; no weights are needed.
    inception[:WEIGHTS][?protocol=tf1|pytorch_fid]: the FID network, with weights from a path or downloaded once.
    file:PATH[?OPTION=VALUE&...]: a network from a file; the options are the fields of `files.Preparation`.
    every_layer: where a state dict's layer is not named, all its activations are taken.
    """
    device = torch.device(device)
    location, _, query = spec.partition("?")
    kind, _, path = location.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if spec == "randconv":
        return _randconv(device)
    if kind == "inception":
        return _inception(path or None, options, device)
    if kind == "file" and path:
        return _file(Path(path), options, device, every_layer)
    raise UserError(f"extractor {spec!r} is not known; there are randconv, inception[:WEIGHTS] and file:PATH")


def anywhere(spec: str) -> str:
    """`spec` with its path, if it has one, made absolute: workers run in another directory."""
    location, question, query = spec.partition("?")
    kind, colon, path = location.partition(":")
    return f"{kind}{colon}{absolute(path)}{question}{query}" if path else spec


def _randconv(device: torch.device) -> Extractor:
    network = randconv.RandomConvolutions()
    digest = network.digest()
    if digest != randconv.DIGEST:
        raise RunError(f"randconv: its filters have the digest {digest[:8]}, not {randconv.DIGEST[:8]}: check NumPy")
    return Extractor("randconv", digest, "1", randconv.DIMENSIONS, False, device, frozen(network, device))


def _inception(path: str | None, options: dict[str, str], device: torch.device) -> Extractor:
    protocol = options.pop("protocol", "tf1")
    if options or protocol not in inception.PROTOCOLS:
        known = " or ".join(inception.PROTOCOLS)
        raise UserError(f"extractor inception: its one option is protocol, which is {known}")
    weights, digest = inception.locate(path)
    is_fid = digest == inception.DIGEST
    name = "inception" if is_fid else f"inception_{digest[:8]}"
    network = frozen(inception.Inception(weights, protocol), device)
    return Extractor(name, digest, protocol, inception.DIMENSIONS, is_fid, device, network)


def _file(path: Path, options: dict[str, str], device: torch.device, every_layer: bool) -> Extractor:
    lists = {name: tuple(value.split(",")) for name, value in options.items() if name in ("mean", "deviation")}
    try:
        preparation = Preparation.model_validate(options | lists)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"extractor file:{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    digest, protocol = digest_of(path), preparation.protocol()
    name = "file_" + hashlib.sha256(f"{digest} {protocol}".encode()).hexdigest()[:8]
    network, dimensions = load_file(path, preparation, every_layer)
    return Extractor(name, digest, protocol, dimensions, False, device, frozen(network, device))


def frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """`network` on `device`, in evaluation mode and without gradients."""
    network = network.to(device).eval().requires_grad_(False)
    # on this layout oneDNN's convolutions are 1.3 to 2.4 times as fast
    return network.to(memory_format=torch.channels_last) if device.type == "cpu" else network
