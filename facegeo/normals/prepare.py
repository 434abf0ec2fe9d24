"""From photographs under known lights to a folder of normals: the way that every data set takes.

A data set adds a reader and the computation for one session: ``prepare_photoface`` for Photoface's
four flashes, ``prepare_people`` for the 64 lamps of the Extended Yale B.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from facegeo import __version__
from facegeo.errors import UserError
from facegeo.files.faults import OnError
from facegeo.files.tables import Table
from facegeo.files.writing import write_whole
from facegeo.normals.sessions import RawSession, SessionFault
from facegeo.rendering.order import check_processes

RECORD, MANIFEST = "prepared.json", "manifest.json"
ALBEDO_WHITE = 0.99
"""Quantile of the face's albedo that is stored as 255."""
log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Record(Protocol):
    """Record of a finished session; written last."""

    @property
    def name(self) -> str:
        """The session's."""

    @property
    def source(self) -> str:
        """Digest of the data it was made from."""

    def files(self) -> Sequence[str]:
        """Names of the session's files."""


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
        root: Folder of the raw data, or the folder that holds it.
        out: Folder to write to: new, empty, or written by the same preparation.
        on_error: "raise" or "skip" faulty sessions.
        processes: How many share the work; None for one a core.
    """

    things: ClassVar[str]
    root: Path
    out: Path
    on_error: OnError = "raise"
    processes: int | None = None

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If an option is out of range or a folder is missing; the text names it.
        """
        check_processes(self.processes)

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options that decide the bytes of a session, as plain values."""

    def recorded_options(self) -> dict[str, Any]:
        """The same, for the manifest."""
        return self.options()

    @abstractmethod
    def find(self) -> tuple[Path, list[str]]:
        """Find the folder of the sessions and their names.

        Raises:
            UserError: If there are no sessions.
        """

    @abstractmethod
    def read(self, root: Path, name: str) -> RawSession | list[SessionFault]:
        """Read all of a session but its pixels, or everything that is wrong with it."""

    def sources(self, sessions: Sequence[RawSession]) -> dict[str, str]:
        """Digest of the data that each session is made from, by its name."""
        return {session.name: session.digest for session in sessions}

    @abstractmethod
    def record(self, folder: Path) -> Kept | None:
        """Read the record of a session's folder; None if the session is unfinished."""

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
    preparation.check()
    root, names = preparation.find()
    out = preparation.out.expanduser()
    _claim(root, out, preparation.recorded_options())
    processes = min(check_processes(preparation.processes), len(names))
    log.info("preparing %s: %d, with processes=%d", preparation.things, len(names), processes)
    sessions, faults = _survey(names, partial(preparation.read, root))
    _stop_or_warn(faults, root, preparation.on_error)
    if not sessions:
        raise UserError(f"root={root}: all {preparation.things} have faults; nothing is left")
    sources = preparation.sources(sessions)
    todo = [s for s in sessions if not _is_finished(preparation, out, s.name, sources[s.name])]
    late: list[SessionFault] = []
    if todo:
        _write_manifest(out, preparation, [], complete=False)
        written = _share(preparation.work(out, sessions), todo, processes)
        late = [fault for fault in _progress(written, "Preparing", len(todo)) if fault is not None]
        _stop_or_warn(late, root, preparation.on_error)
    lost = {fault.session for fault in late}
    found = [preparation.record(out / s.name) for s in sessions if s.name not in lost]
    records = [record for record in found if record is not None]
    preparation.finish(out, records)
    _write_manifest(out, preparation, records, complete=True)
    faulty = len({fault.session for fault in [*faults, *late]})
    return Report(len(todo) - len(lost), len(sessions) - len(todo), faulty, records)


def write_session(folder: Path, files: Mapping[str, bytes], record: Any) -> None:  # noqa: ANN401
    """Write the files of a session, then its record, a dataclass."""
    for name, data in files.items():
        write_whole(folder / name, data)
    write_whole(folder / RECORD, json.dumps(asdict(record), indent=1))


def largest_part(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The largest connected part of a mask (H, W): specks beside it do not belong to the face."""
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(pixels)
    sizes[0] = 0  # the background
    largest = parts == sizes[:, cv2.CC_STAT_AREA].argmax()
    return np.asarray(largest & (pixels > 0))


def white_level(albedo: Tensor) -> float:
    """Albedo that is stored as 255."""
    return float(np.quantile(albedo.numpy(), ALBEDO_WHITE))  # torch's takes 16 million at most


def _survey(
    names: Sequence[str], read: Callable[[str], RawSession | list[SessionFault]]
) -> tuple[list[RawSession], list[SessionFault]]:
    """Read all sessions but their pixels: those without faults, and the faults of the others."""
    sessions: list[RawSession] = []
    faults: list[SessionFault] = []
    with ThreadPoolExecutor() as pool:
        for result in _progress(pool.map(read, names), "Checking sessions", len(names)):
            if isinstance(result, RawSession):
                sessions.append(result)
            else:
                faults += result
    return sessions, faults


def _stop_or_warn(faults: Sequence[SessionFault], root: Path, on_error: OnError) -> None:
    """Raise all faults, or list them if their sessions are to be skipped."""
    if not faults:
        return
    count = len({fault.session for fault in faults})
    lines = "".join(f"\n  {fault}" for fault in faults)
    if on_error == "skip":
        log.warning("left out %s:%s", _count(count, "session"), lines)
        return
    raise UserError(
        f"{_count(len(faults), 'fault')} in {_count(count, 'session')} of {root}:{lines}\n"
        "correct the files, or set on_error=skip to leave these sessions out"
    )


def _share(
    work: Callable[[RawSession], Result], todo: Sequence[RawSession], processes: int
) -> Iterator[Result]:
    """Do the work here, or in several processes of one thread each; results in order."""
    count = min(processes, len(todo))
    if count <= 1:
        yield from map(work, todo)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _one_thread) as pool:
        try:
            yield from pool.map(work, todo, chunksize=4)
        except BrokenProcessPool as error:
            raise UserError(
                "a worker was killed (out of memory?); run the same command again to finish, "
                "with fewer processes=N"
            ) from error
        finally:  # after Ctrl-C, do not finish what is waiting
            pool.shutdown(wait=False, cancel_futures=True)


def _progress(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yield items under a progress bar, where there is a terminal."""
    console = Console(stderr=True)
    yield from track(
        items,
        description=title,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _one_thread() -> None:
    torch.set_num_threads(1)


def _claim(root: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Refuse to write to the source itself, or to a folder that holds something else."""
    if out.resolve().is_relative_to(root.resolve()):
        raise UserError(f"out={out} must be outside root={root}, whose files it would replace")
    if not out.exists() or not any(out.iterdir()):
        return
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        found = manifest["prepared"]
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


def _is_finished(preparation: Preparation[Kept], out: Path, name: str, source: str) -> bool:
    """Whether a folder holds a session made from the raw data as they are now."""
    record = preparation.record(out / name)
    return (
        record is not None
        and record.source == source
        and all((out / name / file).is_file() for file in record.files())
    )


def _write_manifest(
    out: Path, preparation: Preparation[Kept], records: Sequence[Kept], *, complete: bool
) -> None:
    """Write the manifest: contents, options and versions."""
    counts, notes = preparation.contents(records)
    manifest = {
        "made_by": f"facegeo {__version__}",
        "complete": complete,
        "prepared": preparation.recorded_options(),
        "counts": counts,
        "notes": notes,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    write_whole(out / MANIFEST, json.dumps(manifest, indent=2) + "\n")
