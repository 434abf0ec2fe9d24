"""Read environment maps: those that ship with the package, or a folder of EXR and HDR files."""

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facegeo.errors import UserError
from facegeo.rendering.mesh import Floats

HEIGHT, WIDTH = 32, 64
"""Rows and columns that all maps are brought to."""
SHIPPED = Path(__file__).parent / "light_maps" / "cc0.npz"
ENDINGS = (".exr", ".hdr")
ENABLE = "OPENCV_IO_ENABLE_OPENEXR"
BRIGHTEST = 6e4
"""Largest radiance that is kept; half floats end a little above."""


def light_files(folder: Path | None) -> list[Path]:
    """Return the files that hold the maps, in the order of their names.

    Args:
        folder: The user's own; None for the shipped ones.

    Raises:
        UserError: If no light map is found.
    """
    if folder is None:
        return [SHIPPED]
    if not folder.is_dir():
        raise UserError(
            f"lights must be a folder of environment maps, got {folder}; set lights=DIR"
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not files:
        raise UserError(
            f"lights={folder} must hold environment maps (.exr or .hdr), found none; copy some "
            "there or leave lights out to use the shipped ones"
        )
    return files


def contents_key(files: Sequence[Path]) -> str:
    """Return a hash of the contents and order of files."""
    total = hashlib.sha256()
    for path in files:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def read_lights(folder: Path | None) -> list[Floats]:
    """Read all maps and bring them to the renderer's size.

    Args:
        folder: The user's own equirectangular maps, twice as wide as high; None for the shipped.

    Returns:
        Linear radiance, RGB, shape (32, 64, 3) each; see ``lights`` for the axes.

    Raises:
        UserError: If there is none, or one is not a map; the text names it.
    """
    files = light_files(folder)
    if folder is None:
        with np.load(files[0], allow_pickle=False) as archive:
            return [archive[name].astype(np.float32) for name in sorted(archive.files)]
    stamps = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return [_read(*stamp) for stamp in stamps]


@lru_cache(maxsize=64)
def _read(path: Path, size: int, changed: int) -> Floats:
    """Read one map; ``size`` and ``changed`` name the version of the file that is cached."""
    pixels, got = _decoded(path)
    if pixels is not None:
        got = f"{pixels.dtype} of shape {pixels.shape}"
        height, width = pixels.shape[:2]
        if pixels.ndim == 3 and pixels.shape[2] >= 3 and width == 2 * height >= WIDTH:
            radiance = _shrunk(pixels[..., 2::-1])
            if np.isfinite(radiance).all() and radiance.max() > 0:
                return radiance
            got = "no light or values that are not finite"
    raise UserError(
        f"lights: {path} must be an equirectangular map, RGB, twice as wide as high, at least "
        f"{WIDTH} x {HEIGHT} pixels; got {got}; replace or remove the file"
    )


def _decoded(path: Path) -> tuple[NDArray[Any] | None, str]:
    """Return a file's pixels, blue first, or why there are none."""
    import cv2

    set_before = os.environ.get(ENABLE)
    os.environ[ENABLE] = "1"  # OpenCV reads it when it meets its first EXR file
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError) as error:
        reason = str(getattr(error, "err", None) or error)
        if "OpenEXR codec is disabled" in reason:
            return None, f"an EXR file with OpenCV's reader off; set {ENABLE}=1 and start again"
        return None, f"a file that OpenCV cannot decode ({reason})"
    finally:
        if set_before is None:
            del os.environ[ENABLE]
        else:
            os.environ[ENABLE] = set_before
    return pixels, "a file that OpenCV cannot decode"


def _shrunk(pixels: NDArray[Any]) -> Floats:
    """Average a map over blocks, weighted by solid angle; shape (32, 64, 3)."""
    height, width = pixels.shape[:2]
    rows = np.arange(height) * HEIGHT // height
    columns = np.arange(width) * WIDTH // width
    weight = np.sin(np.pi * (np.arange(height) + 0.5) / height)
    total = np.zeros((HEIGHT, width, 3))
    np.add.at(total, rows, pixels * weight[:, None, None])
    shrunk = np.zeros((WIDTH, HEIGHT, 3))
    np.add.at(shrunk, columns, total.transpose(1, 0, 2))
    area = np.bincount(rows, weight)[:, None] * np.bincount(columns)
    return (shrunk.transpose(1, 0, 2) / area[..., None]).clip(0, BRIGHTEST).astype(np.float32)
