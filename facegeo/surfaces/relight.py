"""Faces in new light, still and moving."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from facegeo.checks import check_range, check_shape
from facegeo.errors import UserError
from facegeo.geometry.light import (
    DARKEST,
    directional_shading,
    harmonic_shading,
    photo_shading,
    to_linear,
    to_srgb,
)
from facegeo.surfaces.integrate import integrate
from facegeo.surfaces.lights import Distant, Light, Near, Source, Surround, turning

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


def relight(normals: Floats, photo: Floats | None, mask: Bools, light: Light) -> Floats:
    """Show a face in another light.

    The colour of the skin is the photo divided by the shading that it holds, estimated as
    ``geometry.light.photo_shading`` says. That takes the skin for matt, the light for white and
    its shadows for shading: highlights, cast shadows and coloured light stay in the colour.

    Args:
        normals: Unit vectors, shape (S, S, 3), x right, y up, z to the camera.
        photo: sRGB in [0, 1], shape (s, s, 3), of the same square in any size: shading is
            enlarged to it. None shows a white face, as a plain shading map.
        mask: Face pixels, bool, shape (S, S).
        light: Sources that shine together, such as ``find_light("studio")``.

    Returns:
        RGB in [0, 1], as large as the photo, float32, black outside the mask: sRGB, or with no
        photo the shading itself, 1 where a light of strength 1 falls straight on.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    return next(relit(normals, photo, mask, [light]))


def relit(
    normals: Floats, photo: Floats | None, mask: Bools, lights: Iterable[Light]
) -> Iterator[Floats]:
    """Show a face in one light after the other; arguments and pictures as in ``relight``."""
    check_shape("normals", normals, "S", "S", 3)
    check_shape("mask", mask, *normals.shape[:2])
    inside = torch.from_numpy(mask.copy())[None, None]  # torch takes no flipped view
    skin, size = None, normals.shape[:2]
    if photo is not None:
        check_shape("photo", photo, "s", "s", 3)
        size = photo.shape[:2]
        colours = to_linear(_planes(photo))
        held = photo_shading(_resized(colours, normals.shape[:2]), _planes(normals), inside)
        skin = (colours / _spread(held, inside, size).clamp(min=DARKEST)).clamp(0, 1)
    cover = _resized(inside.float(), size) > 0.5
    for light in lights:
        shading = _spread(_planes(shade(normals, mask, light)), inside, size).where(cover, 0)
        shown = shading.clamp(0, 1) if skin is None else to_srgb(skin * shading)
        yield shown[0].permute(1, 2, 0).numpy()


def shade(normals: Floats, mask: Bools, light: Light) -> Floats:
    """Return what the sources of a light shade a white face with, linear, shape (S, S, 3).

    Nothing throws a shadow on anything else. Near lamps need depth, which is integrated.

    Args:
        normals: Unit vectors, shape (S, S, 3), x right, y up, z to the camera.
        mask: Face pixels, bool, shape (S, S).
        light: The sources.
    """
    vectors = _planes(normals)[0]
    depth = torch.zeros(mask.shape)
    if any(isinstance(source, Near) for source in light):
        depth = torch.from_numpy(integrate(normals, mask)).nan_to_num()
    parts = [_part(source, vectors, depth) * _colour(source) for source in light]
    total: Floats = torch.stack(parts).sum(dim=0).permute(1, 2, 0).numpy()
    return total


def _part(source: Source, normals: Tensor, depth: Tensor) -> Tensor:
    """Shading of one white source, shape (1, S, S)."""
    match source:
        case Distant():
            towards = torch.tensor([source.towards])
            return directional_shading(normals, towards / towards.norm())
        case Surround():
            return harmonic_shading(normals, torch.tensor(source.coefficients))
        case Near():
            return _near_shading(source, normals, depth)


def _near_shading(source: Near, normals: Tensor, depth: Tensor) -> Tensor:
    height, width = depth.shape
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    right, up = column - (width - 1) / 2, (height - 1) / 2 - row
    surface = torch.stack([right, up, depth]) / width
    place = torch.tensor(source.place)
    way = place[:, None, None] - surface
    far = way.norm(dim=0).clamp(min=1e-3)
    cosine = ((normals * way).sum(dim=0) / far).clamp(min=0)
    shading: Tensor = cosine * (place.norm() / far) ** 2
    return shading[None]


def _colour(source: Source) -> Tensor:
    return torch.tensor(source.colour).view(3, 1, 1)


def _planes(pixels: Floats) -> Tensor:
    """(S, S, 3) as (1, 3, S, S), float32."""
    return torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]


def _resized(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average or enlarge (1, C, H, W) to another size; the same size changes nothing."""
    if planes.shape[-2:] == size:
        return planes
    return interpolate(planes, size, mode="bilinear", antialias=True)


def _spread(planes: Tensor, inside: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize values of a mask (1, 1, H, W) without letting in values from outside."""
    weight = inside.float()
    return _resized(planes * weight, size) / _resized(weight, size).clamp(min=1e-3)


Frames = list[NDArray[np.uint8]]
FILMS: Final = ("gif", "mp4")
FRAMES: Final = 36
PER_SECOND: Final = 12
COLOURS: Final = 256


def rotating_light(
    kind: str, normals: Floats, photo: Floats | None, mask: Bools, frames: int = FRAMES
) -> bytes:
    """Film a light that goes once around the camera's axis, 45 degrees off.

    Args:
        kind: "gif", which repeats for ever, or "mp4".
        normals: Unit vectors, shape (S, S, 3), x right, y up, z to the camera.
        photo: sRGB in [0, 1], shape (S, S, 3); None shows a white face.
        mask: Face pixels, bool, shape (S, S).
        frames: Pictures, shown 12 a second, or 80 ms each: a GIF counts hundredths of a second.

    Returns:
        Content of the file.

    Raises:
        ValueError: If the shapes do not belong together, ``frames`` is below 1 or ``kind`` unknown.
        UserError: If OpenCV cannot write a film of this size.
    """
    check_range("frames", frames, 1)
    if kind not in FILMS:
        raise ValueError(f"kind must be one of {', '.join(FILMS)}; got {kind!r}")
    pictures = [
        (picture * 255).round().astype(np.uint8)
        for picture in relit(normals, photo, mask, turning(frames))
    ]
    return _gif(pictures) if kind == "gif" else _mp4(pictures)


def _gif(pictures: Frames) -> bytes:
    """One palette for all frames: palettes of their own would flicker."""
    sample = np.concatenate(pictures[:: max(1, len(pictures) // 12)])
    palette = Image.fromarray(sample).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    first, *rest = (
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    )
    file, wait_ms = BytesIO(), round(1000 / PER_SECOND)
    shown = {"append_images": rest, "duration": wait_ms, "loop": 0, "optimize": False}
    first.save(file, "GIF", save_all=True, **shown)
    return file.getvalue()


def _mp4(pictures: Frames) -> bytes:
    height, width = pictures[0].shape[:2]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        writer = cv2.VideoWriter(str(file), _mp4v(), PER_SECOND, (width, height))
        if not writer.isOpened():
            raise UserError(
                f"OpenCV cannot write a film of {width} x {height} pixels as MP4; choose gif or a "
                "larger picture"
            )
        for picture in pictures:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        return file.read_bytes()


def _mp4v() -> Any:  # noqa: ANN401
    return cv2.VideoWriter.fourcc(*"mp4v")
