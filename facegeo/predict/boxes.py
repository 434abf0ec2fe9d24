"""Face boxes: conversions, checks, files of boxes.

The cascade was trained with squares of one detector, from the brows to below the mouth. Boxes of
other detectors must be moved and scaled first; ``experiments/ccnn/boxes.md`` measures errors there.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.files.lists import (
    Fault,
    FaultsError,
    WantedError,
    is_number,
    numbered_lines,
    numbered_rows,
)
from facegeo.landmarks.lists import BOX_FIELDS
from facegeo.predict.folders import shown
from facegeo.predict.photo import FORMAT, Boxes, Image

MEAN_SHAPE: Final = np.array(
    [[0.2685, 0.2585], [0.7389, 0.2519], [0.5029, 0.5415], [0.3060, 0.7684], [0.7136, 0.7641]]
)
"""Mean points of Sun et al.'s 10,000 training faces in their boxes."""
LARGEST: Final = 10
"""Largest side of a box, in longer sides of its image."""


@dataclass(frozen=True)
class BoxMapping:
    """Moves and scales a detector's boxes.

    Attributes:
        right: Move of the middle, in widths of the detector's box.
        down: The same, in heights.
        scale: Side of the new square over the mean side of the detector's box.
    """

    right: float
    down: float
    scale: float

    def __call__(self, boxes: npt.NDArray[np.floating]) -> Boxes:
        """Return squares for boxes, both left, right, top, bottom, px, (F, 4)."""
        low, high = boxes[:, 0::2], boxes[:, 1::2]
        middle = (low + high) / 2 + [self.right, self.down] * (high - low)
        half = self.scale * (high - low).mean(axis=1, keepdims=True) / 2
        return _of_corners(middle - half, middle + half)


def box_of_points(points: npt.NDArray[np.floating]) -> Boxes:
    """Return the boxes in which faces with these points would have been trained.

    The square in which the mean shape lies nearest to the points, of their size whatever the
    turn of the head. On Sun et al.'s training faces its overlap with the given box (IoU) is 0.83
    on average.

    Args:
        points: Px, (F, 5, 2).

    Returns:
        Left, right, top, bottom, px, (F, 4).
    """
    middle, shape = points.mean(axis=1), MEAN_SHAPE - MEAN_SHAPE.mean(axis=0)
    spread = np.square(points - middle[:, None]).sum(axis=(1, 2))
    side = np.sqrt(spread / np.square(shape).sum())[:, None]
    low = middle - side * MEAN_SHAPE.mean(axis=0)
    return _of_corners(low, low + side)


def overlap(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Return intersection over union of all pairs, (F, G), for boxes (F, 4) and (G, 4)."""
    low = np.maximum(boxes[:, None, 0::2], others[None, :, 0::2])
    high = np.minimum(boxes[:, None, 1::2], others[None, :, 1::2])
    both = (high - low).clip(min=0).prod(axis=2)
    areas = [(b[:, 1::2] - b[:, 0::2]).prod(axis=1) for b in (boxes, others)]
    either = np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-12)
    return np.asarray(both / either, np.float64)


def is_inside(boxes: Boxes, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Whether boxes (F, 4) have their middle in an image and a usable size, 2 px to ``LARGEST``."""
    middle = (boxes[:, 0::2] + boxes[:, 1::2]) / 2
    within = ((middle >= 0) & (middle <= [width - 1, height - 1])).all(axis=1)
    sides = boxes[:, 1::2] - boxes[:, 0::2]
    fit = ((sides >= 2) & (sides <= LARGEST * max(height, width))).all(axis=1)
    return np.asarray(within & fit, np.bool_)


def check_boxes(boxes: npt.ArrayLike, height: int, width: int) -> Boxes:
    """Return boxes of an image, left, right, top, bottom, px, or one box (4,), as float64 (F, 4).

    Raises:
        UserError: If a box is empty, not finite, far larger than the image, or its middle lies
            outside.
        ValueError: If the shape is wrong.
    """
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes must have shape (F, 4) or (4,), got {array.shape}")
    for left, right, top, bottom in array:
        got = f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}"
        if not (right - left >= 2 and bottom - top >= 2 and np.isfinite([right, bottom]).all()):
            raise UserError(f"wanted a box of 2 px or more, left < right, top < bottom; got {got}")
        if max(right - left, bottom - top) > (most := LARGEST * max(height, width)):
            raise UserError(
                f"wanted a box of {most} px or less, {LARGEST} times its image; got {got}"
            )
        if not is_inside(np.array([[left, right, top, bottom]]), height, width).all():
            wanted = f"wanted a box with its middle in the {width} x {height} image"
            raise UserError(f"{wanted}, got {got}")
    return array


def _of_corners(low: npt.NDArray[np.floating], high: npt.NDArray[np.floating]) -> Boxes:
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1).astype(np.float64)


Box = tuple[float, float, float, float]
Entries = Iterator[tuple[int, str, object, Sequence[object] | None]]
"""Line, image, frame if any, and left, right, top, bottom as written; None: no face."""
SIZES = ("left", "top", "width", "height")
PATH = r".*\.[A-Za-z]\w{1,4}(?=\s)"
"""A path and its ending, spaces in it or not."""


class BoxFile:
    """A detector that looks up boxes in a file, read once.

    Boxes belong to the photo turned as its EXIF orientation says. An image is found by its path
    relative to the input, or else by the end of the path, if only one image of the file ends so. A
    box of a video holds for all its frames, unless it names one.

    Args:
        path: Of the file. ``.json``: ``{"a.jpg": [[left, right, top, bottom], ...]}``, a box a
            face, or a file of facegeo-predict. ``.csv``: a header with ``file`` and
            ``left,right,top,bottom`` or ``left,top,width,height``, and perhaps ``frame``, among
            its columns, such as ``points.csv`` of facegeo-predict, and a line a face; without a
            header ``file,left,top,width,height``.
            Others: ``path left right top bottom``, and points that are not used, as in the lists
            of Sun et al.

    Raises:
        UserError: If the file cannot be read, or lines are damaged; all are listed.
    """

    def __init__(self, path: str) -> None:
        file = Path(path).expanduser()
        try:
            content = file.read_bytes().strip()
        except OSError as error:
            got = error.strerror or error
            raise UserError(f"detector.path={path}: wanted a file of boxes, got {got}") from error
        if not content:
            raise UserError(f"detector.path={path}: wanted a box a face, got an empty file")
        self._boxes = _read(file)
        self._by_last = dict[str, list[str]]()
        for key in self._boxes:
            self._by_last.setdefault(_last(key), []).append(key)

    def __call__(self, image: Image, name: str = "", frame: int | None = None) -> Boxes:
        """Return the boxes of an image, or of one frame; none if the file does not name it.

        Raises:
            UserError: If the middle of a box lies outside the image.
        """
        key = _key(name)
        if key not in self._boxes:
            alike = self._by_last.get(_last(key), ())
            ends = [k for k in alike if k.endswith(f"/{key}") or key.endswith(f"/{k}")]
            key = ends[0] if len(ends) == 1 else key
        own = self._boxes.get(key, {})
        boxes = own.get(None, []) + (own.get(frame, []) if frame is not None else [])
        return check_boxes(np.array(boxes), *image.shape[:2])


def _read(file: Path) -> dict[str, dict[int | None, list[Box]]]:
    """Boxes by image and frame."""
    reader = {".json": _json, ".csv": _csv}.get(file.suffix.lower(), _list)
    boxes = dict[str, dict[int | None, list[Box]]]()
    faults = []
    for line, image, frame, edges in reader(file):
        try:
            if not image:
                raise WantedError("the name of an image", "none")
            of_image = boxes.setdefault(_key(image), {})
            if edges is not None:
                of_image.setdefault(_frame(frame), []).append(_box(edges))
        except WantedError as error:
            faults.append(Fault(file.name, line, image, error.wanted, error.got))
    if faults:
        raise FaultsError(faults, f"correct {file}")
    return boxes


def _list(file: Path) -> Entries:
    """Lines of Sun et al.: path, box, and any points; a path may hold spaces."""
    for number, line in numbered_lines(file):
        path = re.match(PATH, line)
        image = path[0].strip() if path else line.split(maxsplit=1)[0]
        rest = line.removeprefix(image).split()
        yield number, image, None, rest[: len(BOX_FIELDS)]


def _csv(file: Path) -> Entries:
    columns: Sequence[str] = ("file", *SIZES)
    for number, fields in numbered_rows(file):
        if number == 1 and not any(map(is_number, fields)):
            columns = [field.lower() for field in fields]
            if not any({"file", *way} <= {*columns} for way in (BOX_FIELDS, SIZES)):
                raise UserError(
                    f"{file.name} line 1: wanted a header with file and left,right,top,bottom or "
                    f"left,top,width,height, got {','.join(fields)!r}"
                )
            continue
        row = dict(zip(columns, fields, strict=False))
        yield number, row.get("file", ""), row.get("frame"), _edges(row)


def _edges(row: dict[str, str]) -> list[object]:
    """Left, right, top, bottom of a line in either form."""
    if "right" in row or not set(SIZES) <= row.keys():
        return [row[field] for field in BOX_FIELDS if field in row]
    left, top, width, height = (row[field] for field in SIZES)
    if not all(map(is_number, (left, top, width, height))):
        return [left, width, top, height]
    return [left, float(left) + float(width), top, float(top) + float(height)]


def _json(file: Path) -> Entries:
    text, name = file.read_text(encoding="utf-8-sig", errors="surrogateescape"), file.name
    try:
        images = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name} line {error.lineno}: wanted JSON, got something else ({error.msg})"
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


def _of_ours(record: Mapping[str, Any]) -> Entries:
    """Boxes of a photo's or a video's JSON as facegeo-predict writes it."""
    try:
        yield 1, record["file"], None, None
        for frame in record.get("frames", [record]):
            for face in frame["faces"]:
                yield 1, record["file"], frame.get("frame"), face["box"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"wanted the JSON of facegeo-predict, got another ({error!r})") from error


def _frame(value: object) -> int | None:
    if value in (None, ""):
        return None
    if not str(value).isdecimal():
        raise WantedError("the number of a frame, or nothing", repr(value))
    return int(str(value))


def _box(edges: Sequence[object]) -> Box:
    if len(edges) != len(BOX_FIELDS):
        raise WantedError("left, right, top, bottom", f"{len(edges)} numbers")
    for value in edges:
        if not is_number(str(value)):
            raise WantedError("finite numbers", repr(value))
    left, right, top, bottom = (float(str(value)) for value in edges)
    if right - left < 2 or bottom - top < 2:
        got = f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}"
        raise WantedError("a box of 2 px or more, left < right, top < bottom", got)
    return left, right, top, bottom


def _key(image: str) -> str:
    return shown(image).replace("\\", "/").removeprefix("./")


def _last(key: str) -> str:
    return key.rpartition("/")[2]
