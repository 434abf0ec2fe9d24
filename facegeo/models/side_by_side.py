"""Nets of any build held side by side, each fed its own crop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SideBySide(nn.Module):
    """W nets that share nothing, where ``NetBank`` has one build for all of a stage.

    Args:
        nets: Each maps its crops (B, C, S, S) to its outputs (B, N).
        input_size: Side S of the square crops, px.
    """

    def __init__(self, nets: Sequence[nn.Module], input_size: int) -> None:
        super().__init__()
        self.nets, self.input_size = nn.ModuleList(nets), input_size

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs of all nets one after the other, (B, sum of N), from crops (B, W, C, S, S)."""
        return torch.cat([net(crops[:, i]) for i, net in enumerate(self.nets)], dim=1)
