"""What happens to the values of crops before nets see them."""

from __future__ import annotations

from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, ITU-R BT.601."""


def grey(crops: Tensor) -> Tensor:
    """Crops (B, W, 3, S, S) as one channel of brightness, (B, W, 1, S, S)."""
    shares = crops.new_tensor(LUMA)
    return (crops.movedim(2, -1) @ shares).unsqueeze(2)


def standardise(crops: Tensor) -> Tensor:
    """Each crop of (B, W, C, S, S) minus its mean, divided by its standard deviation + 1e-6."""
    # Reductions over memory as it lies (channels last): torch.std_mean takes eight times as long.
    flat = crops.movedim(2, -1).flatten(2)
    flat = flat - flat.mean(dim=2, keepdim=True)
    flat = flat / (flat.square().mean(dim=2, keepdim=True).sqrt() + 1e-6)
    even: Tensor = flat.unflatten(2, (*crops.shape[3:], crops.shape[2]))
    return even.movedim(-1, 2)
