"""What turns images into features, and what it is called: a score is named after the digest of its extractor."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pipeline.evaluation import randconv
from sharding.errors import RunError, UserError

KINDS = "randconv"


@dataclass(frozen=True)
class Extractor:
    """A frozen network from images to features, with what identifies it.

    name: what its scores are called, as in fd_<name>. digest: SHA-256 of its weights. protocol: in words, how images
    are resized and normalised. dimensions: features per image. is_fid: whether its Fréchet distance may be called
    FID; true only for the FID Inception network with the published weights.
    """

    name: str
    digest: str
    protocol: str
    dimensions: int
    is_fid: bool
    device: torch.device
    network: Callable[[Tensor], Tensor] = field(repr=False)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [n, 3, H, W] to float32 [n, dimensions], whatever autocast or TF32 mode the caller is in."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be uint8 [n, 3, H, W], these are {images.dtype} {list(images.shape)}")
        if not len(images):
            return torch.zeros(0, self.dimensions, device=self.device)
        images = images.to(self.device)
        with torch.autocast(self.device.type, enabled=False), torch.backends.cudnn.flags(allow_tf32=False):
            return self.network(images).float()


def load_extractor(spec: str, device: str | torch.device = "cpu") -> Extractor:
    """The extractor that `spec` names, on `device`.

    `randconv`: fixed random convolutions, for smoke tests; needs nothing.
    """
    device = torch.device(device)
    if spec == "randconv":
        return _randconv(device)
    raise UserError(f"extractor {spec!r} is not known; there are {KINDS}")


def _randconv(device: torch.device) -> Extractor:
    network = randconv.RandomConvolutions()
    digest = network.digest()
    if digest != randconv.DIGEST:
        raise RunError(
            f"randconv: these filters have the digest {digest[:8]}, not {randconv.DIGEST[:8]}: NumPy is broken"
        )
    return Extractor("randconv", digest, "1", randconv.DIMENSIONS, False, device, frozen(network, device))


def frozen(network: nn.Module, device: torch.device) -> nn.Module:
    """`network` on `device`, in evaluation mode and without gradients."""
    return network.to(device).eval().requires_grad_(False)
