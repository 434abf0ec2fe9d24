"""Do tasks in one or many processes; the result never depends on how many."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from facegeo.errors import UserError
from facegeo.rendering.landmark_folder import LandmarkFolder
from facegeo.rendering.manifest import UNFINISHED, write_atomically
from facegeo.rendering.order import Layout, Order, Task
from facegeo.rendering.photoface_folder import PhotofaceFolder
from facegeo.rendering.portrait_folder import PortraitFolder
from facegeo.rendering.sample import Studio

LAYOUT_MAKERS: dict[str, type[Layout]] = {
    "landmarks": LandmarkFolder,
    "photoface": PhotofaceFolder,
    "portraits": PortraitFolder,
}
Item = TypeVar("Item")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Worker:
    """Does tasks of one order.

    Args:
        root: Folder to write to.
        order: What to make.
    """

    def __init__(self, root: Path, order: Order) -> None:
        import cv2

        cv2.setNumThreads(1)
        self.root, self.order = root, order
        self.layout: Layout = LAYOUT_MAKERS[order.layout]()
        self.studio = studio_for(order)

    def do(self, task: Task) -> int:
        """Make a task's files, then its record; return the number of pictures."""
        made = self.layout.make(self.studio, self.order, task)
        for path, data in made.files.items():
            write_atomically(self.root / path, data)
        write_atomically(self.root / UNFINISHED / task.name, made.record.encode())
        return made.pictures


def studio_for(order: Order) -> Studio:
    """Return what photographs the faces of an order.

    Raises:
        UserError: If a file of the head or of the lights cannot be read.
    """
    if not order.as_portraits:
        return Studio(order.head, order.head_path, order.device, shadows=order.shadows)
    from facegeo.rendering.portrait import PortraitStudio

    return PortraitStudio(
        order.head,
        order.head_path,
        order.device,
        shadows=order.shadows,
        map_share=order.share_of_maps,
        lights=order.lights,
        framing="square" if order.layout == "portraits" else "box",
    )


_WORKER: list[Worker] = []


def _start(root: Path, order: Order) -> None:
    _WORKER[:] = [Worker(root, order)]


def _do(task: Task) -> int:
    return _WORKER[0].do(task)


def do_tasks(root: Path, order: Order, todo: Sequence[Task], processes: int) -> Iterator[int]:
    """Do tasks in any order, yielding the number of pictures after each.

    The first task is done here, so that kernels are compiled and the head model is reduced once
    and not by all processes at the same time.
    """
    worker = Worker(root, order)
    here, rest = (todo, []) if processes == 1 else (todo[:1], todo[1:])
    for task in here:
        yield worker.do(task)
    if rest:
        yield from share(_do, rest, processes, _start, root, order)


def share(
    work: Callable[[Item], int],
    items: Sequence[Item],
    processes: int,
    start: Callable[..., object],
    *arguments: Any,
) -> Iterator[int]:
    """Call a function for each item in new processes, yielding what it returns.

    Args:
        work: Called once an item.
        items: What to do.
        processes: How many processes at most.
        start: Called first in each process.
        *arguments: Of ``start``.

    Raises:
        UserError: If a process ends before its work is done, be it killed or unable to start.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(items)), context, start, arguments) as pool:
        try:
            with _one_thread_each():
                results = pool.map(work, items, chunksize=4)
            yield from results
        except BrokenProcessPool as error:
            raise UserError(
                "a worker was killed (out of memory?); run the same command again to finish"
            ) from error


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let child processes start with one thread for each library."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
