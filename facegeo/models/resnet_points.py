"""ResNets that say where points are, as CCNN's Table 3 compares with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from facegeo.models.resnet import CHANNELS, ResNet
from facegeo.models.side_by_side import SideBySide


class ResNetPoints(SideBySide):
    """A ResNet for each crop: features of 1/32 of the side, their mean, a linear layer.

    The paper gives no more than a size in its Table 3: torchvision's with 1,000 classes.

    Args:
        outputs: Output numbers of each net.
        input_size: Side of the square crops, px, a multiple of 32.
        depth: 18 or 34.

    Raises:
        ValueError: If the side is no multiple of 32, or the depth another.
    """

    def __init__(self, outputs: Sequence[int], *, input_size: int, depth: int) -> None:
        if input_size < 32 or input_size % 32:
            raise ValueError(f"input_size must be a multiple of 32 px, got {input_size}")
        super().__init__([_Regressor(depth, out) for out in outputs], input_size)


class _Regressor(nn.Module):
    """ResNet with mean pooling and a linear layer; torchvision's names behind ``encoder``."""

    def __init__(self, depth: int, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet(depth)
        self.fc = nn.Linear(CHANNELS[-1], outputs)

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs (B, outputs) of crops (B, 3, S, S)."""
        found: Tensor = self.fc(self.encoder(crops)[-1].mean(dim=(2, 3)))
        return found
