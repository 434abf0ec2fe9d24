"""Pictures to measure on: noise, since what is in them costs nothing where boxes are given."""

from __future__ import annotations

from math import ceil, sqrt

import cv2
import numpy as np
import numpy.typing as npt

from facegeo.files.images import Bytes

CELL_PX = 250
"""Side of a picture of one face, as in LFW."""
BOX_PX = 89
"""Side of a face's box: the median of the LFPW lists."""


def picture(faces: int) -> tuple[Bytes, npt.NDArray[np.float64]]:
    """A picture with room for so many faces, side by side.

    Returns:
        Red, green, blue, (H, W, 3), and boxes: left, right, top, bottom, px, (F, 4).
    """
    columns = ceil(sqrt(faces))
    rows = ceil(faces / columns)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (rows * CELL_PX, columns * CELL_PX, 3), dtype=np.uint8)
    image = (cv2.GaussianBlur(noise, (0, 0), 4).astype(np.float32) - 127.5) * 6 + 127.5
    corner = CELL_PX * np.stack(np.divmod(np.arange(faces), columns)[::-1], axis=1)
    low = corner + (CELL_PX - BOX_PX) / 2 + random.uniform(-20, 20, (faces, 2))
    boxes = np.stack([low, low + BOX_PX], axis=2).reshape(faces, 4)
    return image.clip(0, 255).astype(np.uint8), boxes


def jpeg(image: Bytes) -> Bytes:
    """The picture's file, (N,)."""
    done, file = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return np.asarray(file, np.uint8)


def decode(file: Bytes) -> Bytes:
    """Red, green, blue, (H, W, 3), from a file's bytes."""
    bgr = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
