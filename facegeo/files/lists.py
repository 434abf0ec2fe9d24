"""Text lists that name files: fields checked where they are read, faults reported together."""

import codecs
import csv
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from facegeo.errors import UserError

OnError = Literal["raise", "skip"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line of a list, or with the image that it names.

    Attributes:
        list_name: File name of the list.
        line: Line number in the list, from 1.
        image: Image path as written in the list, empty if the line has none.
        wanted: What the line or image should hold.
        got: What it holds.
    """

    list_name: str
    line: int
    image: str
    wanted: str
    got: str

    def __str__(self) -> str:
        """One line: list, line number, image, wanted, got."""
        image = f", {self.image}" if self.image else ""
        text = f"{self.list_name} line {self.line}{image}: wanted {self.wanted}, got {self.got}"
        return text.encode("utf-8", "backslashreplace").decode()  # names need not be UTF-8


class WantedError(ValueError):
    """A file, or a part of one, that cannot be used.

    Attributes:
        wanted: What was wanted.
        got: What came.
        file: Name of the file in its list; empty where the caller knows it.
    """

    def __init__(self, wanted: str, got: str, file: str = "") -> None:
        super().__init__(wanted, got)
        self.wanted, self.got, self.file = wanted, got, file


class FaultsError(UserError):
    """The one error that reports all faults of a data set, each on its line.

    Args:
        faults: At least one; reported list by list, in the order of their lines.
        remedy: What the user can do, one sentence without a full stop.
    """

    def __init__(self, faults: Iterable[Fault], remedy: str) -> None:
        faults = tuple(faults)
        lists = list(dict.fromkeys(fault.list_name for fault in faults))
        ordered = sorted(faults, key=lambda fault: (lists.index(fault.list_name), fault.line))
        self.faults, self.remedy = tuple(ordered), remedy
        count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
        shown = [f"  {fault}" for fault in ordered]
        super().__init__("\n".join([f"{count} in the face data:", *shown, f"{count}: {remedy}."]))


def read_all(readers: Iterable[Callable[[], object]]) -> None:
    """Call all readers, so that the faults of every list are reported together.

    Raises:
        FaultsError: With the faults of all readers, if there are any.
        UserError: As soon as a reader raises another one.
    """
    errors = []
    for reader in readers:
        try:
            reader()
        except FaultsError as error:
            errors.append(error)
    if errors:
        raise FaultsError([fault for error in errors for fault in error.faults], errors[0].remedy)


def log_skipped(list_name: str, kept: int, skipped: Iterable[Fault]) -> None:
    """Count and list the faces that were left out, if any.

    Args:
        list_name: File name of the list.
        kept: Number of faces that are left.
        skipped: Faults of the others.
    """
    faults = sorted(skipped, key=lambda fault: fault.line)
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        total = kept + len(faults)
        log.warning("%s: skipped %d of %d faces:%s", list_name, len(faults), total, lines)


NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of the lines of a list that are not blank.

    The list may be UTF-8 or UTF-16; names of files need not be UTF-8.

    Raises:
        OSError: If it cannot be read.
    """
    data = path.read_bytes()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding, errors = ("utf-16", "replace") if utf16 else ("utf-8-sig", "surrogateescape")
    for number, line in enumerate(data.decode(encoding, errors).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def numbered_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of the rows of a CSV file that are not blank.

    Raises:
        OSError: If it cannot be read.
    """
    for number, line in numbered_lines(path):
        fields = [field.strip() for field in next(csv.reader([line]), [])]
        if any(fields):
            yield number, fields


def is_number(text: str) -> bool:
    """Whether a field is a finite decimal number."""
    return NUMBER.fullmatch(text) is not None and math.isfinite(float(text))


def relative_path(text: str) -> str:
    r"""Path of a list with ``/`` for ``\``.

    Raises:
        WantedError: If it could leave the folder of the list.
    """
    name = text.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise WantedError("a path inside the folder of the list", repr(text))
    return str(path)


def check_file(root: Path, resolved: Path, name: str, kind: str) -> None:
    """Check that a file of a list exists, is not empty and is inside the list's folder.

    Args:
        root: Folder of the list.
        resolved: The same without links.
        name: Path of the file relative to ``root``.
        kind: What it should be, for the message: "an image".

    Raises:
        WantedError: If it is not so.
    """
    path = root / name
    try:
        size, target = path.stat().st_size, path.resolve()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WantedError(f"{kind} in {root}", reason) from error
    if not target.is_relative_to(resolved):
        raise WantedError(f"{kind} inside {root}", f"a link to {target}")
    if not path.is_file():
        raise WantedError(kind, "a folder" if path.is_dir() else "not a regular file")
    if size == 0:
        raise WantedError(kind, "an empty file (0 bytes)")
