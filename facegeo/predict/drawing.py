"""Points and normals drawn on photos; contact sheets."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from facegeo.geometry.light import LIGHTS, directional_shading
from facegeo.geometry.normals import encode
from facegeo.normals.maps import resize_face
from facegeo.predict.photo import Face, Image, write_jpeg

STAGES: Final = ((86, 180, 233), (230, 159, 0), (255, 232, 0), (204, 121, 167))
"""Colours of the stages, first to last, RGB: Okabe and Ito's palette and a bright yellow."""
BOX: Final = (255, 255, 255)
DARK: Final = (0, 0, 0)
SHIFT: Final = 4  # OpenCV draws in sixteenths of a pixel
FAR: Final = 1e6  # px, beyond any picture; sixteenths of it are whole numbers of 32 bits
CLEAR_PX, LARGEST_PX = 240, 2400
"""Photos are enlarged until their smallest box has the first side, but to no longer side than the
second."""


def enlarged(photo: Image, faces: Sequence[Face]) -> tuple[Image, list[Face]]:
    """Return a photo of small faces enlarged by a whole number, so that points do not overlap.

    Its faces are moved with it, without their normals. Large faces stay as they are.
    """
    sides = [face.box[1] - face.box[0] for face in faces]
    wanted = ceil(CLEAR_PX / max(2.0, min(sides, default=CLEAR_PX)))
    zoom = max(1, min(wanted, LARGEST_PX // max(photo.shape[:2])))
    if zoom == 1:
        return photo, list(faces)
    height, width = photo.shape[:2]
    large = cv2.resize(photo, (zoom * width, zoom * height), interpolation=cv2.INTER_CUBIC)
    moved = [
        replace(
            face,
            box=tuple((edge + 0.5) * zoom - 0.5 for edge in face.box),
            stages=(face.stages + np.float32(0.5)) * zoom - np.float32(0.5),
            square=None,
            normals=None,
            mask=None,
        )
        for face in faces
    ]
    return np.asarray(large, np.uint8), moved


def draw_points(photo: Image, faces: Sequence[Face], labels: Sequence[str] = ()) -> Image:
    """Draw each face's box, and its points: rings for the first stages, dots for the last.

    Args:
        photo: RGB; it is not changed.
        faces: On it.
        labels: Written over each box, such as the number of its track.
    """
    image = photo.copy()
    for number, face in enumerate(faces):
        left, right, top, _ = face.box
        side = min(right - left, 2.0 * max(photo.shape))
        width = max(1, round(side / 160))
        corners = _fixed([face.box[0::2], face.box[1::2]])
        for colour, extra in ((DARK, 2), (BOX, 0)):
            cv2.rectangle(image, corners[0], corners[1], colour, width + extra, cv2.LINE_AA, SHIFT)
        count = len(face.stages)
        for stage, points in enumerate(face.stages):
            colour, last = STAGES[stage % len(STAGES)], stage == count - 1
            for at in _fixed(points):
                if not last:
                    radius = round(side * 0.012 * (count - stage) * 2**SHIFT)
                    cv2.circle(image, at, radius, colour, width, cv2.LINE_AA, SHIFT)
                    continue
                for shown, size in ((DARK, 0.013), (colour, 0.009)):
                    radius = round(max(side * size, 1.0) * 2**SHIFT)
                    cv2.circle(image, at, radius, shown, -1, cv2.LINE_AA, SHIFT)
        if labels:
            _write(image, labels[number], left, max(10, top - 4), side / 220 + 0.2)
    return image


def normal_colours(face: Face) -> Image:
    """Return a face's normals as colours, (n + 1) / 2, white outside its mask, (S, S, 3).

    Raises:
        ValueError: If it has no normals.
    """
    if face.normals is None or face.mask is None:
        raise ValueError("wanted a face with normals, got one without")
    normals, mask = torch.from_numpy(face.normals).permute(2, 0, 1), torch.from_numpy(face.mask)
    return encode(normals, mask[None]).permute(1, 2, 0).numpy()


def draw_normals(photo: Image, faces: Sequence[Face]) -> Image:
    """Lay the normals' colours, (n + 1) / 2, over each face."""
    return _with_faces(photo, faces, lambda normals: encode(normals).permute(1, 2, 0).numpy())


def draw_shading(photo: Image, faces: Sequence[Face], light: str = "left") -> Image:
    """Lay white skin under a distant light, a key of ``LIGHTS``, over each face."""

    def shaded(normals: Tensor) -> Image:
        grey = directional_shading(normals, torch.tensor([LIGHTS[light]]))[0]
        levels = (255 * grey.clamp(0, 1)).round().to(torch.uint8).numpy()
        return np.repeat(levels[..., None], 3, axis=2)

    return _with_faces(photo, faces, shaded)


def _with_faces(photo: Image, faces: Sequence[Face], pixels_of: Callable[[Tensor], Image]) -> Image:
    """A photo with pixels made of each face's normals (3, S, S) laid over it."""
    image = photo.copy()
    for face in faces:
        if face.normals is not None:
            lay_over(image, face, pixels_of(torch.from_numpy(face.normals).permute(2, 0, 1)))
    return image


def lay_over(image: Image, face: Face, pixels: Image, fade: float = 0.0) -> None:
    """Put pixels of a face's square where its mask is, softly at the rim.

    Args:
        image: RGB; it is changed.
        face: With normals.
        pixels: RGB of its square in any size, (s, s, 3); only the mask is shown.
        fade: Width of the rim inside the mask over which pixels fade into the image, in sides of
            the square.
    """
    if face.square is None or face.mask is None:
        return
    left, top, side = face.square
    weight = cv2.GaussianBlur(face.mask.astype(np.float32), (0, 0), 0.5 + len(face.mask) / 128)
    weight = cv2.resize(weight * face.mask, pixels.shape[:2], interpolation=cv2.INTER_LINEAR)
    shown = cv2.resize(pixels * weight[..., None], (side, side))
    weight = cv2.resize(weight, (side, side))[..., None]
    shown = shown / np.maximum(weight, 1e-3)
    cover = np.clip(2 * weight - 1, 0, 1)
    if fade:
        distance = cv2.distanceTransform(face.mask.astype(np.uint8), cv2.DIST_L2, 5)
        inside = np.clip(distance / (fade * len(face.mask)), 0, 1)
        smooth = (inside**2 * (3 - 2 * inside)).astype(np.float32)
        cover = cover * cv2.resize(smooth, (side, side))[..., None]
    below = image[top : top + side, left : left + side]
    below[:] = np.rint(cover * shown + (1 - cover) * below).clip(0, 255).astype(np.uint8)


def _write(image: Image, text: str, x: float, y: float, scale: float) -> None:
    at = (round(x), round(y))
    for colour, width in ((DARK, 3), (BOX, 1)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)


def _fixed(points: object) -> list[tuple[int, int]]:
    """Points in OpenCV's sixteenths of a pixel; NaN lies far off."""
    places = np.nan_to_num(np.asarray(points, np.float64), nan=-FAR).clip(-FAR, FAR)
    return [(int(x), int(y)) for x, y in np.rint(places * 2**SHIFT)]


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
        tiles = [
            np.pad(tile, ((0, 0), (0, wide - tile.shape[1]), (0, 0)), constant_values=255)
            for tile in self._tiles
        ]
        tiles += [blank] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[n : n + columns]) for n in range(0, len(tiles), columns)]
        return write_jpeg(np.vstack(rows))


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
    if face.normals is None:
        return tile
    return np.hstack([tile, resize_face(normal_colours(face), TILE_PX)])


def _cut(photo: Image, left: int, top: int, side: int) -> Image:
    """A square of a photo scaled to a tile, black where it sticks out; its middle is in the photo.

    The area outside is never allocated at the photo's scale: a box may be far larger than it.
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
