r"""Reader of the face lists of Sun, Wang and Tang (CVPR 2013).

A line is ``path left right top bottom x1 y1 .. x5 y5``: pixels, 0-based, separated by spaces. The
path is relative to the folder of the list and may use ``\`` or ``/`` and hold spaces.
"""

import codecs
import math
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.files.faults import Fault, FaultsError, OnError

BOX_FIELDS = ("left", "right", "top", "bottom")
POINT_FIELDS = tuple(f"{axis}{number}" for number in range(1, 6) for axis in "xy")
NUMBERS = BOX_FIELDS + POINT_FIELDS
FIELDS = 1 + len(NUMBERS)
LAYOUT = f"{FIELDS} fields (path, box, 5 points)"
POINT_SLACK = 0.5
"""How far a point may lie outside its box, in box sides."""


@dataclass(frozen=True, eq=False)
class LandmarkList:
    """The faces of one list, in the order of the list.

    Attributes:
        root: Folder of the list and the images.
        list_name: File name of the list.
        names: Image paths relative to ``root``, with ``/``.
        boxes: Face boxes left, right, top, bottom in pixels, float64, shape (N, 4).
        points: Points (x, y) in pixels, float64, shape (N, 5, 2): left eye, right eye, nose tip,
            left and right mouth corner, left as seen in the image.
        lines: Line number of each face in the list, from 1.
        skipped: Faults of the lines that were left out.
    """

    root: Path
    list_name: str
    names: tuple[str, ...]
    boxes: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]
    lines: tuple[int, ...]
    skipped: tuple[Fault, ...] = ()

    def __len__(self) -> int:
        """Number of faces N."""
        return len(self.names)

    def path(self, row: int) -> Path:
        """Path of the image of face ``row``."""
        return self.root / self.names[row]

    def fault(self, row: int, wanted: str, got: str) -> Fault:
        """Fault of face ``row``, named by its line and image."""
        return Fault(self.list_name, self.lines[row], self.names[row], wanted, got)

    def select(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> "LandmarkList":
        """Return the faces ``rows`` in that order; ``skipped`` stays."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            names=tuple(self.names[row] for row in index),
            boxes=self.boxes[index],
            points=self.points[index],
            lines=tuple(self.lines[row] for row in index),
        )

    def settle(self, on_error: OnError) -> "LandmarkList":
        """Return self, or stop if faults were found and ``on_error`` asks for it.

        Raises:
            UserError: If ``skipped`` is not empty and ``on_error`` is ``"raise"``, or if no face is
                left.
        """
        remedy = f"mend the list or the images in {self.root}"
        if self.skipped and (on_error == "raise" or not self.names):
            skip = ", or set data.on_error=skip to go on without these faces"
            raise FaultsError(self.skipped, remedy + (skip if self.names else ""))
        if not self.names:
            raise UserError(
                f"{self.root / self.list_name}: wanted one face a line "
                f"(path, 4 box numbers, 10 point numbers), got an empty list; "
                "set data.root to the folder with the original lists"
            )
        return self


class _LineError(ValueError):
    """A line that can not be used: what was wanted and what came."""

    def __init__(self, wanted: str, got: str, image: str = "") -> None:
        super().__init__(wanted, got)
        self.wanted, self.got, self.image = wanted, got, image


def read_list(root: Path, list_name: str, on_error: OnError = "raise") -> LandmarkList:
    """Read a list and check every line and that its image is there; images are not decoded.

    Args:
        root: Folder of the list and the images.
        list_name: File name of the list, relative to ``root``.
        on_error: ``"raise"`` reports all faulty lines in one error; ``"skip"`` leaves them out and
            keeps them in ``skipped``.

    Returns:
        The faces.

    Raises:
        UserError: If the list can not be read, holds no face, or, with ``"raise"``, has faults.
    """
    root = Path(root)
    parser = _Parser(root)
    names: list[str] = []
    numbers: list[list[float]] = []
    lines: list[int] = []
    faults: list[Fault] = []
    for number, line in _lines(root / list_name):
        try:
            name, values = parser.face(line, number)
        except _LineError as error:
            faults.append(Fault(list_name, number, error.image, error.wanted, error.got))
        else:
            names.append(name)
            numbers.append(values)
            lines.append(number)
    table = np.array(numbers, dtype=np.float64).reshape(-1, len(NUMBERS))
    return LandmarkList(
        root=root,
        list_name=list_name,
        names=tuple(names),
        boxes=table[:, :4],
        points=table[:, 4:].reshape(-1, 5, 2),
        lines=tuple(lines),
        skipped=tuple(faults),
    ).settle(on_error)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: wanted a list of faces, got {error.strerror or error}; "
            "set data.root to the folder that holds the original lists beside their images"
        ) from error
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding, errors = ("utf-16", "replace") if utf16 else ("utf-8-sig", "surrogateescape")
    for number, line in enumerate(data.decode(encoding, errors).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


class _Parser:
    """Reads lines one by one and remembers which images it has seen."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root.resolve()
        self.seen: dict[str, int] = {}

    def face(self, line: str, number: int) -> tuple[str, list[float]]:
        """Name and 14 numbers of one line, all checked."""
        fields = line.rsplit(maxsplit=len(NUMBERS))  # from the right: a path may hold spaces
        if len(fields) != FIELDS:
            raise _LineError(LAYOUT, f"{len(fields)}", image=fields[0])
        image = fields[0]
        try:
            name = _relative(image)
            self._check_file(name)
            values = [_number(key, text) for key, text in zip(NUMBERS, fields[1:], strict=True)]
            _check_box(values)
            self._check_new(name, number)
        except _LineError as error:
            error.image = image
            raise
        return name, values

    def _check_new(self, name: str, number: int) -> None:
        first = self.seen.setdefault(name, number)
        if first != number:
            raise _LineError("each image once", f"the image of line {first} again")

    def _check_file(self, name: str) -> None:
        path = self.root / name
        try:
            status = path.stat()
            inside = path.resolve().is_relative_to(self.folder)
        except (OSError, ValueError) as error:
            if _is_number(name.rpartition(" ")[2]):  # the path swallowed a number
                raise _LineError(LAYOUT, f"{FIELDS + 1} or more") from error
            reason = getattr(error, "strerror", None) or error
            raise _LineError(f"an image in {self.root}", f"{reason}") from error
        if not inside:
            raise _LineError(f"an image inside {self.root}", f"a link to {path.resolve()}")
        if not stat.S_ISREG(status.st_mode):
            raise _LineError("an image file", "a folder" if path.is_dir() else "no regular file")
        if status.st_size == 0:
            raise _LineError("an image file", "an empty file (0 bytes)")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text, re.ASCII) is not None


def _number(key: str, text: str) -> float:
    if not _is_number(text) or not math.isfinite(float(text)):
        raise _LineError(f"a finite number for {key}", repr(text))
    return float(text)


def _relative(image: str) -> str:
    """Path with ``/``, refused if it can leave the folder."""
    text = image.replace("\\", "/")
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text):
        raise _LineError("a path inside the folder of the list", repr(image))
    return str(path)


def _check_box(values: Sequence[float]) -> None:
    left, right, top, bottom = values[:4]
    if right <= left or bottom <= top:
        raise _LineError(
            "a box with left < right and top < bottom",
            f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}",
        )
    slack_x, slack_y = POINT_SLACK * (right - left), POINT_SLACK * (bottom - top)
    for number in range(5):
        x, y = values[4 + 2 * number : 6 + 2 * number]
        if not (left - slack_x <= x <= right + slack_x and top - slack_y <= y <= bottom + slack_y):
            raise _LineError(
                f"point {number + 1} at most {POINT_SLACK:g} box sides outside the box "
                f"(left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g})",
                f"({x:g}, {y:g})",
            )
