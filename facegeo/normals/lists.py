r"""Lists of faces with normals, and how they are split.

A list is a csv whose header names a column ``face``: path of a face image, relative to the
folder of the list, ``<subject>/<session>/<image>``, with ``\`` or ``/``. Its normal map and mask
are, in this order: those that columns ``normal`` and ``mask`` name; for ``im1_crop.jpg``, the
files ``im1_sn.npy`` and ``im1_mask.png`` beside it; else ``sn_c.png`` and ``mask_c.png`` beside
it, one of each a session.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from facegeo.errors import UserError
from facegeo.files.faults import Fault
from facegeo.training.stream import Rows, validation_split

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
    """A field that cannot be used: its text, what was wanted and what came."""

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
        raise _FieldError("", "a face image a line", "only a header")


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


SplitBy = Literal["subject", "session", "image"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
KEYS: Mapping[str, Callable[[NormalRecord], str]] = {
    "subject": lambda record: record.subject,
    "session": lambda record: record.session,
    "image": lambda record: record.face,
}


@dataclass(frozen=True)
class SessionSplit:
    """How faces are split.

    The four photographs of a session share one normal map, so a split by image tests on maps
    that were trained on: for comparison with figures that were made so, as the paper's may be.

    Attributes:
        by: Which images stay together: those of a subject, of a session, or none.
        val_fraction: Share of the faces that are not for testing to hold out for every choice.
        test_fraction: Share of all faces to test on, where no list says which.
        seed: Another seed gives another split.
    """

    by: SplitBy = "subject"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0

    def rows(self, records: Sequence[NormalRecord], test_list: str | None) -> dict[str, Rows]:
        """Rows of the "train", "val" and "test" faces, each ascending.

        Args:
            records: All faces.
            test_list: List of the test faces; None draws them.

        Raises:
            UserError: If a fraction leaves one side empty.
        """
        groups = [f"{self.by} {KEYS[self.by](record)}" for record in records]
        if test_list is None:
            rest, test = self._draw("test_fraction", groups, np.arange(len(groups)))
        else:
            is_test = np.array([record.list_name == test_list for record in records], np.bool_)
            rest, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        train, val = self._draw("val_fraction", groups, rest)
        return {"train": train, "val": val, "test": test}

    def overlap(self, records: Sequence[NormalRecord], test_list: str | None) -> list[Fault]:
        """Faults of a test list that names subjects (or sessions) of another list, one for each."""
        key = KEYS[self.by]
        first: dict[str, NormalRecord] = {}
        for record in records:
            if record.list_name != test_list:
                first.setdefault(key(record), record)
        shared: dict[str, NormalRecord] = {}
        for record in records:
            if record.list_name == test_list and key(record) in first:
                shared.setdefault(key(record), record)
        return [
            record.fault(
                record.face,
                f"no {self.by} of {first[name].list_name} (data.split_by={self.by})",
                f"{self.by} {name} of its line {first[name].line}",
            )
            for name, record in shared.items()
        ]

    def kind(self, test_list: str | None) -> str:
        """Say in a few words how faces were split; printed with every result."""
        apart = f", test faces of {test_list}" if test_list else ""
        return f"split by {self.by}, seed {self.seed}{apart}"

    def _draw(self, name: str, groups: Sequence[str], rows: Rows) -> tuple[Rows, Rows]:
        if not len(rows):
            return rows, rows
        keys, fraction = [groups[row] for row in rows], getattr(self, name)
        if fraction > 0 and len(set(keys)) < 2:
            raise UserError(
                f"data.{name}={fraction} with data.split_by={self.by} wanted two {self.by}s or "
                f"more to choose from, got only {keys[0] if keys else 'none'}; the subject is "
                "the first folder below data.root: set data.root, data.split_by or the fraction"
            )
        rest, chosen = validation_split(keys, fraction, self.seed, name)
        return rows[rest], rows[chosen]


def describe_split(
    split: SessionSplit,
    records: Sequence[NormalRecord],
    digests: Sequence[str],
    rows: Mapping[str, Rows],
) -> dict[str, Any]:
    """Say all of a split, for its file: settings, content, validation and test faces by name.

    Args:
        split: The settings.
        records: All faces.
        digests: SHA-256 of each image.
        rows: Rows of each part.
    """
    pairs = sorted(f"{d} {record.face}" for d, record in zip(digests, records, strict=True))
    content = hashlib.sha256("\n".join(pairs).encode("utf-8", "surrogateescape")).hexdigest()
    named = {part: sorted(records[row].face for row in rows[part]) for part in ("val", "test")}
    return {
        "split_by": split.by,
        "seed": split.seed,
        "val_fraction": split.val_fraction,
        "test_fraction": split.test_fraction,
        "images": len(records),
        "content": content,
        **named,
    }


def split_digest(description: Mapping[str, Any]) -> str:
    """Sixteen hex digits that change with any face of any part."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]


def keep_description(path: Path, description: Mapping[str, Any]) -> None:
    """Write a split as JSON, or check that the one saved there is the same.

    Raises:
        UserError: If the file cannot be read or is of another split; the first difference is
            named.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)
        return
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _mismatch(path, "a saved split (JSON)", str(error)) from error
    for key, wanted in description.items():
        got = saved.get(key) if isinstance(saved, dict) else saved
        if got != wanted:
            raise _mismatch(path, f"{key} {wanted!r:.80}", f"{got!r:.80}")


def _mismatch(path: Path, wanted: str, got: str) -> UserError:
    return UserError(
        f"{path}: the saved split is of other data or settings: wanted {wanted}, got {got}; "
        "choose another name= for this run, or return to the data it was made for"
    )
