"""All faces of a data set with normals: read, checked, decoded and split."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facegeo.data.faults import FaultsError, OnError
from facegeo.data.normal_augment import NormalAugment
from facegeo.data.normal_faces import NormalFaces, develop
from facegeo.data.normal_list import NormalRecord, read_normal_lists
from facegeo.data.normal_store import NormalStore, open_store
from facegeo.data.session_split import SessionSplit, describe_split
from facegeo.data.split import Rows
from facegeo.errors import UserError
from facegeo.geometry.normals import LIKE_A_FACE, bulge

log = logging.getLogger(__name__)
DOUBTED = 8
"""Faces that are looked at for their frame."""


@dataclass(frozen=True)
class Sessions:
    """Faces of one or two lists.

    Attributes:
        records: What the lists say of each face, N.
        store: Their pixels.
        splitting: How they are split.
        rows: Rows of the splits "train", "val" and "test".
    """

    records: Sequence[NormalRecord]
    store: NormalStore
    splitting: SessionSplit
    rows: Mapping[str, Rows]

    def description(self) -> dict[str, Any]:
        """All of the split, for its file."""
        return describe_split(self.splitting, self.records, self.store.digest, self.rows)


def read_sessions(
    root: Path,
    train_list: str | None,
    test_list: str | None,
    cache_dir: Path,
    *,
    size: int,
    splitting: SessionSplit,
    on_error: OnError = "raise",
) -> Sessions:
    """Read lists and files, decoding what the cache lacks.

    Args:
        root: Folder with the lists and the files that they name.
        train_list: Name of the training list; None where faces are only measured.
        test_list: Name of the test list; None draws the test faces from the training list.
        cache_dir: Where decoded pixels are kept.
        size: Side that all pictures are brought to, px.
        splitting: How faces are split.
        on_error: "raise" or "skip" faulty faces; a list that shares subjects with another can
            not be skipped.

    Raises:
        FaultsError: With every fault of all lists.
        UserError: If the cache can not be written or a split has no face.
    """
    listed, faults = read_normal_lists(root, [n for n in (train_list, test_list) if n is not None])
    overlap = splitting.overlap(listed, test_list)
    records: list[NormalRecord] = []
    store = None
    if listed:
        store, records, found = open_store(root, listed, cache_dir, size=size, on_error=on_error)
        faults += [*overlap, *found]
    if store is None or not records or overlap or (faults and on_error == "raise"):
        remedy = f"mend the lists or the files in {root}"
        if not listed:
            remedy += "; raw sessions go through facegeo-prepare first"
        elif not overlap:
            remedy += ", or set data.on_error=skip to go on without these faces"
        raise FaultsError(faults, remedy)
    if faults:
        text = "".join(f"\n  {fault}" for fault in faults)
        log.warning("%d faults, %d faces are left:%s", len(faults), len(records), text)
    return Sessions(records, store, splitting, splitting.rows(records, test_list))


def check_frame(root: Path, frame: str) -> None:
    """See that ``frame`` is what the folder's own manifest says, where it has one of ours.

    Raises:
        UserError: If it says another.
    """
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        said = {**manifest.get("options", {}), **manifest.get("prepared", {})}.get("frame", frame)
    except (OSError, ValueError, AttributeError, TypeError):
        return  # another's file of that name, or none
    if said != frame:
        raise UserError(f"{path} says that its normals are in {said}: set data.frame={said}")


def doubt_frame(sessions: Sessions, frame: str, root: Path) -> None:
    """Warn if the first normal maps do not bulge as faces do: no other check tells their frame.

    Args:
        sessions: The faces.
        frame: What their normals are taken to be in.
        root: Folder that the warning names.
    """
    rows = range(min(DOUBTED, len(sessions.records)))
    faces = NormalFaces(sessions.store, torch.arange(len(rows)), NormalAugment(), 0)
    batch = develop(faces.__getitems__(rows), frame)
    found = [bulge(*face) for face in zip(batch["normal"], batch["mask"], strict=True)]
    middle = float(torch.tensor(found).median())
    if middle < LIKE_A_FACE:
        log.warning(
            "the normals in %s do not look like those of faces (correlation with a ball %.2f, "
            "want %g): try data.frame other than %s",
            root,
            middle,
            LIKE_A_FACE,
            frame,
        )
