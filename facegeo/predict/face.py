"""What is found of one face."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT = "facegeo-faces-1"
"""Of the JSON files of faces."""
Image = npt.NDArray[np.uint8]
"""RGB, (H, W, 3), turned as it is to be seen."""
Floats = npt.NDArray[np.float32]
Boxes = npt.NDArray[np.float64]
"""Left, right, top, bottom, px, (F, 4)."""


@dataclass(frozen=True, eq=False)
class Face:
    """One face of an image; places in px of it, pixel centres at integers.

    Attributes:
        box: Left, right, top, bottom: where the points were looked for.
        stages: Points (x, y) after each stage of the cascade, (T, 5, 2), in the order of
            ``facegeo.geometry.windows.POINT_NAMES``.
        square: Left column, top row and side of the square that the normals cover; None without
            normals.
        normals: Unit vectors, x right, y up, z to the camera, (S, S, 3): the square scaled to
            S x S; None without normals.
        mask: Pixels of ``normals`` that are taken for face, bool, (S, S).
        timings: Milliseconds by part of the work ("points", "normals", "box"), each the batch's
            time divided by its faces.
    """

    box: tuple[float, float, float, float]
    stages: Floats
    square: tuple[int, int, int] | None = None
    normals: Floats | None = None
    mask: npt.NDArray[np.bool_] | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def points(self) -> Floats:
        """Points after the last stage, px, (5, 2)."""
        last: Floats = self.stages[-1]
        return last

    def record(self) -> dict[str, Any]:
        """Return all but the normal map as plain JSON values."""
        return {
            "box": [round(float(edge), 3) for edge in self.box],
            "stages": [[[round(float(x), 3) for x in point] for point in s] for s in self.stages],
            "square": None if self.square is None else list(self.square),
            "timings_ms": {name: round(value, 3) for name, value in self.timings.items()},
        }
