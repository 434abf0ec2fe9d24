"""Text lists that name files: lines, fields, numbers and paths, each checked where it is read."""

import codecs
import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facegeo.files.faults import WantedError

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
