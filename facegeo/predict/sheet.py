"""A contact sheet of the faces found."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

from facegeo.data.normal_files import resize_face
from facegeo.geometry.normals import encode
from facegeo.predict.drawing import draw_points
from facegeo.predict.face import Face, Image
from facegeo.predict.photo import write_jpeg

TILE_PX, COLUMNS, MOST = 160, 8, 64
AROUND = 1.5
"""Side of a tile in box sides."""


class Sheet:
    """Collects the first ``MOST`` faces with their points, and their normals beside them."""

    def __init__(self) -> None:
        self._tiles: list[Image] = []

    def __bool__(self) -> bool:
        """Whether there is a face on it."""
        return bool(self._tiles)

    def add(self, photo: Image, faces: Sequence[Face]) -> None:
        """Add the faces of one photo, as long as there is room."""
        for face in faces[: MOST - len(self._tiles)]:
            self._tiles.append(_tile(photo, face))

    def jpeg(self) -> bytes:
        """Return the sheet as the bytes of a JPEG file."""
        wide = max(tile.shape[1] for tile in self._tiles)
        columns = max(1, min(len(self._tiles), COLUMNS * TILE_PX // wide))
        blank = np.full((TILE_PX, wide, 3), 255, np.uint8)
        rows = []
        for start in range(0, len(self._tiles), columns):
            row = self._tiles[start : start + columns]
            rows.append(
                np.hstack(
                    [*(_widened(tile, wide) for tile in row), *[blank] * (columns - len(row))]
                )
            )
        return write_jpeg(np.vstack(rows))


def _widened(tile: Image, wide: int) -> Image:
    return np.pad(tile, ((0, 0), (0, wide - tile.shape[1]), (0, 0)), constant_values=255)


def _tile(photo: Image, face: Face) -> Image:
    """A face with its points; its normals at the right."""
    left, right, top, bottom = face.box
    side = max(2, round(AROUND * max(right - left, bottom - top)))
    corner = np.rint([(left + right - side) / 2, (top + bottom - side) / 2]).astype(int)
    cut = _cut(photo, int(corner[0]), int(corner[1]), side)
    scale = TILE_PX / side
    stages = (face.stages - corner + 0.5) * scale - 0.5
    edges = [
        (edge - at + 0.5) * scale - 0.5 for edge, at in zip(face.box, corner.repeat(2), strict=True)
    ]
    tile = draw_points(cut, [replace(face, stages=stages, box=(*edges,))])
    if face.normals is None or face.mask is None:
        return tile
    colours = encode(
        torch.from_numpy(face.normals).permute(2, 0, 1), torch.from_numpy(face.mask)[None]
    )
    return np.hstack([tile, resize_face(colours.permute(1, 2, 0).numpy(), TILE_PX)])


def _cut(photo: Image, left: int, top: int, side: int) -> Image:
    """A square of a photo scaled to a tile, black where it sticks out; its middle is in the photo.

    What is outside is never laid out in the photo's pixels: a box may be far larger than it.
    """
    corner, size = np.array([left, top]), np.array(photo.shape[1::-1])
    low, high = np.clip([corner, corner + side], 0, size)
    to_low, to_high = np.rint((np.stack([low, high]) - corner) * TILE_PX / side).astype(int)
    to_high = np.maximum(to_high, to_low + 1)
    way = cv2.INTER_AREA if side > TILE_PX else cv2.INTER_LINEAR
    tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    tile[to_low[1] : to_high[1], to_low[0] : to_high[0]] = cv2.resize(
        photo[low[1] : high[1], low[0] : high[0]], (to_high - to_low).tolist(), interpolation=way
    )
    return tile
