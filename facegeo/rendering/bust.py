"""What a model's skin lacks: eyeballs, teeth, hair that stands off the skull, shoulders.

All heads keep the same triangles, so that the ray caster refits one tree: what a person lacks is
folded into a single point inside the skull.
"""

from dataclasses import dataclass

import numpy as np

from facegeo.rendering.heads import Head, Part, Surface
from facegeo.rendering.mesh import Floats, Ints, grid, sphere, vertex_normals

EYE_STEPS = 28
TEETH = (5, 17)
CURTAIN = (14, 49)
SHOULDERS = (8, 33)
NOWHERE = np.array([0.0, 0.0, -8.0], dtype=np.float32)


@dataclass(frozen=True)
class Hair:
    """Shape of the hair; lengths in cm.

    Attributes:
        thickness: How far the cap stands off the skull.
        hairline_deg: Where hair begins, in degrees above the usual hairline; 90 is bald.
        length: How far loose hair hangs below the eyes; 0 for none.
        spread: How far loose hair stands off the head's side.
        parting: Half angle of the face that loose hair leaves open, degrees.
    """

    thickness: float
    hairline_deg: float
    length: float
    spread: float
    parting: float


@dataclass(frozen=True)
class Bust:
    """A head with everything on it; head frame, cm.

    Attributes:
        vertices: Shape (N, 3).
        normals: Unit normals at the vertices, shape (N, 3).
    """

    vertices: Floats
    normals: Floats


class BustBuilder:
    """Puts the missing parts on the heads of one model.

    Args:
        surface: The model's surface.
    """

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self._ball, ball = sphere(EYE_STEPS)
        own_teeth = bool((surface.parts == Part.TEETH).any())
        sheets = [
            (Part.EYE, ball, len(self._ball)),
            (Part.EYE, ball, len(self._ball)),
            (Part.TEETH, grid(*TEETH), TEETH[0] * TEETH[1]),
            (Part.HAIR, grid(*CURTAIN), CURTAIN[0] * CURTAIN[1]),
            (Part.CLOTH, grid(*SHOULDERS), SHOULDERS[0] * SHOULDERS[1]),
        ]
        self._own_teeth = own_teeth
        self.triangles, self.parts = _join(surface, sheets)
        extra = sum(count for _, _, count in sheets)
        paint = surface.paint.table()
        self.paint = np.concatenate([paint, np.zeros((extra, paint.shape[1]), np.float32)])
        self.paint[len(paint) :, -1] = 1.0
        self.skin = np.concatenate([surface.skin, np.zeros((extra, 3), np.float32)])

    def build(self, head: Head, hair: Hair) -> Bust:
        """Return the head with eyes, teeth, hair and shoulders."""
        face = self._with_cap(head, hair)
        teeth = _nowhere(TEETH) if self._own_teeth else _teeth(head, self.surface)
        pieces = [
            face,
            *(eye + np.float32(head.eye_radius) * self._ball for eye in head.eyes),
            teeth,
            _curtain(head, hair) if hair.length else _nowhere(CURTAIN),
            _shoulders(head, self.surface),
        ]
        vertices = np.concatenate(pieces).astype(np.float32)
        return Bust(vertices, vertex_normals(vertices, self.triangles))

    def _with_cap(self, head: Head, hair: Hair) -> Floats:
        """Push the scalp outwards by the thickness of the hair."""
        paint = self.surface.paint
        above = (paint.scalp - hair.hairline_deg) / 14.0
        rise = above.clip(0, 1) * (1 - paint.ear) * hair.thickness
        outward = vertex_normals(head.vertices, self.surface.triangles)
        lifted: Floats = head.vertices + rise[:, None] * outward
        return lifted


def _join(surface: Surface, sheets: list[tuple[Part, Ints, int]]) -> tuple[Ints, Ints]:
    triangles, parts, start = [surface.triangles], [surface.parts], len(surface.skin)
    for part, faces, count in sheets:
        triangles.append(faces + start)
        parts.append(np.full(len(faces), part))
        start += count
    return np.concatenate(triangles).astype(np.int32), np.concatenate(parts).astype(np.int32)


def _nowhere(shape: tuple[int, int]) -> Floats:
    return np.tile(NOWHERE, (shape[0] * shape[1], 1))


def _teeth(head: Head, surface: Surface) -> Floats:
    """An arch of upper teeth behind the lips; it belongs to the skull, so it ignores expression."""
    lips = head.calm[surface.paint.lips > 0.5]
    width = float(np.ptp(lips[:, 0])) * 0.42
    seam = float(lips[:, 1].min() + lips[:, 1].max()) / 2
    front = float(lips[:, 2].max()) - 1.15
    across = np.linspace(-1, 1, TEETH[1])
    up = np.linspace(0.75, -0.12, TEETH[0])
    y, x = np.meshgrid(up, across, indexing="ij")
    middle = float(lips[:, 0].mean())
    points = np.stack([middle + x * width, seam + y - 0.1 * x**2, front - 1.5 * x**2], axis=-1)
    return points.reshape(-1, 3).astype(np.float32)


def _curtain(head: Head, hair: Hair) -> Floats:
    """Loose hair: a sheet hung round the sides and the back of the head."""
    skull = head.calm
    top, half = float(skull[:, 1].max()), float(np.percentile(skull[:, 0], 97))
    middle_z = float(skull[:, 2].min() + skull[:, 2].max()) / 2
    drop, turn = np.meshgrid(
        np.linspace(0, 1, CURTAIN[0]), np.linspace(0, 1, CURTAIN[1]), indexing="ij"
    )
    around = np.radians(hair.parting + turn * (360 - 2 * hair.parting))
    ends = 1 + 0.07 * np.sin(5 * around + 40 * hair.spread) + 0.04 * np.sin(17 * around)
    y = top + 0.3 - drop * (top + hair.length) * ends
    # The crown closes like a dome, the sides hang and flare a little.
    bulge = np.sqrt(1 - (1 - (drop / 0.35).clip(0, 1)) ** 2)
    flare = 1 + 0.12 * (drop - 0.35).clip(0, 1)
    wave = 1 + 0.025 * np.sin(9 * around + 6 * drop) + 0.015 * np.sin(23 * around)
    reach = bulge * flare * wave
    x = (half + hair.spread) * reach * np.sin(around)
    z = middle_z - 1.0 + (half * 1.12 + hair.spread) * reach * np.cos(around)
    points = np.stack([x, y, z], axis=-1)
    return points.reshape(-1, 3).astype(np.float32)


def _shoulders(head: Head, surface: Surface) -> Floats:
    """A collar and shoulders, so that the neck does not end in the air."""
    low = head.calm[:, 1] < head.calm[:, 1].min() + 3.0
    neck = head.calm[low]
    bottom = float(neck[:, 1].min())
    middle = (neck.min(axis=0) + neck.max(axis=0)) / 2
    half = (neck.max(axis=0) - neck.min(axis=0)) / 2
    out, turn = np.meshgrid(
        np.linspace(0, 1, SHOULDERS[0]), np.linspace(0, 1, SHOULDERS[1]), indexing="ij"
    )
    around = 2 * np.pi * turn
    y = bottom + 1.6 - 11 * out**1.6
    x = middle[0] + (half[0] * 0.97 + 17 * out**0.8) * np.sin(around)
    z = middle[2] + (half[2] * 0.97 + 5 * out**0.8) * np.cos(around)
    return np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
