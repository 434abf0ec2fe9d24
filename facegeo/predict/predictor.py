"""The predictor: from images to faces with boxes, points and normals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, cast, overload

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from facegeo.checks import checked
from facegeo.errors import UserError
from facegeo.export.onnx_model import is_exported
from facegeo.predict.boxes import box_of_points, check_boxes, is_inside
from facegeo.predict.detectors import Detect, Haar
from facegeo.predict.normals import load_normals
from facegeo.predict.photo import Boxes, Face, Image, is_one, to_photo
from facegeo.predict.points import FindPoints, load_points

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

FindNormals = Callable[[Sequence[Image], Sequence[Face]], list[Face]]
"""Maps images, one for each face, and faces with points to faces with normals."""
AT_ONCE = 16
"""Photos that are held in memory at once, and read in threads."""
ManyBoxes = Sequence[npt.ArrayLike | None] | None


@checked(prefix="", strict=True)
class Predictor:
    """Finds faces, their points and, if asked for, their normals.

    Args:
        find_points: A cascade.
        detect: Finds boxes where the caller gives none.
        find_normals: Adds normals; None: only points.
        looks: How often the cascade runs, each time but the first in the box around the points
            found before; 2 corrects wrong boxes (``experiments/ccnn/boxes.md``) in twice the time.

    Raises:
        UserError: If ``looks`` is not a whole number of 1 or more.
    """

    def __init__(
        self,
        find_points: FindPoints,
        detect: Detect,
        find_normals: FindNormals | None = None,
        looks: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        self.find_points, self.detect, self.find_normals = find_points, detect, find_normals
        self.looks = looks

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a sequence too, and one image
        self, images: str | Path | Pillow, boxes: npt.ArrayLike | None = None
    ) -> list[Face]: ...

    @overload
    def __call__(self, images: Sequence[object], boxes: ManyBoxes = None) -> list[list[Face]]: ...

    @overload
    def __call__(
        self, images: object, boxes: object | None = None
    ) -> list[Face] | list[list[Face]]: ...

    def __call__(
        self, images: object, boxes: object | None = None
    ) -> list[Face] | list[list[Face]]:
        """Predict one image or many.

        Args:
            images: One image as ``facegeo.predict.photo.to_photo`` takes it, or a sequence, or an
                array (B, H, W, 3) or a tensor (B, 3, H, W).
            boxes: Left, right, top, bottom, px: of one image (F, 4) or (4,), of many one such
                for each. None: the detector finds them.

        Returns:
            ``list[Face]`` of one image, ``list[list[Face]]`` of many; no face is an empty list.

        Raises:
            UserError: If a file cannot be read, or a box is empty or lies outside its image.
            ValueError: If an image or the boxes have none of these forms.
        """
        if is_one(images):
            return self.many([images], None if boxes is None else [cast(npt.ArrayLike, boxes)])[0]
        return self.many(cast(Iterable[object], images), cast(ManyBoxes, boxes))

    def many(self, images: Iterable[object], boxes: ManyBoxes = None) -> list[list[Face]]:
        """Predict many images, as ``__call__`` does, with a definite type.

        Images in ``boxes`` whose entry is None are left to the detector.
        """
        listed = list(images)
        given = [None] * len(listed) if boxes is None else list(boxes)
        if len(given) != len(listed):
            raise ValueError(f"boxes must have one entry an image, {len(listed)}, got {len(given)}")
        found = []
        with ThreadPoolExecutor() as pool:
            run = map if len(listed) == 1 else pool.map  # for one image no thread is worth starting
            for first in range(0, len(listed), AT_ONCE):
                some = slice(first, first + AT_ONCE)
                photos = list(run(to_photo, listed[some]))
                start = perf_counter()
                places = list(run(self.boxes_of, photos, given[some]))
                found += self.in_boxes(photos, places, {"box": perf_counter() - start})
        return found

    def boxes_of(
        self,
        photo: Image,
        given: npt.ArrayLike | None = None,
        name: str = "",
        frame: int | None = None,
    ) -> Boxes:
        """Return the boxes of one image: those given, checked, or those detected in it.

        Args:
            photo: The image.
            given: Its boxes, if they are known.
            name: Its path, or that of its video, for detectors.
            frame: Its number in the video, for detectors.

        Raises:
            UserError: If a given box is empty or lies outside the image.
        """
        height, width = photo.shape[:2]
        if given is not None:
            return check_boxes(given, height, width)
        found = self.detect(photo, name, frame)
        return found[is_inside(found, height, width)]

    def in_boxes(
        self,
        photos: Sequence[Image],
        boxes: Sequence[Boxes],
        seconds: dict[str, float] | None = None,
    ) -> list[list[Face]]:
        """Find points and normals of faces whose boxes are known.

        Args:
            photos: RGB, each of its own size.
            boxes: Of each photo's faces, (F, 4).
            seconds: Time that other parts of the work took.
        """
        count = max(1, sum(map(len, boxes)))
        took = dict(seconds or {})
        start = perf_counter()
        points = self.find_points(photos, boxes)
        for _ in range(self.looks - 1):
            around = []
            for photo, old, found in zip(photos, boxes, points, strict=True):
                new = box_of_points(found[:, -1])
                kept = is_inside(new, *photo.shape[:2])  # else the old box is used again
                around.append(np.where(kept[:, None], new, old))
            boxes = around
            points = self.find_points(photos, boxes)
        took["points"] = perf_counter() - start
        faces = [
            Face(box=(box[0], box[1], box[2], box[3]), stages=stages)
            for own, found in zip(boxes, points, strict=True)
            for box, stages in zip(own.tolist(), found, strict=True)
        ]
        if self.find_normals is not None:
            start = perf_counter()
            owners = [p for p, own in zip(photos, boxes, strict=True) for _ in own]
            faces = self.find_normals(owners, faces)
            took["normals"] = perf_counter() - start
        timings = {name: 1e3 * value / count for name, value in took.items()}
        timed = iter([replace(face, timings=timings) for face in faces])
        return [[next(timed) for _ in own] for own in boxes]


RELEASED_NORMALS = "casfne-faces"


def load(
    name: str | Path = "ccnn-lfpw",
    *,
    normals: str | Path | bool | None = None,
    detect: Detect | None = None,
    device: str = "auto",
    looks: int = 1,
) -> Predictor:
    """Load a predictor as ``facegeo.load`` does.

    Raises:
        UserError: If there is no such model, it finds something else, or there is no such device.
    """
    word = str(normals).lower()
    generator = RELEASED_NORMALS if word == "true" else normals
    if word == "false" or isinstance(generator, bool):
        generator = None
    for exported in (name, generator):
        if device == "cuda" and exported is not None and is_exported(exported):
            raise UserError(f"device=cuda is for models that PyTorch runs, {exported} is not")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise UserError(f"device must be cpu, auto, or cuda where there is one; got {device}")
    find_normals = None if generator is None else load_normals(generator, device)
    return Predictor(load_points(name, device), detect or Haar(), find_normals, looks)
