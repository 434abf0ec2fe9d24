"""Boxes that a file tells: a list of Sun et al., CSV or JSON."""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facegeo.data.faults import Fault, FaultsError, WantedError
from facegeo.data.landmark_list import BOX_FIELDS
from facegeo.errors import UserError
from facegeo.predict.box import check_boxes
from facegeo.predict.face import FORMAT, Boxes, Image
from facegeo.predict.sources import shown

Box = tuple[float, float, float, float]
Told = Iterator[tuple[int, str, object, Sequence[object] | None]]
"""Line, image, frame if any, and left, right, top, bottom as they stand there; None: no face."""
SIZES = ("left", "top", "width", "height")
PATH = r".*\.[A-Za-z]\w{1,4}(?=\s)"
"""A path and its ending, spaces in it or not."""


class BoxFile:
    """Boxes by image, read once; a detector that looks things up.

    Boxes belong to the photo as it is seen, turned as its EXIF orientation says. An image is found
    by its path as the command has it; or else by the end of the path, where only one image of the
    file ends so. A box of a video holds for all its frames, unless it tells which.

    Args:
        path: Of the file. ``.json``: ``{"a.jpg": [[left, right, top, bottom], ...]}``, a box a
            face, or a file of facegeo-predict. ``.csv``: a header with ``file`` and
            ``left,right,top,bottom`` or ``left,top,width,height``, and perhaps ``frame``, among
            its columns, such as ``points.csv`` of facegeo-predict, and a line a face; without a
            header ``file,left,top,width,height``.
            Others: ``path left right top bottom``, and points that are not used, as in the lists
            of Sun et al.

    Raises:
        UserError: If the file can not be read, or, all at once, for lines that are torn.
    """

    def __init__(self, path: str) -> None:
        file, text = Path(path).expanduser(), _text(path)
        reader = {".json": _json, ".csv": _csv}.get(file.suffix.lower(), _list)
        self._boxes = dict[str, dict[int | None, list[Box]]]()
        faults = []
        for line, image, frame, told in reader(text, file.name):
            try:
                if not image:
                    raise WantedError("the name of an image", "none")
                of_image = self._boxes.setdefault(_key(image), {})
                if told is not None:
                    of_image.setdefault(_frame(frame), []).append(_box(told))
            except WantedError as error:
                faults.append(Fault(file.name, line, image, error.wanted, error.got))
        if faults:
            raise FaultsError(faults, f"mend {path}")
        self._by_last = dict[str, list[str]]()
        for key in self._boxes:
            self._by_last.setdefault(_last(key), []).append(key)

    def __call__(self, image: Image, name: str = "", frame: int | None = None) -> Boxes:
        """Return the boxes told of an image, or of one frame; none if the file names it not.

        Raises:
            UserError: If the middle of a box lies outside the image.
        """
        key = _key(name)
        if key not in self._boxes:
            ends = [k for k in self._by_last.get(_last(key), ()) if _ends_alike(k, key)]
            key = ends[0] if len(ends) == 1 else key
        own = self._boxes.get(key, {})
        boxes = own.get(None, []) + (own.get(frame, []) if frame is not None else [])
        return check_boxes(np.array(boxes), *image.shape[:2])


def _text(path: str) -> str:
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UserError(
            f"detector.path={path}: wanted a file of boxes, got {error.strerror or error}"
        ) from error
    if not text.strip():
        raise UserError(f"detector.path={path}: wanted a box a face, got an empty file")
    return text


def _list(text: str, name: str) -> Told:
    """Lines of Sun et al.: path, box, and any points; a path may hold spaces."""
    for number, line in enumerate(text.split("\n"), start=1):
        path = re.match(PATH, line)
        image = path[0].strip() if path else line.split(maxsplit=1)[0] if line.strip() else ""
        if image:
            rest = line.strip().removeprefix(image).split()
            yield number, image, None, rest[: len(BOX_FIELDS)]


def _csv(text: str, name: str) -> Told:
    columns: Sequence[str] = ("file", *SIZES)
    for number, line in enumerate(text.split("\n"), start=1):
        fields = [field.strip() for field in next(csv.reader([line]), [])]
        if not any(fields):
            continue
        if number == 1 and not any(map(_is_number, fields)):
            columns = [field.lower() for field in fields]
            told_by = [way for way in (BOX_FIELDS, SIZES) if {"file", *way} <= {*columns}]
            if not told_by:
                raise UserError(
                    f"{name} line 1: wanted a header with file and left,right,top,bottom or "
                    f"left,top,width,height, got {line!r}"
                )
            continue
        told = dict(zip(columns, fields, strict=False))
        yield number, told.get("file", ""), told.get("frame"), _edges(told)


def _edges(told: dict[str, str]) -> list[object]:
    """Left, right, top, bottom of a line, whichever way it tells them."""
    if "right" in told or not set(SIZES) <= told.keys():
        return [told[field] for field in BOX_FIELDS if field in told]
    left, top, width, height = (told[field] for field in SIZES)
    if not all(map(_is_number, (left, top, width, height))):
        return [left, width, top, height]
    return [left, float(left) + float(width), top, float(top) + float(height)]


def _json(text: str, name: str) -> Told:
    try:
        images = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} line {error.lineno}: wanted JSON, got what is none ({error.msg})"
        ) from error
    if not isinstance(images, dict):
        raise UserError(f"{name}: wanted boxes by image, {{...}}, got a {type(images).__name__}")
    if images.get("format") == FORMAT:
        yield from _of_ours(images)
        return
    for image, boxes in images.items():
        if not isinstance(boxes, list):
            raise UserError(f"{name}, {image}: wanted a list of boxes, got {boxes!r}")
        line = 1 + text.count("\n", 0, text.find(json.dumps(image)))
        if not boxes:
            yield line, image, None, None
        yield from ((line, image, None, box if isinstance(box, list) else [box]) for box in boxes)


def _of_ours(told: Mapping[str, Any]) -> Told:
    """Boxes of a photo's or a video's JSON as facegeo-predict writes it."""
    try:
        yield 1, told["file"], None, None
        for frame in told.get("frames", [told]):
            for face in frame["faces"]:
                yield 1, told["file"], frame.get("frame"), face["box"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"wanted the JSON of facegeo-predict, got another ({error!r})") from error


def _frame(told: object) -> int | None:
    if told in (None, ""):
        return None
    if not str(told).isdecimal():
        raise WantedError("the number of a frame, or nothing", repr(told))
    return int(str(told))


def _box(told: Sequence[object]) -> Box:
    if len(told) != len(BOX_FIELDS):
        raise WantedError("left, right, top, bottom", f"{len(told)} numbers")
    for value in told:
        if not _is_number(value):
            raise WantedError("finite numbers", repr(value))
    left, right, top, bottom = (float(str(value)) for value in told)
    if right - left < 2 or bottom - top < 2:
        got = f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}"
        raise WantedError("a box of 2 px or more, left < right, top < bottom", got)
    return left, right, top, bottom


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(str(value)))
    except ValueError:
        return False


def _key(image: str) -> str:
    return shown(image).replace("\\", "/").removeprefix("./")


def _last(key: str) -> str:
    return key.rpartition("/")[2]


def _ends_alike(one: str, other: str) -> bool:
    return one.endswith(f"/{other}") or other.endswith(f"/{one}")
