r"""Reader of the face lists of data sets with normals, in Photoface's layout.

A list is a csv whose header names a column ``face``: path of a face image, relative to the
folder of the list, ``<subject>/<session>/<image>``, with ``\`` or ``/``. Its normal map and mask
are, in this order: those that columns ``normal`` and ``mask`` name; for ``im1_crop.jpg``, the
files ``im1_sn.npy`` and ``im1_mask.png`` beside it; else ``sn_c.png`` and ``mask_c.png`` beside
it, one of each a session.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath

from facegeo.data.faults import Fault

FACE, NORMAL, MASK = "face", "normal", "mask"
SESSION_NORMAL, SESSION_MASK = "sn_c.png", "mask_c.png"
CROPPED = "_crop"
LAYOUT = "a path <subject>/<session>/<image>"


@dataclass(frozen=True)
class NormalRecord:
    """One face image of a list.

    Attributes:
        list_name: File name of the list.
        line: Line number in the list, from 1.
        face: Path of the image relative to the folder of the list, with ``/``.
        normal: Path of its normal map.
        mask: Path of its mask.
    """

    list_name: str
    line: int
    face: str
    normal: str
    mask: str

    @property
    def subject(self) -> str:
        """Who is seen: the first part of the path."""
        return self.face.split("/")[0]

    @property
    def session(self) -> str:
        """When: the first two parts of the path, so that no two subjects share a session."""
        return "/".join(self.face.split("/")[:2])

    def fault(self, file: str, wanted: str, got: str) -> Fault:
        """Fault of ``file``, one of the three, named by the line of this record."""
        return Fault(self.list_name, self.line, file, wanted, got)


class _FieldError(ValueError):
    """A field that can not be used: what it says, what was wanted and what came."""

    def __init__(self, text: str, wanted: str, got: str) -> None:
        super().__init__(text, wanted, got)
        self.text, self.wanted, self.got = text, wanted, got


def read_normal_lists(
    root: Path, list_names: Sequence[str]
) -> tuple[list[NormalRecord], list[Fault]]:
    """Read lists and check every line and that its files are there; nothing is decoded.

    Args:
        root: Folder of the lists and of the files that they name.
        list_names: File names of the lists.

    Returns:
        The records without fault, list by list in the order of the lines, and the faults of the
        other lines. An unreadable list or one without faces has a fault at line 1.
    """
    records: list[NormalRecord] = []
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    check = cache(partial(_check_file, root, root.resolve()))  # four faces share a map and mask
    for name in list_names:
        try:
            rows = list(_rows(root / name))
        except _FieldError as error:
            faults.append(Fault(name, 1, error.text, error.wanted, error.got))
            continue
        for line, row in rows:
            try:
                record = _record(check, name, line, row)
                first = seen.setdefault(record.face, f"{name} line {line}")
                if first != f"{name} line {line}":
                    raise _FieldError(record.face, "each image once", f"that of {first} again")
            except _FieldError as error:
                faults.append(Fault(name, line, error.text, error.wanted, error.got))
            else:
                records.append(record)
    return records, faults


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and fields by column of every line that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        wanted = f"a csv of face images in {path.parent}"
        raise _FieldError("", wanted, error.strerror or str(error)) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    if FACE not in header:
        got = f"{','.join(header)!r:.80}" if header else "an empty file"
        raise _FieldError("", f"a header with a column {FACE}", got)
    empty = True
    for fields in reader:
        if any(field.strip() for field in fields):
            empty = False
            yield reader.line_num, dict(zip(header, (f.strip() for f in fields), strict=False))
    if empty:
        raise _FieldError("", "a face image a line", "a header alone")


def _record(
    check: Callable[[str, str], None], list_name: str, line: int, row: dict[str, str]
) -> NormalRecord:
    face = _relative(row.get(FACE, ""))
    if len(PurePosixPath(face).parts) < 3:
        raise _FieldError(face, LAYOUT, f"{len(PurePosixPath(face).parts)} of 3 parts")
    normal, mask = companions(face)
    normal = _relative(row[NORMAL]) if row.get(NORMAL) else normal
    mask = _relative(row[MASK]) if row.get(MASK) else mask
    for kind, name in (("a face image", face), ("a normal map", normal), ("a mask", mask)):
        check(name, kind)
    return NormalRecord(list_name, line, face, normal, mask)


def companions(face: str) -> tuple[str, str]:
    """Paths of the normal map and the mask of a face image that no column names.

    >>> companions("1001/s1/im0_c.png")
    ('1001/s1/sn_c.png', '1001/s1/mask_c.png')
    >>> companions("1001/s1/im2_crop.jpg")
    ('1001/s1/im2_sn.npy', '1001/s1/im2_mask.png')
    """
    path = PurePosixPath(face)
    if path.stem.endswith(CROPPED):
        stem = path.stem.removesuffix(CROPPED)
        return str(path.with_name(f"{stem}_sn.npy")), str(path.with_name(f"{stem}_mask.png"))
    return str(path.with_name(SESSION_NORMAL)), str(path.with_name(SESSION_MASK))


def _relative(text: str) -> str:
    """Path with ``/``, refused if it can leave the folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    if not path.parts:
        raise _FieldError("", LAYOUT, "an empty field")
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", text):
        raise _FieldError(text, "a path inside the folder of the list", repr(text))
    return str(path)


def _check_file(root: Path, folder: Path, name: str, kind: str) -> None:
    """Raise unless the file is there, inside ``folder``: ``root`` without links."""
    path = root / name
    try:
        size = path.stat().st_size
        target = path.resolve()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _FieldError(name, f"{kind} in {root}", reason) from error
    if not target.is_relative_to(folder):
        raise _FieldError(name, f"{kind} inside {root}", f"a link to {target}")
    if not path.is_file():
        raise _FieldError(name, kind, "no regular file")
    if size == 0:
        raise _FieldError(name, kind, "an empty file (0 bytes)")
