"""Random views of cut-out faces: flip, rotation, scale and shift, as affine maps."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import affine_grid

from facegeo.errors import UserError

NUMBERS = 5
"""Random numbers that a view takes."""


@dataclass(frozen=True, eq=False)
class View:
    """Views of B faces.

    Attributes:
        flip: Whether the face is mirrored, after everything else, bool, (B,).
        angle: Rotation, radians, counter-clockwise as seen, (B,).
        scale: How much larger the face is seen, (B,).
        shift: By which the face is moved right and down, half sides of the square, (B, 2).
    """

    flip: Tensor
    angle: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def still(cls, count: int, device: torch.device) -> View:
        """Faces as they are."""
        zero = torch.zeros(count, device=device)
        return cls(zero > 0, zero, zero + 1, torch.zeros(count, 2, device=device))

    def affine(self) -> Tensor:
        """Maps from the picture to the face's square, both from -1 to 1, y down, (B, 2, 3)."""
        cos, sin = torch.cos(self.angle) / self.scale, torch.sin(self.angle) / self.scale
        turn = torch.stack([cos, -sin, sin, cos], dim=1).unflatten(1, (2, 2))
        return torch.cat([turn, -turn @ self.shift[..., None]], dim=2)

    def source(self, squares: Tensor, height: int, width: int) -> Tensor:
        """Maps from the picture to a larger one that holds the square, see ``sample_faces``.

        Args:
            squares: x and y of the middle and side of each face's square, px, (B, 3).
            height: Of the larger picture, px.
            width: Of the larger picture, px.

        Returns:
            Shape (B, 2, 3).
        """
        size = squares.new_tensor([width, height])
        maps = self.affine() * (squares[:, 2:] / size)[..., None]
        maps[:, :, 2] += (2 * squares[:, :2] + 1) / size - 1
        return maps

    def places(self, size: int) -> Tensor:
        """Where each pixel of a picture shows the face's square, from -1 to 1, (B, S, S, 2)."""
        maps = self.affine()
        return affine_grid(maps, [len(maps), 1, size, size], align_corners=False)


@dataclass(frozen=True)
class FaceView:
    """How far training faces are moved. All numbers are ours.

    Attributes:
        flip: Share of mirrored faces.
        rotation_deg: Largest rotation, either way.
        scale_spread: Scale is exp(uniform(-s, s)).
        shift: Largest shift along x and y, shares of the square's side.
    """

    flip: float = 0.5
    rotation_deg: float = 20.0
    scale_spread: float = 0.15
    shift: float = 0.08

    def __post_init__(self) -> None:
        most = {"flip": 1, "rotation_deg": 180, "scale_spread": 1, "shift": 0.5}
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= most[field.name]:
                raise UserError(
                    f"data.view.{field.name} must be from 0 to {most[field.name]}, got {value}"
                )

    def of(self, numbers: Tensor) -> View:
        """Return the views of random numbers, uniform in [0, 1), (B, NUMBERS)."""
        either = 2 * numbers - 1
        return View(
            flip=numbers[:, 0] < self.flip,
            angle=torch.deg2rad(either[:, 1] * self.rotation_deg),
            scale=torch.exp(either[:, 2] * self.scale_spread),
            shift=2 * self.shift * either[:, 3:5],
        )
