"""Which weights a network holds, so that the same ones are recognised in another file, format or precision.

A generator must not be scored by the features that it was trained on, and a digest of the file would not tell: the same
network may lie in a state dict, in TorchScript and in ONNX.
"""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

SMALLEST = 256  # numbers in a tensor that counts: a few alike prove nothing


def fingerprints(network: nn.Module) -> frozenset[str]:
    """A digest, 32 hexadecimal digits, of each tensor of weights, as float16 numbers. Constant tensors are left out.

    Networks that share one have a layer in common.
    """
    return frozenset(
        hashlib.sha256(tensor.half().cpu().contiguous().numpy().tobytes()).hexdigest()[:32]
        for tensor in _weights(network)
        if tensor.numel() >= SMALLEST and tensor.is_floating_point() and bool((tensor != tensor.flatten()[0]).any())
    )


@torch.no_grad()
def _weights(network: nn.Module) -> Iterator[Tensor]:
    yield from network.state_dict().values()
    for part in network.modules():
        if isinstance(part, torch.jit.ScriptModule):  # freezing makes constants of the weights
            graph = part.inlined_graph  # its nodes live only as long as it does
            for node in graph.findAllNodes("prim::Constant"):  # type: ignore[attr-defined]  # missing from the stubs
                value = node.output().toIValue()
                if isinstance(value, Tensor):
                    yield value
