"""Do tasks in one or many processes; the result never depends on how many."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from facegeo.synthetic.landmark_folder import LandmarkFolder
from facegeo.synthetic.manifest import UNFINISHED, write_atomically
from facegeo.synthetic.order import Layout, Order, Task
from facegeo.synthetic.photoface_folder import PhotofaceFolder
from facegeo.synthetic.sample import Studio

LAYOUT_MAKERS: dict[str, type[Layout]] = {"landmarks": LandmarkFolder, "photoface": PhotofaceFolder}
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
        self.studio = Studio(order.head, order.head_path, order.device)

    def do(self, task: Task) -> int:
        """Make a task's files, then its record; return the number of pictures."""
        made = self.layout.make(self.studio, self.order, task)
        for path, data in made.files.items():
            write_atomically(self.root / path, data)
        write_atomically(self.root / UNFINISHED / task.name, made.record.encode())
        return made.pictures


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
    if not rest:
        return
    with _one_thread_each():
        context = multiprocessing.get_context("spawn")
        pool = context.Pool(min(processes, len(rest)), _start, (root, order))
    with pool:
        yield from pool.imap_unordered(_do, rest, chunksize=4)


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
