"""Imported by mixed.py."""

import torch


class Block(torch.nn.Linear):
    """Features, float32 [b, features], to [b, 192] between -1 and 1."""

    def __init__(self, features: int) -> None:
        super().__init__(features, 192)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        from .scale import (  # a comment stays
            SCALE,
        )

        return torch.tanh(SCALE * super().forward(features))  # a comment stays
