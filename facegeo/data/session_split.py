"""Training, validation and test faces apart by subject, session or image; saved and hashed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from facegeo.data.faults import Fault
from facegeo.data.normal_list import NormalRecord
from facegeo.data.split import Rows, validation_split
from facegeo.errors import UserError

SplitBy = Literal["subject", "session", "image"]
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
        by: What stays together: all images of a subject, of a session, or nothing.
        val_fraction: Share of the faces that are not for testing to hold out for every choice.
        test_fraction: Share of all faces to test on, where no list says which.
        seed: Another seed gives another split.
    """

    by: SplitBy = "subject"
    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in get_args(SplitBy):
            wanted = ", ".join(get_args(SplitBy))
            raise UserError(f"data.split_by must be one of {wanted}; got {self.by}")
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                got = getattr(self, name)
                raise UserError(f"data.{name} must be at least 0 and below 1, got {got}")

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
        """Say in a few words how faces were split; stands beside every result."""
        apart = f", test faces of {test_list}" if test_list else ""
        return f"split by {self.by}, seed {self.seed}{apart}"

    def _draw(self, name: str, groups: Sequence[str], rows: Rows) -> tuple[Rows, Rows]:
        if not len(rows):
            return rows, rows
        keys, fraction = [groups[row] for row in rows], getattr(self, name)
        if fraction > 0 and len(set(keys)) < 2:
            raise UserError(
                f"data.{name}={fraction} with data.split_by={self.by} wanted two {self.by}s or "
                f"more to choose from, got {keys[0] if keys else 'none'} alone; the subject is "
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
    """Write a split as JSON, or see that the one that stands there is the same.

    Raises:
        UserError: If the file can not be read or is of another split; the first difference is
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
        "choose another name= for this run, or go back to the data it was made for"
    )
