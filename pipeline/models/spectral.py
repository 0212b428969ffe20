"""Spectral normalisation with a gain."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization


class Gain(nn.Module):
    """A parametrization that multiplies a weight by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, weight: Tensor) -> Tensor:
        """The weight times the constant, in its shape and dtype."""
        return self.factor * weight


def constrain(network: nn.Module, gain: float) -> None:
    """Gives every layer of `network` the spectral norm gain**(1/layers): the network's Lipschitz bound is then `gain`.

    Spectral norm: Miyato et al., arXiv 1802.05957, of the kernel as a matrix, by torch's power iteration (one step at
    every forward in training mode). The gain restores the signal that normalisation takes away: Wang, Sun, Halgamuge,
    arXiv 1812.09916, appendix C.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        spectral_norm(layer)
        register_parametrization(layer, "weight", Gain(gain ** (1 / len(layers))))
