"""What an exported file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facegeo import __version__
from facegeo.export.onnx_model import CASCADE, FORMAT, NORMALS
from facegeo.geometry.windows import POINT_NAMES
from facegeo.normals.maps import trained_coding


def cascade_metadata(precision: str, notes: Mapping[str, Any], card: Path) -> dict[str, str]:
    """Texts in the file of a cascade."""
    return _common(CASCADE, precision, notes, card) | {
        "classes": json.dumps(POINT_NAMES),
        "classes_meaning": "left eye, right eye, nose tip, left and right mouth corner; left as "
        "seen in the image",
        "inputs": "image: red, green, blue, uint8, (H, W, 3), any size; boxes: left, right, top, "
        "bottom in pixels of the image, float64, (F, 4), of one face or more",
        "outputs": "points: x, y in pixels of the image after each stage, float32, (F, T, 5, 2); "
        "the last stage is the answer",
        "frame": "x right, y down, pixel centres at integers, (0, 0) the left top one",
        "box": "as in the lists it was trained on: a square from eyebrows to below the mouth",
        "normalisation": "inside: each crop minus its mean, over its standard deviation",
        "metric": "error_pct: mean distance to the true point over the box width, %",
    }


def normals_metadata(
    precision: str, notes: Mapping[str, Any], card: Path, t: int, size: int | None
) -> dict[str, str]:
    """Texts in the file of a generator of normals."""
    side = f"{size} px" if size else "multiples of 32 px"
    return _common(NORMALS, precision, notes, card) | {
        "t": str(t),
        "size": str(size or "any multiple of 32"),
        "classes": json.dumps(["x", "y", "z"]),
        "inputs": f"images: red, green, blue in [0, 1], float32, (B, 3, H, W), sides {side}, "
        "coded as coding says",
        "coding": trained_coding(notes) or "unknown: as the training's photos",
        "outputs": "normals_0 to normals_t: the initial normals and those after each refinement, "
        "float32, (B, 3, H, W), unit length; the last is the answer",
        "frame": "x right, y up, z to the camera",
        "normalisation": "none outside; a division by ImageNet's deviation, if any, is inside",
        "metric": "mean_deg: mean angle to the true normal over face pixels, degrees",
    }


def _common(task: str, precision: str, notes: Mapping[str, Any], card: Path) -> dict[str, str]:
    return {
        "format": FORMAT,
        "facegeo": __version__,
        "task": task,
        "precision": precision,
        "notes": json.dumps(notes),
        "results": json.dumps(notes.get("results", {})),
        "card": card.read_text(encoding="utf-8") if card.is_file() else "none",
        "licence": "code: Apache-2.0; weights: the terms of the card, or of who trained them",
    }
