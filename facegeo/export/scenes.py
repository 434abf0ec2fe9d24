"""What exported models are tried on: faces of a list, and noise that no training has seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from facegeo.data.image_file import ImageError, decode
from facegeo.data.landmark_list import read_list
from facegeo.data.lfpw import LFPWDataModule
from facegeo.errors import UserError

NOISE_SIZES = ((61, 57), (120, 150), (240, 200), (240, 320))
"""Height and width of the noise images, px."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and its faces.

    Attributes:
        image: Red, green, blue, uint8, (H, W, 3).
        boxes: left, right, top, bottom, px, (F, 4).
        points: True points, px, (F, 5, 2), where they are known.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64] | None = None


def noise_scenes(seed: int = 0) -> list[Scene]:
    """Clouds of colour with boxes of all sizes, some partly outside: the same every time."""
    random = np.random.default_rng(seed)
    scenes = []
    for height, width in NOISE_SIZES:
        raw = random.uniform(0, 255, (height, width, 3))
        image = 127.5 + 4 * (cv2.GaussianBlur(raw, (0, 0), 2) - 127.5)
        sides = random.uniform(0.3, 0.9, (4, 1)) * min(height, width)
        low = random.uniform(0, 1, (4, 2)) * (width, height) - sides / 2
        boxes = np.stack([low, low + sides], axis=2).reshape(4, 4)
        scenes.append(Scene(np.clip(image, 0, 255).astype(np.uint8), boxes))
    return scenes


def listed_scenes(data: LFPWDataModule, split: str, most: int | None = None) -> Iterator[Scene]:
    """Faces of a list, one a scene.

    Args:
        data: Names the lists.
        split: "train" or "test".
        most: No more than so many, spread evenly over the list; None: all.

    Raises:
        UserError: If the list or an image can not be read.
    """
    faces = read_list(data.root, data.lists[split], data.on_error)
    count = len(faces) if most is None else min(most, len(faces))
    for row in np.linspace(0, len(faces) - 1, count).astype(int):
        path = faces.path(row)
        try:
            image = decode(path.read_bytes())
        except (ImageError, OSError) as error:
            raise UserError(
                f"{path}: wanted an image, got {error}; mend or copy it again"
            ) from error
        yield Scene(image, faces.boxes[row : row + 1], faces.points[row : row + 1])


def face_squares(scenes: Sequence[Scene], size: int) -> npt.NDArray[np.float32]:
    """What lies in the boxes, as images of one size in [0, 1], (N, 3, S, S)."""
    squares = []
    for scene in scenes:
        for left, right, top, bottom in np.round(scene.boxes).astype(int):
            inside = scene.image[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
            squares.append(cv2.resize(inside, (size, size), interpolation=cv2.INTER_AREA))
    stacked: npt.NDArray[np.float32] = np.stack(squares).astype(np.float32)
    return stacked.transpose(0, 3, 1, 2) / np.float32(255)
