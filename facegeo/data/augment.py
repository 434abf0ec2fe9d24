"""Random views of a face: rotation, flip, scale, shift, and the shake of the windows.

What is drawn is a function of (seed, epoch, row) alone, so it is the same for any batch size and
any number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from facegeo.data.stream import seeded
from facegeo.errors import UserError


@dataclass(frozen=True)
class View:
    """How the samples of a batch are seen.

    Attributes:
        angle: Rotation about the box centre, radians, counter-clockwise as seen, (B,).
        flip: Whether left and right are exchanged, bool, (B,).
        scale: How much larger the face is seen, (B,).
        shift: Move of the box, box sides, (B, 2).
    """

    angle: Tensor
    flip: Tensor
    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Augment:
    """What may happen to a training face.

    A face has ``views`` views, one an epoch, in turn; which angle and whether flipped is spread
    evenly over them, so that six views of three angles and flip 0.5 are the paper's 60,000
    images (Sec. 4.1), each once. The shake is new in every epoch.

    Attributes:
        views: Views of a face. The previous stage's points are found once for each.
        rotations_deg: One of these angles is taken, counter-clockwise as seen.
        rotation_spread_deg: A uniform angle of up to this size is added.
        flip: Share of flipped views: 0, 0.5 or 1 of each face's; another share holds over all
            faces, not for each.
        scale_spread: Scale is exp(uniform(-s, s)).
        shift_sigma: Standard deviation of the box's move, box sides.
        shake_sigma: Standard deviation of each window's move, box sides (paper: N(0, 1e-4),
            read as a variance, so 0.01).
    """

    views: int = 1
    rotations_deg: Sequence[float] = (0.0,)
    rotation_spread_deg: float = 0.0
    flip: float = 0.0
    scale_spread: float = 0.0
    shift_sigma: float = 0.0
    shake_sigma: float = 0.0

    def __post_init__(self) -> None:
        wanted = {
            "views": (self.views, self.views >= 1, "at least 1"),
            "rotations_deg": (
                self.rotations_deg,
                len(self.rotations_deg) > 0,
                "at least one angle",
            ),
            "flip": (self.flip, 0 <= self.flip <= 1, "a share from 0 to 1"),
        }
        for name in ("rotation_spread_deg", "scale_spread", "shift_sigma", "shake_sigma"):
            wanted[name] = (getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name, (value, fits, want) in wanted.items():
            if not fits:
                raise UserError(f"data.augment.{name} must be {want}, got {value}")

    def view(self, seed: int, epochs: Tensor, rows: Tensor, count: int) -> View:
        """Views of a batch.

        Args:
            seed: Seed of the run.
            epochs: Epoch of each sample, int64, (B,).
            rows: Row of each sample, int64, (B,).
            count: Rows of the data set.
        """
        turn = epochs % self.views
        start = _uniform(seed, 0, count)[rows]
        fresh = torch.empty(len(rows), 2)
        shift = torch.empty(len(rows), 2)
        for one in turn.unique().tolist():
            chosen = turn == one
            fresh[chosen] = _uniform(seed, 1 + one, count)[rows[chosen]]
            shift[chosen] = _normal(seed, 0, one, count, 2)[rows[chosen]]
        choice = (start[:, 0] + turn / self.views) % 1
        flip = (start[:, 1] + turn / 2) % 1
        spread, scale = (2 * fresh - 1).unbind(1)
        angles = torch.tensor([float(angle) for angle in self.rotations_deg])
        angle = angles[(choice * len(angles)).long()] + spread * self.rotation_spread_deg
        return View(
            angle=torch.deg2rad(angle),
            flip=flip < self.flip,
            scale=torch.exp(scale * self.scale_spread),
            shift=shift * self.shift_sigma,
        )

    def shake(self, seed: int, epochs: Tensor, rows: Tensor, count: int, windows: int) -> Tensor:
        """Random moves of the windows, box sides, (B, W, 2); arguments as for ``view``."""
        if not self.shake_sigma:
            return torch.zeros(len(rows), windows, 2)
        moves = torch.empty(len(rows), 2 * windows)
        for epoch in epochs.unique().tolist():
            chosen = epochs == epoch
            moves[chosen] = _normal(seed, 1, epoch, count, 2 * windows)[rows[chosen]]
        shaken: Tensor = moves.unflatten(1, (windows, 2)) * self.shake_sigma
        return shaken


@lru_cache(maxsize=4)
def _uniform(seed: int, turn: int, count: int) -> Tensor:
    return torch.rand(count, 2, generator=seeded(seed, 1, turn))


@lru_cache(maxsize=4)
def _normal(seed: int, purpose: int, turn: int, count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=seeded(seed, 2 + purpose, turn))
