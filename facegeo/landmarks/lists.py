r"""Reader of the face lists of Sun, Wang and Tang (CVPR 2013).

A line is ``path left right top bottom x1 y1 .. x5 y5``: pixels, 0-based, separated by spaces. The
path is relative to the folder of the list and may use ``\`` or ``/`` and hold spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facegeo.errors import UserError
from facegeo.files.lists import (
    Fault,
    FaultsError,
    OnError,
    WantedError,
    check_file,
    is_number,
    numbered_lines,
    relative_path,
)

BOX_FIELDS = ("left", "right", "top", "bottom")
POINT_FIELDS = tuple(f"{axis}{number}" for number in range(1, 6) for axis in "xy")
NUMBERS = BOX_FIELDS + POINT_FIELDS
FIELDS = 1 + len(NUMBERS)
LAYOUT = f"{FIELDS} fields (path, box, 5 points)"
POINT_SLACK = 0.5
"""Largest accepted distance of a point outside its box, in box sides."""


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
        """Return the faces ``rows`` in that order, with the same ``skipped``."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            names=tuple(self.names[row] for row in index),
            boxes=self.boxes[index],
            points=self.points[index],
            lines=tuple(self.lines[row] for row in index),
        )

    def settle(self, on_error: OnError) -> "LandmarkList":
        """Return self, or raise the faults found if ``on_error`` is ``"raise"`` or no face is left.

        Raises:
            UserError: If ``skipped`` is not empty and ``on_error`` is ``"raise"``, or if no face is
                left.
        """
        remedy = f"fix the list or the images in {self.root}"
        if self.skipped and (on_error == "raise" or not self.names):
            skip = ", or set data.on_error=skip to leave these faces out"
            raise FaultsError(self.skipped, remedy + (skip if self.names else ""))
        if not self.names:
            raise UserError(
                f"{self.root / self.list_name}: wanted one face a line "
                f"(path, 4 box numbers, 10 point numbers), got an empty list; "
                "set data.root to the folder with the original lists"
            )
        return self


def read_list(root: Path, list_name: str, on_error: OnError = "raise") -> LandmarkList:
    """Read a list and check every line and that its image exists; images are not decoded.

    Args:
        root: Folder of the list and the images.
        list_name: File name of the list, relative to ``root``.
        on_error: ``"raise"`` reports all faulty lines in one error; ``"skip"`` leaves them out and
            keeps them in ``skipped``.

    Returns:
        The faces.

    Raises:
        UserError: If the list cannot be read, holds no face, or, with ``"raise"``, has faults.
    """
    root = Path(root)
    try:
        lines = list(numbered_lines(root / list_name))
    except OSError as error:
        raise UserError(
            f"{root / list_name}: wanted a list of faces, got {error.strerror or error}; "
            "set data.root to the folder that holds the original lists beside their images"
        ) from error
    resolved = root.resolve()
    line_of: dict[str, int] = {}
    numbers: list[list[float]] = []
    faults: list[Fault] = []
    for number, line in lines:
        fields = line.rsplit(maxsplit=len(NUMBERS))  # from the right: a path may hold spaces
        try:
            name, values = _face(root, resolved, fields)
            if name in line_of:
                raise WantedError("each image once", f"the image of line {line_of[name]} again")
        except WantedError as error:
            faults.append(Fault(list_name, number, fields[0], error.wanted, error.got))
        else:
            line_of[name] = number
            numbers.append(values)
    table = np.array(numbers, dtype=np.float64).reshape(-1, len(NUMBERS))
    return LandmarkList(
        root=root,
        list_name=list_name,
        names=tuple(line_of),
        boxes=table[:, :4],
        points=table[:, 4:].reshape(-1, 5, 2),
        lines=tuple(line_of.values()),
        skipped=tuple(faults),
    ).settle(on_error)


def _face(root: Path, resolved: Path, fields: Sequence[str]) -> tuple[str, list[float]]:
    """Name and 14 numbers of a line; ``resolved`` is the folder without links."""
    if len(fields) != FIELDS:
        raise WantedError(LAYOUT, f"{len(fields)}")
    name = relative_path(fields[0])
    try:
        check_file(root, resolved, name, "an image")
    except WantedError as error:
        if is_number(name.rpartition(" ")[2]):  # the path swallowed a number
            raise WantedError(LAYOUT, f"{FIELDS + 1} or more") from error
        raise
    for key, text in zip(NUMBERS, fields[1:], strict=True):
        if not is_number(text):
            raise WantedError(f"a finite number for {key}", repr(text))
    values = [float(text) for text in fields[1:]]
    _check_box(values)
    return name, values


def _check_box(values: Sequence[float]) -> None:
    left, right, top, bottom = values[:4]
    if right <= left or bottom <= top:
        raise WantedError(
            "a box with left < right and top < bottom",
            f"left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g}",
        )
    slack_x, slack_y = POINT_SLACK * (right - left), POINT_SLACK * (bottom - top)
    for number in range(5):
        x, y = values[4 + 2 * number : 6 + 2 * number]
        if not (left - slack_x <= x <= right + slack_x and top - slack_y <= y <= bottom + slack_y):
            raise WantedError(
                f"point {number + 1} at most {POINT_SLACK:g} box sides outside the box "
                f"(left {left:g}, right {right:g}, top {top:g}, bottom {bottom:g})",
                f"({x:g}, {y:g})",
            )
