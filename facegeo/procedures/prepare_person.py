"""One person's photographs under many lamps become normals, albedo, mask and points."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from facegeo.data.cropped_yale import light_angles, light_names, load_linear
from facegeo.data.face_outline import Points, outline_mask
from facegeo.data.image_file import ImageError
from facegeo.data.normal_files import Bytes
from facegeo.data.people import ALBEDO, MASK, NORMALS, PHOTOS, Person
from facegeo.data.raw_session import RawSession, SessionFault
from facegeo.geometry.lamp_strengths import LitFace
from facegeo.geometry.light import to_srgb
from facegeo.geometry.normals import bulge, normalise
from facegeo.geometry.photometric_stereo import Surface, robust
from facegeo.synthetic.manifest import write_atomically
from facegeo.synthetic.photo import png_bytes

ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
WELL_LIT = (25, 20)
"""Largest azimuth and elevation of the lights whose photographs show the points, degrees."""
STEADY = 0.35
"""Least share of the fitted photographs that agree with the surface at a pixel of the mask."""
STEEPEST = 0.17
"""Least z of a normal of the mask."""

ROUGH_DEG, WINDOW_PX = 20.0, 7
"""A pixel whose normal turns farther from the mean normal of its window is hair, an eye's glint or
a nostril; its neighbours leave the mask with it."""

FindFace = Callable[[Sequence[Bytes]], tuple[Points, Points]]
"""Maps well-lit sRGB photographs (H, W, 3) of one face to its five points and its outline, px."""


def prepare_person(
    out: Path,
    find_face: FindFace,
    strengths: Mapping[str, float],
    source: str,
    fitted: Sequence[int],
    session: RawSession,
) -> SessionFault | None:
    """Compute and write one person.

    Args:
        out: Folder of the prepared people.
        find_face: Finds points and outline of the face.
        strengths: Of the lamps, by their names.
        source: Digest of what the person is made from.
        fitted: Photographs that take part in the fit.
        session: The photographs.

    Returns:
        None, or what is wrong with a file that looked whole.
    """
    try:
        photos, usable = load_linear(session)
    except ImageError as error:
        return SessionFault(session.name, "*.pgm", "readable images", str(error))
    names = light_names(session.photos)
    face = lit_face(photos[fitted], usable[fitted], session, fitted, fitted)
    strength = torch.tensor([strengths[name] for name in names], dtype=torch.float64)
    surface = robust(face.images, face.lights * strength[fitted, None], face.usable)
    points, outline = find_face(_well_lit(photos, names))
    mask = face_mask(surface, outline)
    if not mask.any():
        return SessionFault(session.name, "*.pgm", "a face", "no pixel that the lights reach")
    person = Person(
        name=session.name,
        source=source,
        lights=tuple(names),
        directions=session.lights,
        strengths=tuple(strength.tolist()),
        points=tuple((float(x), float(y)) for x, y in points),
        bulge=bulge(surface.normals, mask),
    )
    _write(out / session.name, person, photos, surface, mask)
    return None


def lit_face(
    photos: Bytes,
    usable: npt.NDArray[np.bool_],
    session: RawSession,
    fitted: Sequence[int],
    lamps: Sequence[int],
) -> LitFace:
    """Return the photographs of a session that take part in the fit.

    Args:
        photos: Their grey values, linear in light, uint8, (N, H, W).
        usable: Which of them are not saturated, (N, H, W).
        session: All of the session.
        fitted: Which of its photographs these are, N.
        lamps: The lamp of each, N.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(photos))
    lights = torch.tensor(session.lights, dtype=torch.float64)[fitted]
    unsaturated = torch.from_numpy(np.ascontiguousarray(usable))
    return LitFace(pixels.float() / 255, lights, torch.tensor(lamps), unsaturated)


def _well_lit(photos: Bytes, names: Sequence[str]) -> list[Bytes]:
    """Photographs lit from the front, as sRGB; all if there is none."""
    angles = np.abs([light_angles(name) for name in names])
    chosen = (angles <= WELL_LIT).all(axis=1)
    light = torch.from_numpy(photos[chosen] if chosen.any() else photos).float() / 255
    coded = (to_srgb(light) * 255).round().to(torch.uint8)[..., None].expand(-1, -1, -1, 3)
    return list(coded.numpy())


def face_mask(surface: Surface, outline: Points) -> Tensor:
    """Pixels of a face whose normal is known: no hair, no background, nothing unsteady.

    Args:
        surface: Of the photographs that were fitted.
        outline: Points whose hull is the face, px, (K, 2).

    Returns:
        The largest connected part, without hair, glints and nostrils, bool, (1, H, W).
    """
    height, width = surface.albedo.shape
    side = max(height, width)
    inside = outline_mask(outline, 0, 0, side)[:height, :width]
    steady = surface.lit.float().mean(0) >= STEADY
    seen = surface.valid & steady & (surface.normals[2] >= STEEPEST)
    pixels: npt.NDArray[Any] = (seen.numpy() & inside).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    pixels = cv2.morphologyEx(
        cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, kernel), cv2.MORPH_OPEN, kernel
    )
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(pixels)
    sizes[0] = 0  # what is not in the mask
    largest = (parts == sizes[:, cv2.CC_STAT_AREA].argmax()) & (pixels > 0) & inside
    return torch.from_numpy(largest)[None] & ~_rough(surface.normals)


def _rough(normals: Tensor) -> Tensor:
    """Pixels of normals (3, H, W) that differ from those about them, and their neighbours."""
    mean = avg_pool2d(normals, WINDOW_PX, 1, WINDOW_PX // 2, count_include_pad=False)
    apart = (normalise(mean) * normals).sum(0, keepdim=True) < math.cos(math.radians(ROUGH_DEG))
    return max_pool2d(apart.float(), 3, 1, 1) > 0


def _write(folder: Path, person: Person, photos: Bytes, surface: Surface, mask: Tensor) -> None:
    """Write photographs, normals, mask and albedo, then the record."""
    white = max(float(np.quantile(surface.albedo[mask[0]].numpy(), ALBEDO_WHITE)), 1e-6)
    albedo = (surface.albedo / white).clamp(0, 1) * 255
    normals = surface.normals.permute(1, 2, 0).to(torch.float16)
    write_atomically(folder / PHOTOS, _npy(photos))
    write_atomically(folder / NORMALS, _npy(normals.numpy()))
    write_atomically(folder / MASK, png_bytes(mask[0].to(torch.uint8).numpy() * np.uint8(255)))
    write_atomically(folder / ALBEDO, png_bytes(albedo.round().to(torch.uint8).numpy()))
    person.write(folder)


def _npy(values: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)
    return file.getvalue()
