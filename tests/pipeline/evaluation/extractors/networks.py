"""Files of networks with random weights, as users bring them."""

import warnings
from pathlib import Path

import torch
from torch import nn
from torchvision.models import squeezenet1_1


def save_script(network: nn.Module, path: Path) -> None:
    """Writes TorchScript; a network that is a script already is written as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), path)


def save_squeezenet(path: Path) -> None:
    """Writes the state dict of torchvision's squeezenet1_1; the weights are the same in every call."""
    torch.manual_seed(0)
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
