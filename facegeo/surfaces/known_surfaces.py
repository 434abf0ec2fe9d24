"""Generated faces whose depth is known, and surfaces made of their normals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.rendering.order import Order, Purpose, Task
from facegeo.rendering.render import Render
from facegeo.rendering.studio import Studio, photograph_session
from facegeo.surfaces.integrate import METHODS, integrate, transfer_detail

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which faces, and how coarse the surface is that detail is put on.

    Attributes:
        faces: People, one photograph each, lit from one of the four corners.
        size: Side of a photograph, pixels.
        seed: Decides every face.
        blur_pct: Standard deviation of the blur that makes the true depth coarse, in % of the
            face's width.
        scale_pct: ``transfer_detail``'s scale, in % of the face's width.
        head: Head model, ``anny`` or ``ict``.
        head_path: Files of the head model, where it needs any.
    """

    faces: int
    size: int
    seed: int
    blur_pct: float
    scale_pct: float
    head: str = "anny"
    head_path: Path | None = None

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If a key is out of range; the text names it.
        """
        if type(self.faces) is not int or self.faces < 1:
            raise UserError(f"faces must be a whole number from 1, got {self.faces!r}")
        of_head = {"head": self.head, "head_path": self.head_path}
        sizes = {"train": 0, "test": self.faces, "size": self.size, "seed": self.seed}
        Order(**sizes, **of_head, maps=True)  # type: ignore[arg-type]
        for name in ("blur_pct", "scale_pct"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0.5 <= value <= 50:
                raise UserError(f"{name} must be a number from 0.5 to 50, got {value!r}")


@dataclass(frozen=True)
class Face:
    """One photograph and its geometry.

    Attributes:
        image: RGB, linear in light, shape (S, S, 3); one light of the session's four.
        bright: The same with all four lights on, each a quarter as strong, float32 in [0, 1].
        render: True normals, depth and mask.
    """

    image: NDArray[np.uint8]
    bright: Floats
    render: Render

    @property
    def width(self) -> int:
        """Columns of the picture from the mask's left to its right end."""
        columns = np.flatnonzero(self.render.mask.any(axis=0))
        return int(columns[-1] - columns[0] + 1)


def known_faces(question: Question) -> Iterator[Face]:
    """Photograph each person once, in a session of their own; the four lights take turns."""
    studio = Studio(question.head, question.head_path)
    for number in range(question.faces):
        task = Task("test", number)
        person, now = (task.key(p, question.seed) for p in (Purpose.PERSON, Purpose.SESSION))
        session = photograph_session(studio, person, now, question.size)
        bright = np.asarray(session.images, np.float32).mean(axis=0) / 255
        yield Face(session.images[number % len(session.images)], bright, session.render)


def surfaces_of(question: Question, face: Face, normals: Mapping[str, Floats]) -> dict[str, Floats]:
    """Build all surfaces of a face.

    Args:
        question: How coarse is coarse.
        face: Its true depth is blurred to the coarse one, inside the mask alone.
        normals: Unit vectors (S, S, 3) by name.

    Returns:
        Depth in pixels, (S, S), finite in the mask: ``true surface``, ``coarse surface``, and for
        each name ``name/dct``, ``name/weighted`` (integrated) and ``name/detail`` (transferred).
    """
    mask, depth = face.render.mask, face.render.depth
    coarse = _blurred(depth, mask, question.blur_pct / 100 * face.width)
    found = {"true surface": depth, "coarse surface": coarse}
    for name, given in normals.items():
        found |= {f"{name}/{method}": integrate(given, mask, method) for method in METHODS}
        scale = question.scale_pct / 100 * face.width
        found[f"{name}/detail"] = transfer_detail(coarse, given, mask, scale)
    return found


def _blurred(depth: Floats, mask: Bools, sigma: float) -> Floats:
    """Blur inside a mask: each pixel is the weighted mean of the face pixels around it."""
    cover = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(mask, depth, 0).astype(np.float64), (0, 0), sigma)
    return np.asarray(total / np.maximum(cover, 1e-9))
