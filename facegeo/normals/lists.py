r"""Lists of faces with normals, and how they are split.

A list is a csv whose header names a column ``face``: path of a face image, relative to the
folder of the list, ``<subject>/<session>/<image>``, with ``\`` or ``/``. Its normal map and mask
are, in this order: those that columns ``normal`` and ``mask`` name; for ``im1_crop.jpg``, the
files ``im1_sn.npy`` and ``im1_mask.png`` beside it; else ``sn_c.png`` and ``mask_c.png`` beside
it, one of each a session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from facegeo.errors import UserError
from facegeo.files.lists import Fault, WantedError, check_file, numbered_rows, relative_path
from facegeo.training.stream import Rows, content_digest, validation_split

FACE, NORMAL, MASK = "face", "normal", "mask"
SESSION_NORMAL, SESSION_MASK = "sn_c.png", "mask_c.png"
CROPPED = "_crop"


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

    def fault(self, error: WantedError) -> Fault:
        """Fault of one of the three files, named by the line of this record."""
        return Fault(self.list_name, self.line, error.file or self.face, error.wanted, error.got)


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
    check = cache(partial(check_file, root, root.resolve()))  # four faces share a map and mask
    for name in list_names:
        try:
            rows = _rows(root / name)
        except WantedError as error:
            faults.append(Fault(name, 1, "", error.wanted, error.got))
            continue
        for line, row in rows:
            place = f"{name} line {line}"
            try:
                record = _record(check, name, line, row)
                first = seen.setdefault(record.face, place)
                if first != place:
                    raise WantedError("each image once", f"that of {first} again", record.face)
            except WantedError as error:
                faults.append(Fault(name, line, error.file, error.wanted, error.got))
            else:
                records.append(record)
    return records, faults


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and fields by column of every row below the header."""
    try:
        rows = list(numbered_rows(path))
    except OSError as error:
        wanted = f"a csv of face images in {path.parent}"
        raise WantedError(wanted, error.strerror or str(error)) from error
    header = rows[0][1] if rows else []
    if FACE not in header:
        got = f"{','.join(header)!r:.80}" if header else "an empty file"
        raise WantedError(f"a header with a column {FACE}", got)
    if len(rows) == 1:
        raise WantedError("a face image a line", "only a header")
    return [(line, dict(zip(header, fields, strict=False))) for line, fields in rows[1:]]


def _record(
    check: Callable[[str, str], None], list_name: str, line: int, row: dict[str, str]
) -> NormalRecord:
    text = row.get(FACE, "")
    try:
        face = relative_path(text)
        if (parts := len(PurePosixPath(face).parts)) < 3:
            got = f"{parts} of 3 parts" if parts else "an empty field"
            raise WantedError("a path <subject>/<session>/<image>", got)
        normal, mask = companions(face)
        text = row.get(NORMAL) or normal
        normal = relative_path(text)
        text = row.get(MASK) or mask
        mask = relative_path(text)
        for kind, text in (("a face image", face), ("a normal map", normal), ("a mask", mask)):
            check(text, kind)
    except WantedError as error:
        raise WantedError(error.wanted, error.got, text) from error
    return NormalRecord(list_name, line, face, normal, mask)


def companions(face: str) -> tuple[str, str]:
    """Paths of the normal map and the mask of a face image that no column names.

    >>> companions("1001/s1/im0_c.png")
    ('1001/s1/sn_c.png', '1001/s1/mask_c.png')
    >>> companions("1001/s1/im2_crop.jpg")
    ('1001/s1/im2_sn.npy', '1001/s1/im2_mask.png')
    """
    path = PurePosixPath(face)
    names = SESSION_NORMAL, SESSION_MASK
    if path.stem.endswith(CROPPED):
        stem = path.stem.removesuffix(CROPPED)
        names = f"{stem}_sn.npy", f"{stem}_mask.png"
    return str(path.with_name(names[0])), str(path.with_name(names[1]))


SplitBy = Literal["subject", "session", "image"]
Fraction = Annotated[float, Field(ge=0, lt=1)]


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
        test_list: List of the test faces; None draws them.
    """

    by: SplitBy = "subject"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0
    test_list: str | None = None

    def rows(self, records: Sequence[NormalRecord]) -> dict[str, Rows]:
        """Rows of the "train", "val" and "test" faces, each ascending.

        Raises:
            UserError: If a fraction leaves one side empty.
        """
        groups = [f"{self.by} {self._group(record)}" for record in records]
        if self.test_list is None:
            rest, test = self._draw("test_fraction", groups, np.arange(len(groups)))
        else:
            is_test = np.array([record.list_name == self.test_list for record in records], np.bool_)
            rest, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        train, val = self._draw("val_fraction", groups, rest)
        return {"train": train, "val": val, "test": test}

    def overlap(self, records: Sequence[NormalRecord]) -> list[Fault]:
        """Faults of a test list that names subjects (or sessions) of another list, one for each."""
        first: dict[str, NormalRecord] = {}
        for record in records:
            if record.list_name != self.test_list:
                first.setdefault(self._group(record), record)
        faults: dict[str, Fault] = {}
        for record in records:
            name = self._group(record)
            if record.list_name == self.test_list and name in first:
                wanted = f"no {self.by} of {first[name].list_name} (data.split_by={self.by})"
                got = f"{self.by} {name} of its line {first[name].line}"
                faults.setdefault(name, record.fault(WantedError(wanted, got)))
        return list(faults.values())

    def kind(self) -> str:
        """Say in a few words how faces are split; printed with every result."""
        listed = f", test faces of {self.test_list}" if self.test_list else ""
        return f"split by {self.by}, seed {self.seed}{listed}"

    def describe(
        self,
        records: Sequence[NormalRecord],
        digests: Sequence[str],
        rows: Mapping[str, Rows],
    ) -> dict[str, Any]:
        """Say all of a split, for its file: settings, content, validation and test faces by name.

        Args:
            records: All faces.
            digests: SHA-256 of each image.
            rows: Rows of each part.
        """
        named = {part: sorted(records[row].face for row in rows[part]) for part in ("val", "test")}
        return {
            "split_by": self.by,
            "seed": self.seed,
            "val_fraction": self.val_fraction,
            "test_fraction": self.test_fraction,
            "images": len(records),
            "content": content_digest([record.face for record in records], digests),
            **named,
        }

    def _group(self, record: NormalRecord) -> str:
        """Name shared by the images that stay together."""
        return str(getattr(record, "face" if self.by == "image" else self.by))

    def _draw(self, name: str, groups: Sequence[str], rows: Rows) -> tuple[Rows, Rows]:
        if not len(rows):
            return rows, rows
        keys, fraction = [groups[row] for row in rows], getattr(self, name)
        if fraction > 0 and len(set(keys)) < 2:
            raise UserError(
                f"data.{name}={fraction} with data.split_by={self.by} wanted two {self.by}s or "
                f"more to choose from, got only {keys[0]}; the subject is "
                "the first folder below data.root: set data.root, data.split_by or the fraction"
            )
        rest, chosen = validation_split(keys, fraction, self.seed, name)
        return rows[rest], rows[chosen]
