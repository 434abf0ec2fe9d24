"""Read normal maps, masks and photos from files; check, resize and code them."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor

from facegeo.files.images import ImageError, decode, image_size
from facegeo.files.lists import WantedError
from facegeo.geometry.light import to_linear

log = logging.getLogger(__name__)

Coding = Literal["linear", "srgb"]
"""How photos are coded: in proportion to light, or by sRGB's curve."""
Frame = Literal["right_up_camera", "down_right_camera", "right_down_camera"]
"""Axes of stored normals, the keys of ``facegeo.geometry.normals.FRAMES``."""
GENERATED: Final = "generated sessions"
"""In the title of data that were linear in light before notes held codings."""


def trained_coding(notes: Mapping[str, Any]) -> str | None:
    """Coding of the pixels that the model with these notes was trained on; None: unknown."""
    older = "linear" if GENERATED in str(notes.get("data")) else None
    coding: str | None = notes.get("coding", older)
    return coding


def warn_of_faces(notes: Mapping[str, Any], size: int, coding: str | None = None) -> None:
    """Warn if a generator with these notes was trained on faces of another size or coding.

    Args:
        notes: The generator's.
        size: Side of the faces it is given now, px.
        coding: Their coding; None: unknown.
    """
    trained = notes.get("size", size)
    if trained != size:
        log.warning(
            "trained on faces of %d px, these are %d px: set data.size=%d to show it what it knows",
            trained,
            size,
            trained,
        )
    if len({trained_coding(notes), coding} - {None}) > 1:
        log.warning("trained on linear or sRGB photos, these are of the other coding: expect worse")


def as_trained(photos: Tensor, coding: str | None) -> Tensor:
    """Code photos (sRGB values in [0, 1], any shape) as those that a model was trained on.

    Args:
        photos: Any shape.
        coding: Of the training photos; None, as "srgb", leaves photos as they are.
    """
    return to_linear(photos) if coding == "linear" else photos


Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
NPY = b"\x93NUMPY"
UNIT = 0.1
"""How far the length of a sound normal may be from 1. Rounding to 8 bits costs 0.007; averaging
two normals, as resizing does, leaves the cosine of half their angle: 0.9 at 52 degrees."""
SOUND = 0.9
"""Least share of the mask's pixels with sound normals: folds and the rim of the mask, where a
resized map holds mixtures with the background, may be off."""
LEAST, MOST = 0.1, 1.5
"""A shorter normal has no direction, a longer one (1.73) is white: its pixel leaves the mask."""


def read_face(data: bytes) -> Bytes:
    """Decode the bytes of a face image: RGB, shape (H, W, 3).

    Raises:
        WantedError: If it is not a complete image.
    """
    try:
        return decode(data)
    except ImageError as error:
        raise WantedError("a readable image", str(error)) from error


def read_mask(data: bytes) -> Mask:
    """Decode the bytes of a mask, an 8-bit image: face pixels, bool, shape (H, W).

    A pixel belongs to the face above 127; of colours the largest channel counts.

    Raises:
        WantedError: If it is not a complete image, or no pixel belongs to the face.
    """
    levels = _unchanged(data, "a readable mask")
    if levels.dtype != np.uint8:
        raise WantedError("a mask of 8 bits", _kind(levels))
    if levels.ndim == 3:
        levels = levels[..., :3].max(axis=2)
    mask = levels > 127
    if not mask.any():
        raise WantedError("a mask with pixels above 127", f"none above {levels.max()}")
    return mask


def read_normals(data: bytes) -> Floats:
    """Read a normal map: 8-bit colours 255 (n + 1) / 2, or a NumPy file with the vectors.

    Returns:
        Vectors in the file's frame, not normalised, shape (H, W, 3); off the face anything.

    Raises:
        WantedError: If the bytes hold something else.
    """
    if data.startswith(NPY):
        return _vectors(data)
    colours = _unchanged(data, "a readable normal map")
    if colours.dtype != np.uint8 or colours.ndim != 3 or colours.shape[2] != 3:
        raise WantedError("a normal map of 3 channels of 8 bits", _kind(colours))
    return (colours[..., ::-1] * np.float32(2 / 255) - 1).astype(np.float32)


def check_normals(normals: Floats, mask: Mask) -> None:
    """Check that normals (H, W, 3) fit the mask (H, W) and have unit length in it.

    Raises:
        WantedError: If sizes differ, the map is not square, or normals are not finite or too often
            not of unit length, see ``UNIT`` and ``SOUND``.
    """
    check_size(normals, "a square normal map", normals.shape[0], normals.shape[0])
    check_size(normals, "a normal map of the mask's size", *mask.shape)
    face = normals[mask]
    if not np.isfinite(face).all():
        count = int((~np.isfinite(face)).any(axis=1).sum())
        raise WantedError("finite normals", f"NaN or infinity at {count} pixels of the face")
    lengths = np.linalg.norm(face, axis=1)
    sound = float((np.abs(lengths - 1) <= UNIT).mean())
    if sound < SOUND:
        raise WantedError(
            f"normals of length 1 +- {UNIT:g} at {SOUND:.0%} of the face's pixels or more",
            f"{sound:.1%}, median length {np.median(lengths):.3g}",
        )


def check_size(pixels: npt.NDArray[Any], wanted: str, height: int, width: int) -> None:
    """Raise ``WantedError`` unless ``pixels``, shape (H, W, ...), has the given size."""
    if pixels.shape[:2] != (height, width):
        text = f"{wanted}, {width} x {height}"
        raise WantedError(text, f"{pixels.shape[1]} x {pixels.shape[0]}")


def resize_face(image: Bytes, size: int) -> Bytes:
    """Image of ``size`` x ``size`` px: averaged over areas if it shrinks, else bilinear."""
    return _resize(image, size).astype(np.uint8)


def resize_normals(normals: Floats, mask: Mask, size: int) -> tuple[Floats, Mask]:
    """Bring a normal map and its mask to another size.

    Only normals of the mask's pixels are averaged, and brought back to unit length; a pixel
    belongs to the face if more than half of it does. At the wanted size nothing changes but that
    normals are zero off the mask and pixels without direction, see ``LEAST``, leave it.

    Args:
        normals: Vectors, shape (H, W, 3).
        mask: Face pixels, shape (H, W).
        size: Side of the result, px.

    Returns:
        Normals (size, size, 3), zero off the mask, and mask (size, size).
    """
    inside = np.where(mask[..., None], normals, np.float32(0))
    length = np.linalg.norm(inside, axis=2)
    mask = (length > LEAST) & (length < MOST)
    inside[~mask] = 0
    if mask.shape == (size, size):
        return inside, mask
    weight = _resize(mask.astype(np.float32), size)
    summed = _resize(inside, size)
    length = np.linalg.norm(summed, axis=2, keepdims=True)
    known = (weight > 0.5) & (length[..., 0] > LEAST)
    unit = np.where(known[..., None], summed / np.maximum(length, LEAST), 0)
    return unit.astype(np.float32), known


def _resize(pixels: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    if pixels.shape[:2] == (size, size):
        return pixels
    how = cv2.INTER_AREA if pixels.shape[0] > size else cv2.INTER_LINEAR
    return cv2.resize(pixels, (size, size), interpolation=how)


def _unchanged(data: bytes, wanted: str) -> npt.NDArray[Any]:
    """Pixels as stored: any depth, any number of channels, blue first."""
    try:
        image_size(data)
    except ImageError as error:
        raise WantedError(wanted, str(error)) from error
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise WantedError(wanted, f"one that OpenCV refuses ({error.err})") from error
    if pixels is None:
        raise WantedError(wanted, f"{len(data)} bytes that are not an image")
    return cast(npt.NDArray[Any], pixels)


def _vectors(data: bytes) -> Floats:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise WantedError("a readable normal map", f"a damaged NumPy file ({error})") from error
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype.kind != "f":
        got = f"{array.dtype} of shape {array.shape}"
        raise WantedError("an array of floats of shape (H, W, 3)", got)
    return cast(Floats, array.astype(np.float32))


def _kind(pixels: npt.NDArray[Any]) -> str:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return f"{channels} of {8 * pixels.dtype.itemsize} bits"
