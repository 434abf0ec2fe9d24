"""Plain photos of faces without ground truth, cut out as training faces are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from facegeo.checks import check_range
from facegeo.errors import UserError
from facegeo.files.images import PHOTOS, ImageError, decode, image_size
from facegeo.files.lists import WantedError
from facegeo.files.places import Places, Points, crop_square, points_beside, read_places
from facegeo.normals.maps import resize_face, trained_coding, warn_of_faces
from facegeo.training.wing import WingData


class Photo(TypedDict):
    """One face; a loader collates them to a batch (B, ...)."""

    sample: Tensor
    """Row in the folder, int64, ()."""
    image: Tensor
    """RGB in [0, 1], (3, S, S)."""


class PhotoFolder(Dataset[Photo], WingData):
    """Faces of any folder of images (300-W, CelebA, FFHQ), cut out by Photoface's crop rule.

    The rule (``crop_square``): a square of 1.2 times the longer side of the bounding box of the 68
    points, around its middle, moved into the image where it sticks out, resized with averaging.
    The box comes from, in this order: ``points``; ``boxes``, each taken for the box of the 68
    points; a file of points beside each photo (``BESIDE``); or the largest square in the middle
    of the photo, where none of these is there. Five points in place of 68: see
    ``five_point_outline``. Photos are read as stored; orientation tags are ignored.

    Photos that no list names are an error; lines for photos that are not there are not.

    Attributes:
        root: The folder.
        names: Photos relative to it, with ``/``, by name.

    Args:
        root: Folder with photos, at any depth.
        size: Side S of the cut-outs, px.
        points: CSV file, a line ``file,x1,y1,..`` a photo, 5 or 68 points in px.
        boxes: CSV file, a line ``file,left,top,width,height`` a photo, px.
        limit: Take the first so many photos by name; None takes all.

    Raises:
        UserError: If there is no photo, both lists are given, or, with all faults at once, photos
            cannot be read, have no place or one outside the photo, or a list has faults.
        ValueError: If ``size`` or ``limit`` is below 1.
    """

    finds = "normals"
    has_truth = False

    def __init__(
        self,
        root: Path | str,
        size: int,
        points: Path | str | None = None,
        boxes: Path | str | None = None,
        limit: int | None = None,
    ) -> None:
        check_range("size", size, 1)
        check_range("limit", 1 if limit is None else limit, 1)
        self.root, self.size = Path(root).expanduser(), size
        self.names = tuple(_photos(self.root)[:limit])
        places = _places(self.root, self.names, points, boxes)
        faults = [place for place in places.values() if isinstance(place, str)]
        self._outlines = {name: p for name, p in places.items() if not isinstance(p, str)}
        for name in self.names:
            if places and name not in places:
                faults.append(f"{name}: wanted its place, as other photos have, got none")
            try:
                _check(self.root / name, self._outlines.get(name))
            except WantedError as error:
                faults.append(f"{name}: wanted {error.wanted}, got {error.got}")
        if faults:
            count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
            lines = "".join(f"\n  {fault}" for fault in faults)
            raise UserError(
                f"{count} in the photos of {self.root}:{lines}\nCorrect or remove these."
            )

    def report(
        self,
        model: nn.Module,
        folder: Path,
        splits: Sequence[str],
        *,
        notes: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> dict[str, float]:
        """Draw the normals that a generator finds: see ``show_photos``."""
        from facegeo.normals.evaluate import show_photos

        return show_photos(model, self, folder, coding=trained_coding(notes or {}), **how)

    def check_model(self, model: nn.Module, options: Mapping[str, Any] | None = None) -> None:
        """Take any generator."""

    def compare_notes(self, notes: Mapping[str, Any]) -> None:
        """Warn if a generator was trained on faces of another side."""
        warn_of_faces(notes, self.size)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.names)

    def __getitem__(self, row: int) -> Photo:
        """Read and cut out one photo.

        Raises:
            UserError: If its pixels turn out to be damaged.
        """
        name = self.names[row]
        try:
            image = decode((self.root / name).read_bytes())
        except (OSError, ImageError) as error:
            raise UserError(
                f"{self.root / name}: wanted a readable image, got {error}; remove it"
            ) from error
        height, width = image.shape[:2]
        outline, side = self._outlines.get(name), min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
        if outline is not None:
            left, top, side = crop_square(outline, height, width)
        face = resize_face(image[top : top + side, left : left + side], self.size)
        pixels = torch.from_numpy(np.ascontiguousarray(face.transpose(2, 0, 1)))
        return {"sample": torch.tensor(row), "image": pixels.float() / 255}


def _photos(root: Path) -> list[str]:
    """All photos below a folder, by name."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in PHOTOS and path.is_file())
    names = sorted(path.relative_to(root).as_posix() for path in found)
    if not names:
        got = "none in it" if root.is_dir() else "no such folder"
        raise UserError(f"{root}: wanted a folder with photos ({', '.join(PHOTOS)}), got {got}")
    return names


def _places(
    root: Path, names: Sequence[str], points: Path | str | None, boxes: Path | str | None
) -> Places:
    """Known places of faces in the photos; empty where there are none."""
    if points is not None and boxes is not None:
        raise UserError(f"wanted points or boxes, got both: {points} and {boxes}; give one")
    if points is not None:
        return read_places(Path(points), "points")
    if boxes is not None:
        return read_places(Path(boxes), "boxes")
    places: Places = {}
    for name in names:
        try:
            if (outline := points_beside(root / name)) is not None:
                places[name] = outline
        except WantedError as error:
            places[name] = f"points beside {name}: wanted {error.wanted}, got {error.got}"
    return places


def _check(path: Path, outline: Points | None) -> None:
    """Check that the photo is complete and holds the face."""
    try:
        height, width = image_size(path.read_bytes())
    except (OSError, ImageError) as error:
        got = getattr(error, "strerror", "") or str(error)
        raise WantedError("a readable image", got) from error
    if outline is None:
        return
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    if right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
        got = f"one from ({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f})"
        raise WantedError(f"a face in the image's {width} x {height} pixels", got)
