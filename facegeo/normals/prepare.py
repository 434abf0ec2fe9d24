"""From photographs under known lights to a folder of normals: the way that every data set takes.

A data set adds a reader and the computation for one session: ``prepare_photoface`` for Photoface's
four flashes, ``prepare_people`` for the 64 lamps of the Extended Yale B.
"""

from __future__ import annotations

import json
import logging
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import cv2
import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from facegeo import __version__
from facegeo.errors import UserError, mistaken_values
from facegeo.files.images import in_threads
from facegeo.files.lists import OnError
from facegeo.files.progress import track
from facegeo.files.tables import Table
from facegeo.files.writing import write_whole
from facegeo.normals.sessions import RawSession, SessionFault
from facegeo.rendering.order import check_processes
from facegeo.rendering.write import share

RECORD, MANIFEST = "prepared.json", "manifest.json"
ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """Record of a finished session; written last.

    Attributes:
        name: The session's.
        source: Digest of the data it was made from.
    """

    name: str
    source: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record of a session's folder.

        Raises:
            UserError: If there is none, or it is damaged.
        """
        path = folder / RECORD
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            adapter: TypeAdapter[Self] = _adapter(cls)  # type: ignore[arg-type]  # classes hash
            return adapter.validate_python(values)
        except ValidationError as error:
            got = mistaken_values(error.errors())
        except (OSError, ValueError) as error:
            got = str(error)
        raise UserError(
            f"{path}: wanted the record that facegeo-prepare writes, got {got}; run it again"
        )

    def files(self) -> Sequence[str]:
        """Names of the session's files."""
        raise NotImplementedError


_adapter = cache(TypeAdapter)  # making one takes a millisecond
Kept = TypeVar("Kept", bound=Record)
Work = Callable[[RawSession], SessionFault | None]
"""Computes and writes a session; returns the fault of a file that its header did not show."""


@dataclass(frozen=True)
class Report(Generic[Kept]):
    """Result of a preparation.

    Attributes:
        done: Sessions written now.
        kept: Sessions that were there already.
        faulty: Sessions left out.
        records: Of all sessions in the folder, those of earlier calls too.
    """

    done: int
    kept: int
    faulty: int
    records: Sequence[Kept]


@dataclass(frozen=True, kw_only=True)
class Preparation(ABC, Generic[Kept]):
    """How one data set is prepared, and everything that decides what is written.

    Attributes:
        things: Name of the sessions, in the plural.
        kind: Class of their records.
        root: Folder of the raw data, or the folder that holds it.
        out: Folder to write to: new, empty, or written by the same preparation.
        on_error: "raise" or "skip" faulty sessions.
        processes: How many share the work; None for one a core.
    """

    things: ClassVar[str]
    kind: ClassVar[type[Any]]
    root: Path
    out: Path
    on_error: OnError = "raise"
    processes: int | None = None

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options that decide the bytes of a session, as plain values; kept in the manifest."""

    @abstractmethod
    def find(self) -> tuple[Path, list[str]]:
        """Find the folder of the sessions and their names.

        Raises:
            UserError: If there are no sessions, or another folder is missing.
        """

    @abstractmethod
    def read(self, root: Path, name: str) -> RawSession | list[SessionFault]:
        """Read all of a session but its pixels, or everything that is wrong with it."""

    def sources(self, sessions: Sequence[RawSession]) -> dict[str, str]:
        """Digest of the data that each session is made from, by its name."""
        return {session.name: session.digest for session in sessions}

    @abstractmethod
    def work(self, out: Path, sessions: Sequence[RawSession]) -> Work:
        """Return the work on one session, given all; it may be sent to other processes."""

    @abstractmethod
    def contents(self, records: Sequence[Kept]) -> tuple[dict[str, int], dict[str, str]]:
        """Counts and notes of the manifest."""

    def finish(self, out: Path, records: Sequence[Kept]) -> None:
        """Write the files of the whole folder."""

    @abstractmethod
    def table(self, report: Report[Kept], title: str) -> Table:
        """Tabulate a report."""


def prepare(preparation: Preparation[Kept]) -> Report[Kept]:
    """Write the sessions that the folder lacks.

    Raises:
        UserError: If an option is out of range, sessions are faulty (with every fault) or the
            folder holds something else.
    """
    processes = check_processes(preparation.processes)
    root, names = preparation.find()
    out, things = preparation.out.expanduser(), preparation.things
    _claim(root, out, preparation.options())
    processes = min(processes, len(names))
    log.info("preparing %s: %d, with processes=%d", things, len(names), processes)
    sessions: list[RawSession] = []
    faults: list[SessionFault] = []
    for found in in_threads(partial(preparation.read, root), names, "Checking sessions", True):
        if isinstance(found, RawSession):
            sessions.append(found)
        else:
            faults += found
    _stop_or_warn(faults, root, preparation.on_error)
    if not sessions:
        raise UserError(f"root={root}: all {things} have faults; nothing is left")
    sources = preparation.sources(sessions)
    records = {s.name: _finished(preparation, out / s.name, sources[s.name]) for s in sessions}
    todo = [session for session in sessions if records[session.name] is None]
    late: list[SessionFault] = []
    if todo:
        _write_manifest(out, preparation, [], complete=False)
        work = preparation.work(out, sessions)
        written = share(work, todo, processes) if min(processes, len(todo)) > 1 else map(work, todo)
        late = [fault for fault in track(written, "Preparing", len(todo)) if fault is not None]
        _stop_or_warn(late, root, preparation.on_error)
    lost = {fault.session for fault in late}
    for session in todo:
        if session.name not in lost:
            records[session.name] = preparation.kind.read(out / session.name)
    complete = [record for record in records.values() if record is not None]
    preparation.finish(out, complete)
    _write_manifest(out, preparation, complete, complete=True)
    faulty = len({fault.session for fault in [*faults, *late]})
    return Report(len(todo) - len(lost), len(sessions) - len(todo), faulty, complete)


def write_session(folder: Path, files: Mapping[str, bytes], record: Record) -> None:
    """Write the files of a session, then its record."""
    for name, data in files.items():
        write_whole(folder / name, data)
    write_whole(folder / RECORD, json.dumps(asdict(record), indent=1))


def largest_part(mask: Tensor) -> Tensor:
    """The largest connected part of a mask (1, H, W): specks beside it are not of the face."""
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(mask[0].to(torch.uint8).numpy())
    sizes[0] = 0  # the background
    return mask & torch.from_numpy(parts == sizes[:, cv2.CC_STAT_AREA].argmax())


def white_level(albedo: Tensor) -> float:
    """Albedo that is stored as 255."""
    return float(np.quantile(albedo.numpy(), ALBEDO_WHITE))  # torch's takes 16 million at most


def _stop_or_warn(faults: Sequence[SessionFault], root: Path, on_error: OnError) -> None:
    """Raise all faults, or list them if their sessions are to be skipped."""
    if not faults:
        return
    lines = "".join(f"\n  {fault}" for fault in faults)
    sessions = _count(len({fault.session for fault in faults}), "session")
    if on_error == "raise":
        raise UserError(
            f"{_count(len(faults), 'fault')} in {sessions} of {root}:{lines}\n"
            "correct the files, or set on_error=skip to leave these sessions out"
        )
    log.warning("left out %s:%s", sessions, lines)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _claim(root: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Refuse to write to the source itself, or to a folder that holds something else."""
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"out={out} must be outside root={root}, whose files it would replace")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["prepared"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"out={out} must be new, empty or written by facegeo-prepare, but it holds other "
            "files; choose another folder"
        ) from error
    others = [
        f"{key}: {found.get(key)} there, {value} asked for"
        for key, value in options.items()
        if found.get(key) != value
    ]
    if others:
        raise UserError(
            f"out={out} was prepared with other options ({'; '.join(others)}); choose another "
            "folder or remove this one"
        )


def _finished(preparation: Preparation[Kept], folder: Path, source: str) -> Kept | None:
    """Record of a session made from the raw data as they are now, if it has all its files."""
    try:
        record: Kept = preparation.kind.read(folder)
    except UserError:
        return None
    there = all((folder / file).is_file() for file in record.files())
    return record if there and record.source == source else None


def _write_manifest(
    out: Path, preparation: Preparation[Kept], records: Sequence[Kept], *, complete: bool
) -> None:
    """Write the manifest: contents, options and versions."""
    counts, notes = preparation.contents(records)
    manifest = {
        "made_by": f"facegeo {__version__}",
        "complete": complete,
        "prepared": preparation.options(),
        "counts": counts,
        "notes": notes,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    write_whole(out / MANIFEST, json.dumps(manifest, indent=2) + "\n")
