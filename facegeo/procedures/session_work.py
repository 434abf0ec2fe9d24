"""Work on many raw sessions: all faults at once, shared among processes, with progress bars."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Literal, TypeVar

import torch
from rich.console import Console
from rich.progress import track

from facegeo.data.raw_session import RawSession, SessionFault
from facegeo.errors import UserError
from facegeo.synthetic.order import check_processes

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


def survey(
    names: Sequence[str], read: Callable[[str], RawSession | list[SessionFault]]
) -> tuple[list[RawSession], list[SessionFault]]:
    """Read all sessions but their pixels.

    Args:
        names: Of the sessions.
        read: Reads the session of a name.

    Returns:
        The sessions without faults, and the faults of the others.
    """
    sessions: list[RawSession] = []
    faults: list[SessionFault] = []
    with ThreadPoolExecutor() as pool:
        for result in progress(pool.map(read, names), "Checking sessions", len(names)):
            if isinstance(result, RawSession):
                sessions.append(result)
            else:
                faults += result
    return sessions, faults


def stop_or_warn(
    faults: Sequence[SessionFault], root: Path, on_error: Literal["raise", "skip"]
) -> None:
    """Raise all faults, or list them if their sessions are to be skipped.

    Raises:
        UserError: If there are faults and ``on_error`` is "raise".
    """
    if not faults:
        return
    count = len({fault.session for fault in faults})
    lines = "".join(f"\n  {fault}" for fault in faults)
    if on_error == "skip":
        log.warning("left out %s:%s", _count(count, "session"), lines)
        return
    raise UserError(
        f"{_count(len(faults), 'fault')} in {_count(count, 'session')} of {root}:{lines}\n"
        "mend the files, or set on_error=skip to leave these sessions out"
    )


def share(
    work: Callable[[RawSession], Result], todo: Sequence[RawSession], processes: int | None
) -> Iterator[Result]:
    """Do the work here, or in several processes of one thread each; results in order."""
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


def progress(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
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
