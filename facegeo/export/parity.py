"""Check that an exported model is equal to PyTorch's, on noise and on faces."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from facegeo.errors import UserError
from facegeo.files.tables import Table
from facegeo.training.wing import Difference, ExportForm, Scene

NOISE_SIZES = ((61, 57), (120, 150), (240, 200), (240, 320))
"""Height and width of the noise images, px."""


def noise_scenes(seed: int = 0) -> list[Scene]:
    """Clouds of colour with boxes of all sizes, some partly outside: the same every time."""
    random = np.random.default_rng(seed)
    scenes = []
    for height, width in NOISE_SIZES:
        raw = random.uniform(0, 255, (height, width, 3))
        image = 127.5 + 4 * (cv2.GaussianBlur(raw, (0, 0), 2) - 127.5)
        sides = random.uniform(0.3, 0.9, (4, 1)) * min(height, width)
        low = random.uniform(0, 1, (4, 2)) * (width, height) - sides / 2
        boxes = np.stack([low, low + sides], axis=2).reshape(4, 4)
        scenes.append(Scene(np.clip(image, 0, 255).astype(np.uint8), boxes))
    return scenes


def check_parity(found: Iterable[Difference], precision: str, form: ExportForm) -> None:
    """See that an exported model is close enough.

    Raises:
        UserError: If not, with the difference found and the one allowed.
    """
    allowed, unit = form.limits[precision]
    for one in found:
        mean, worst, *_ = one.figures
        value = math.nan if (got := worst if precision == "fp32" else mean) is None else got
        if not value <= allowed:  # so that NaN does not pass
            raise UserError(
                f"the exported model differs from PyTorch's on {one.inputs} by {value:.3g} {unit}, "
                f"allowed is {allowed:g}: the file is not kept; try another precision or "
                "format, or report it"
            )


def parity_table(found: Iterable[Difference], title: str, form: ExportForm) -> Table:
    """One row for each kind of input."""
    rows = tuple((one.inputs, one.count, *one.figures) for one in found)
    return Table(title, ("inputs", "faces", *form.columns), rows, form.note, form.columns)
