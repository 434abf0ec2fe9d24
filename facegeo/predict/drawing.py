"""What was found, drawn on the photo: boxes, points of each stage, normals, shading."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
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
FAR: Final = 1e6  # px, beyond any picture; sixteenths of it are whole numbers of 32 bits
CLEAR_PX, LARGEST_PX = 240, 2400
"""A photo is enlarged until the side of its smallest box is the first, if its own side stays below
the second."""


def enlarged(photo: Image, faces: Sequence[Face]) -> tuple[Image, list[Face]]:
    """Return a photo of small faces enlarged by a whole number, so that points can be told apart.

    Args:
        photo: RGB.
        faces: On it.

    Returns:
        The photo and where its faces are on it; both as they are if the faces are large.
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
    """Draw each face's box, and a ring for each stage round its points: the last one is a dot.

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


def draw_normals(photo: Image, faces: Sequence[Face]) -> Image:
    """Lay the normals' colours, (n + 1) / 2, over each face."""
    image = photo.copy()
    for face in faces:
        if face.normals is not None:
            colours = encode(torch.from_numpy(face.normals).permute(2, 0, 1))
            lay_over(image, face, colours.permute(1, 2, 0).numpy())
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
            lay_over(image, face, np.repeat(levels[..., None], 3, axis=2))
    return image


def lay_over(image: Image, face: Face, pixels: Image, fade: float = 0.0) -> None:
    """Put pixels of a face's square where its mask is, softly at the rim.

    Args:
        image: RGB; it is changed.
        face: With normals.
        pixels: RGB of its square in any size, (s, s, 3); what is outside the mask is not shown.
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
    """Points in OpenCV's sixteenths of a pixel; those that are no number lie far off."""
    places = np.nan_to_num(np.asarray(points, np.float64), nan=-FAR).clip(-FAR, FAR)
    return [(int(x), int(y)) for x, y in np.rint(places * 2**SHIFT)]
