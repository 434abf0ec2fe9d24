"""What was found, drawn on the photo: boxes, points of each stage, normals, shading."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch

from facegeo.geometry.light import LIGHTS, directional_shading
from facegeo.geometry.normals import encode
from facegeo.predict.face import Face, Image

STAGES: Final = ((86, 180, 233), (230, 159, 0), (255, 232, 0), (204, 121, 167))
"""Colours of the stages, first to last, RGB: Okabe and Ito's palette and a bright yellow."""
BOX: Final = (255, 255, 255)
DARK: Final = (0, 0, 0)
SHIFT: Final = 4  # OpenCV draws in sixteenths of a pixel


def draw_points(photo: Image, faces: Sequence[Face], labels: Sequence[str] = ()) -> Image:
    """Draw each face's box and the points of every stage, the last one filled and on top.

    Args:
        photo: RGB; it is not changed.
        faces: On it.
        labels: Written over each box, such as the number of its track.
    """
    image = photo.copy()
    for number, face in enumerate(faces):
        left, right, top, bottom = face.box
        width = max(1, round((right - left) / 120))
        corners = _fixed([[left, top], [right, bottom]])
        for colour, extra in ((DARK, 2), (BOX, 0)):
            cv2.rectangle(image, corners[0], corners[1], colour, width + extra, cv2.LINE_AA, SHIFT)
        for stage, points in enumerate(face.stages):
            last = stage == len(face.stages) - 1
            radius = (right - left) * (0.018 if last else 0.03) + 1
            for at in _fixed(points):
                _ring(image, at, radius, STAGES[stage % len(STAGES)], width, filled=last)
        if labels:
            _write(image, labels[number], left, top - 4, (right - left) / 220 + 0.2)
    return image


def draw_normals(photo: Image, faces: Sequence[Face]) -> Image:
    """Lay the normals' colours, (n + 1) / 2, over each face."""
    image = photo.copy()
    for face in faces:
        if face.normals is not None:
            colours = encode(torch.from_numpy(face.normals).permute(2, 0, 1))
            _lay_over(image, face, colours.permute(1, 2, 0).numpy())
    return image


def draw_shading(photo: Image, faces: Sequence[Face], light: str = "left") -> Image:
    """Lay white skin under a distant light over each face.

    Args:
        photo: RGB; it is not changed.
        faces: On it.
        light: A key of ``facegeo.geometry.light.LIGHTS``.
    """
    image = photo.copy()
    for face in faces:
        if face.normals is not None:
            normals = torch.from_numpy(face.normals).permute(2, 0, 1)
            grey = directional_shading(normals, torch.tensor([LIGHTS[light]]))[0]
            levels = (255 * grey.clamp(0, 1)).round().to(torch.uint8).numpy()
            _lay_over(image, face, np.repeat(levels[..., None], 3, axis=2))
    return image


def _lay_over(image: Image, face: Face, pixels: Image) -> None:
    """Put a face's square, (S, S, 3), where its mask is, softly at the rim."""
    if face.square is None or face.mask is None:
        return
    left, top, side = face.square
    cover = cv2.resize(face.mask.astype(np.float32), (side, side))[..., None]
    shown = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR)
    below = image[top : top + side, left : left + side]
    below[:] = np.rint(cover * shown + (1 - cover) * below).astype(np.uint8)


def _ring(
    image: Image,
    at: tuple[int, int],
    radius: float,
    colour: tuple[int, ...],
    width: int,
    *,
    filled: bool,
) -> None:
    size = round(radius * 2**SHIFT)
    cv2.circle(image, at, size, DARK, width + 2, cv2.LINE_AA, SHIFT)
    cv2.circle(image, at, size, colour, -1 if filled else width, cv2.LINE_AA, SHIFT)


def _write(image: Image, text: str, x: float, y: float, scale: float) -> None:
    at = (round(x), max(10, round(y)))
    for colour, width in ((DARK, 3), (BOX, 1)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)


def _fixed(points: object) -> list[tuple[int, int]]:
    """Points in OpenCV's sixteenths of a pixel; those that are no number lie far off."""
    places = np.nan_to_num(np.asarray(points, np.float64), nan=-1e4).clip(-1e4, 1e4)
    return [(int(x), int(y)) for x, y in np.rint(places * 2**SHIFT)]
