"""Prepare people with the released cascade: its points say where each face is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facegeo.files.places import Points
from facegeo.files.torch_file import sha256
from facegeo.files.writing import build_once
from facegeo.normals.prepare import prepare
from facegeo.normals.prepare_people import PeoplePreparation, find_people
from facegeo.predict.boxes import box_of_points
from facegeo.predict.normals import outline_of
from facegeo.predict.photo import Floats, Image
from facegeo.predict.points import FindPoints, load_points
from facegeo.training.model_file import find_model

FIRST_BOX = (0.05, 0.95, 0.08, 0.87)
"""Left, right, top and bottom of the first box in a picture of one face, shares of its width and
height; the mean of the cropped Extended Yale B, see ``MEAN_SHAPE``."""
PASSES = 3
"""Each pass after the first uses the box of the previous pass's points."""
FOREHEAD = 0.4
"""Extension of the outline above the brows, in shares of the distance from the eyes to the
mouth: to the hairline of most people."""


class FaceFinder:
    """Finds points and outline of a face in photographs of only this face.

    Args:
        cascade: Name of the model of points.
        device: Where it runs.
    """

    def __init__(self, cascade: str = "ccnn-lfpw", device: str = "cpu") -> None:
        self.cascade, self.device = cascade, device
        self._find: FindPoints | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the cascade's file."""
        return sha256(find_model(self.cascade))

    def __call__(self, photos: Sequence[Image]) -> tuple[Points, Points]:
        """Find five points, the median over the photographs, and the outline with the forehead.

        Args:
            photos: RGB, of one still face.

        Returns:
            Points (5, 2) and outline (K, 2), px.
        """
        if self._find is None:
            self._find = load_points(self.cascade, self.device)
        height, width = photos[0].shape[:2]
        box = np.array([FIRST_BOX]) * [width, width, height, height]
        for _ in range(PASSES):
            found = self._find(photos, [box] * len(photos))
            points = np.median([one[0, -1] for one in found], axis=0)
            box = box_of_points(points[None])
        return points.astype(np.float64), with_forehead(points)


def with_forehead(points: Floats) -> Points:
    """Extend the outline of a face upwards to the hairline.

    Args:
        points: Left eye, right eye, nose tip, left and right mouth corner, px, (5, 2).

    Returns:
        Px, (K, 2), in no particular order; take their convex hull.
    """
    outline = outline_of(points)
    up = points[:2].mean(axis=0) - points[3:].mean(axis=0)
    across = (outline - points[:2].mean(axis=0)) @ up / (up @ up)
    brows = outline[across > 0]
    middle = brows.mean(axis=0)
    raised = middle + 0.85 * (brows - middle) + FOREHEAD * up
    return np.concatenate([outline, raised])


def ensure_people(root: str, cache_dir: str, *, cascade: str = "ccnn-lfpw") -> Path:
    """Return a folder of prepared people; prepare them into the cache if needed.

    Args:
        root: Prepared people, or ``CroppedYale``, or the folder that holds it.
        cache_dir: Folder of caches.
        cascade: Name of the model of points.

    Raises:
        UserError: As ``prepare`` says.
    """
    given = Path(root).expanduser()
    if is_prepared(given):
        return given
    folder, names = find_people(given)
    finder = FaceFinder(cascade)
    preparation = PeoplePreparation(root=given, out=Path(), find_face=finder, processes=1)
    files = sorted(folder.glob("*/*.pgm"))
    stats = [file.stat() for file in files]
    names_and_times = [
        (str(file.relative_to(folder)), stat.st_size, stat.st_mtime_ns)
        for file, stat in zip(files, stats, strict=True)
    ]
    options = preparation.options()
    points = options.pop("points")
    key = json.dumps([str(folder.resolve()), options, points, names_and_times])

    return build_once(
        Path(cache_dir).expanduser(),
        f"people-{hashlib.sha256(key.encode()).hexdigest()[:16]}",
        build=lambda out: prepare(replace(preparation, out=out)),
        complete=is_prepared,
        size_bytes=sum(stat.st_size for stat in stats) + 300_000 * len(names),
    )


def is_prepared(folder: Path) -> bool:
    """Whether a folder was written by ``facegeo-prepare yaleb`` and is complete."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return bool(manifest["complete"]) and str(manifest["prepared"]["layout"]) == "yaleb"
    except (OSError, ValueError, KeyError, TypeError):
        return False
