"""A picture of what a variant's run found, small enough to stand in a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2

from facegeo.studies.comparison import Comparison
from facegeo.studies.plot import MOST
from facegeo.studies.runs import StudyRun
from facegeo.studies.variants import Variant

MAX_WIDTH_PX = 1200
QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """A run's panels.

    Attributes:
        name: Of the variant.
        seed: Of the run.
        uri: JPEG as a data URI.
        width: px.
        height: px.
    """

    name: str
    seed: int | None
    uri: str
    width: int
    height: int


def pictures(comparison: Comparison) -> list[Picture]:
    """One a variant, of the first few: panels of a finished run, if the study wants them."""
    asked = comparison.study.about.get("plots")
    if asked is not None and "panels" not in asked:
        return []
    found = (_of(variant, comparison.split) for variant in comparison.variants[:MOST])
    return [picture for picture in found if picture]


def _of(variant: Variant, split: str) -> Picture | None:
    for run in variant.done:
        picture = _picture(variant.name, run, split)
        if picture:
            return picture
    return None


def _picture(name: str, run: StudyRun, split: str) -> Picture | None:
    for file in (run.file(split, "panels.png"), run.file(split, "points.png")):
        image = cv2.imread(str(file)) if file is not None and file.is_file() else None
        if image is None:
            continue
        height, width = image.shape[:2]
        if width > MAX_WIDTH_PX:
            height, width = round(height * MAX_WIDTH_PX / width), MAX_WIDTH_PX
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        uri = f"data:image/jpeg;base64,{base64.b64encode(code.tobytes()).decode()}"
        return Picture(name, run.seed, uri, width, height)
    return None
