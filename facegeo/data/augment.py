"""Random views of a face: rotation, flip, scale, shift, and the shake of the windows.

What is drawn is a function of (seed, epoch, row) alone, so it is the same for any batch size and
any number of workers, and differs from epoch to epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from facegeo.data.stream import seeded


@dataclass(frozen=True)
class View:
    """How the samples of a batch are seen.

    Attributes:
        angle: Rotation about the box centre, radians, counter-clockwise as seen, (B,).
        flip: Whether left and right are exchanged, bool, (B,).
        scale: How much larger the face is seen, (B,).
        shift: Move of the box, box sides, (B, 2).
        shake: Move of each window, box sides, (B, W, 2).
    """

    angle: Tensor
    flip: Tensor
    scale: Tensor
    shift: Tensor
    shake: Tensor


@dataclass(frozen=True)
class Augment:
    """What may happen to a training face.

    Attributes:
        rotations_deg: One of these angles is drawn, counter-clockwise as seen.
        rotation_spread_deg: A uniform angle of up to this size is added.
        flip: Probability of a flip.
        scale_spread: Scale is exp(uniform(-s, s)).
        shift_sigma: Standard deviation of the box's move, box sides.
        shake_sigma: Standard deviation of each window's move, box sides (paper: N(0, 1e-4),
            read as a variance, so 0.01).
    """

    rotations_deg: Sequence[float] = (0.0,)
    rotation_spread_deg: float = 0.0
    flip: float = 0.0
    scale_spread: float = 0.0
    shift_sigma: float = 0.0
    shake_sigma: float = 0.0

    def draw(self, seed: int, epochs: Tensor, rows: Tensor, count: int, windows: int) -> View:
        """Views of a batch.

        Args:
            seed: Seed of the run.
            epochs: Epoch of each sample, int64, (B,).
            rows: Row of each sample, int64, (B,).
            count: Rows of the data set.
            windows: Windows W of the stage.
        """
        numbers = torch.empty(len(rows), 6 + 2 * windows)
        for epoch in epochs.unique().tolist():
            chosen = epochs == epoch
            numbers[chosen] = _table(seed, epoch, count, windows)[rows[chosen]]
        choice, spread, flip, scale = numbers[:, :4].unbind(1)
        angles = torch.tensor(list(self.rotations_deg))
        angle = angles[(choice * len(angles)).long()] + (2 * spread - 1) * self.rotation_spread_deg
        return View(
            angle=torch.deg2rad(angle),
            flip=flip < self.flip,
            scale=torch.exp((2 * scale - 1) * self.scale_spread),
            shift=numbers[:, 4:6] * self.shift_sigma,
            shake=numbers[:, 6:].unflatten(1, (windows, 2)) * self.shake_sigma,
        )


@lru_cache(maxsize=2)
def _table(seed: int, epoch: int, count: int, windows: int) -> Tensor:
    """Four uniform, then 2 + 2 W normal numbers for every row, (count, 6 + 2 W)."""
    generator = seeded(seed, epoch, 1)
    uniform = torch.rand(count, 4, generator=generator)
    normal = torch.randn(count, 2 + 2 * windows, generator=generator)
    return torch.cat([uniform, normal], dim=1)
