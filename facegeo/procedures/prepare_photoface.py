"""From raw Photoface sessions to the prepared folder: normals, albedo, crops, masks."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from rich.console import Console
from rich.progress import track

from facegeo.data.light_source import FORMATS
from facegeo.data.raw_session import (
    RawSession,
    Reading,
    SessionFault,
    find_root,
    find_sessions,
    read_session,
)
from facegeo.errors import UserError
from facegeo.geometry.normals import FRAMES
from facegeo.procedures.prepare_report import Report, warn_of_flat
from facegeo.procedures.prepare_session import Prepared, prepare_session
from facegeo.procedures.prepared_folder import claim, is_finished, write_list, write_manifest
from facegeo.synthetic.order import check_processes

Result = Prepared | SessionFault
Work = Callable[[RawSession], Result]
Item = TypeVar("Item")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Everything that decides what is written.

    Attributes:
        root: ``PhotofaceDB``, the folder that holds it, or any folder ``<subject>/<session>``.
        out: Folder to write to: new, empty, or written by the same preparation.
        reading: How to read lights and points.
        frame: Axes of the normals written, a key of ``FRAMES``.
        source_frame: Axes of a normal map that a session already has, to compare with.
        on_error: "raise" or "skip" faulty sessions.
        processes: How many share the work; None for one a core.
    """

    root: Path
    out: Path
    reading: Reading = field(default_factory=Reading)
    frame: str = "down_right_camera"
    source_frame: str = "down_right_camera"
    on_error: Literal["raise", "skip"] = "raise"
    processes: int | None = None

    def check(self) -> None:
        """Look for mistakes before any work is done.

        Raises:
            UserError: If an option is out of range; the text names it.
        """
        for key, value, choices in (
            ("frame", self.frame, FRAMES),
            ("source_frame", self.source_frame, FRAMES),
            ("lights_frame", self.reading.lights_frame, FRAMES),
            ("lights", self.reading.lights, FORMATS),
            ("on_error", self.on_error, ("raise", "skip")),
        ):
            if value not in choices:
                raise UserError(f"{key} must be one of {', '.join(choices)}; got {value!r}")
        check_processes(self.processes)

    def options(self) -> dict[str, Any]:
        """What decides the bytes of a session, as plain values."""
        return {**asdict(self.reading), "frame": self.frame, "source_frame": self.source_frame}


def prepare(preparation: Preparation) -> Report:
    """Write what the folder lacks.

    Args:
        preparation: What to write, and where.

    Returns:
        What was done.

    Raises:
        UserError: If an option is out of range, sessions are faulty (with every fault) or the
            folder holds something else.
    """
    preparation.check()
    root, out = find_root(preparation.root.expanduser()), preparation.out.expanduser()
    claim(root, out, preparation.options())
    sessions, faults = _survey(root, preparation.reading)
    _stop_or_tell(faults, preparation)
    todo = [session for session in sessions if not is_finished(out, session)]
    if todo:
        write_manifest(out, preparation.options(), 0, complete=False)
    work = partial(prepare_session, out, preparation.frame, preparation.source_frame)
    results = list(_progress(_share(work, todo, preparation.processes), "Preparing", len(todo)))
    late = [result for result in results if isinstance(result, SessionFault)]
    _stop_or_tell(late, preparation)
    lost = {fault.session for fault in late}
    records = [Prepared.read(out / s.name) for s in sessions if s.name not in lost]
    finished = [record for record in records if record is not None]
    write_list(out, finished)
    write_manifest(out, preparation.options(), len(finished), complete=True)
    warn_of_flat(finished, preparation.reading.lights_frame)
    faulty = len({fault.session for fault in [*faults, *late]})
    return Report(len(results) - len(late), len(sessions) - len(todo), faulty, finished)


def _survey(root: Path, reading: Reading) -> tuple[list[RawSession], list[SessionFault]]:
    """Read all sessions but their pixels."""
    names = find_sessions(root)
    if not names:
        raise UserError(
            f"root={root} must hold folders <subject>/<session> with im0.bmp to im3.bmp and "
            "LightSource.m, found none"
        )
    sessions: list[RawSession] = []
    faults: list[SessionFault] = []
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(read_session, root, reading=reading), names)
        for result in _progress(found, "Checking sessions", len(names)):
            if isinstance(result, RawSession):
                sessions.append(result)
            else:
                faults += result
    return sessions, faults


def _stop_or_tell(faults: Sequence[SessionFault], preparation: Preparation) -> None:
    """Raise all faults, or list them if their sessions are to be skipped."""
    if not faults:
        return
    count = len({fault.session for fault in faults})
    lines = "".join(f"\n  {fault}" for fault in faults)
    if preparation.on_error == "skip":
        log.warning("left out %s:%s", _count(count, "session"), lines)
        return
    raise UserError(
        f"{_count(len(faults), 'fault')} in {_count(count, 'session')} of "
        f"{preparation.root}:{lines}\n"
        "mend the files, or set on_error=skip to leave these sessions out"
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _share(work: Work, todo: Sequence[RawSession], processes: int | None) -> Iterator[Result]:
    """Do the work here, or in several processes of one thread each."""
    count = min(check_processes(processes), len(todo))
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


def _one_thread() -> None:
    torch.set_num_threads(1)


def _progress(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    console = Console(stderr=True)
    yield from track(
        items,
        description=title,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
