"""Photos in any form as RGB bytes the right way up, and the faces found in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from facegeo.errors import UserError
from facegeo.files.images import ImageError, decode

FORMAT = "facegeo-faces-1"
"""Format of the JSON files of faces."""
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
        mask: Pixels of ``normals`` that show the face, bool, (S, S).
        timings: Milliseconds for each part of the work ("points", "normals", "box"): the batch's
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


JPEG_PX = 65500
"""Longest side of a JPEG file that libjpeg writes."""


def read_photo(path: Path) -> Image:
    """Read an image file and turn it as its EXIF orientation says.

    Grey becomes three equal channels, transparency is dropped, 16 bits become 8.

    Raises:
        UserError: If it cannot be read, is damaged, or is not an image.
    """
    try:
        return decode(path.read_bytes(), turned=True)
    except (OSError, ImageError) as error:
        got = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: wanted a readable image, got {got}") from error


def is_one(images: object) -> bool:
    """Whether this is one image and not a batch, list or other iterable of images."""
    if isinstance(images, np.ndarray | torch.Tensor):
        return images.ndim < 4
    return isinstance(images, str | Path) or _is_pil(images) or not isinstance(images, Iterable)


def to_photo(image: object) -> Image:
    """Return one image as RGB bytes.

    Args:
        image: A path; an image of Pillow, turned as its EXIF orientation says; a NumPy array
            (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), red first; or a tensor (1, H, W) or
            (3, H, W). Bytes, 16-bit numbers, or floats in [0, 1].

    Raises:
        UserError: If a file cannot be read.
        ValueError: If the type, shape or range is not one of these.
    """
    if isinstance(image, str | Path):
        return read_photo(Path(image).expanduser())
    if _is_pil(image):
        return _of_pil(image)
    if isinstance(image, torch.Tensor):
        if image.ndim != 3 or image.shape[0] not in (1, 3):
            got = tuple(image.shape)
            raise ValueError(f"a tensor must have shape (1, H, W) or (3, H, W), got {got}")
        image = image.float() if image.is_floating_point() else image  # NumPy has no bfloat16
        return _of_array(image.detach().cpu().permute(1, 2, 0).numpy())
    if isinstance(image, np.ndarray):
        return _of_array(image)
    raise ValueError(
        f"an image must be a path, an array, a tensor or a Pillow image, got {type(image).__name__}"
    )


def _of_array(array: np.ndarray[Any, Any]) -> Image:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(f"an image must have shape (H, W), (H, W, 3 or 4), got {array.shape}")
    array = array[..., :3]
    if array.dtype == np.uint16:
        array = array >> 8  # as OpenCV reads files of 16 bits
    elif array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f"an image of floats must be in [0, 1], got {array.min():g} to {array.max():g}"
            )
        array = np.rint(array * 255)
    elif array.dtype != np.uint8:
        raise ValueError(f"an image must be uint8, uint16 or floats, got {array.dtype}")
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)), np.uint8)


def _is_pil(image: object) -> bool:
    return any(kind.__module__.startswith("PIL.") for kind in type(image).__mro__)


def _of_pil(image: object) -> Image:
    from PIL import Image as Pillow  # installed, since the caller has an image of it
    from PIL import ImageOps

    if not isinstance(image, Pillow.Image):
        raise ValueError(f"an image must be a path, an array or a Pillow image, got {image!r}")
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I;16"):
        return _of_array(np.asarray(turned, np.uint16))
    if turned.mode in ("I", "F"):  # Pillow would clip them at 255
        return _of_array(np.asarray(turned))
    return _of_array(np.asarray(turned.convert("RGB")))


def write_jpeg(image: Image, quality: int = 92) -> bytes:
    """Return an RGB image as the bytes of a JPEG file, shrunk if it is longer than ``JPEG_PX``."""
    height, width = image.shape[:2]
    if (longest := max(height, width)) > JPEG_PX:
        size = (max(1, JPEG_PX * width // longest), max(1, JPEG_PX * height // longest))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UserError(f"OpenCV cannot write {width} x {height} pixels as a JPEG file")
    data: bytes = coded.tobytes()
    return data


def write_png(image: Image) -> bytes:
    """Return an RGB image as the bytes of a PNG file."""
    data: bytes = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
    return data
