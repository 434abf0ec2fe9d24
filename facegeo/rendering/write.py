"""Fill a folder with generated faces: begin, resume, or find it done.

The files never depend on how many processes share the work. What renders is imported only where
faces are missing.
"""

import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, TypeVar

from facegeo.errors import UserError
from facegeo.files.progress import track
from facegeo.files.writing import LOCK, locked, write_whole
from facegeo.rendering.manifest import (
    FILE,
    UNFINISHED,
    holds_others,
    is_complete,
    mark_unfinished,
    write_manifest,
)
from facegeo.rendering.order import (
    MASKED,
    SPLITS,
    Frame,
    HeadName,
    LayoutName,
    Masked,
    Order,
    Task,
    check_processes,
    tasks,
)

OnRate = Callable[[float], object] | None
Item = TypeVar("Item")
Result = TypeVar("Result")
STARTED = 2
"""Tasks after which all processes are at work: one of them does the first before the others."""
PACE_S = 3.0
"""How long the pace of the work is measured, s."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PART = r"\.[0-9a-f]+(\.part)?"
"""Suffix of a half-written file's name, after a dot and the file's name."""


@dataclass(frozen=True)
class Report:
    """How much was made.

    Attributes:
        made: Samples or sessions made now.
        pictures: Photographs made now.
        seconds: Time that took, without building the head model and compiling kernels.
        processes: How many shared the work.
    """

    made: int
    pictures: int
    seconds: float
    processes: int

    def text(self, root: Path) -> str:
        """Return it in one line."""
        if not self.made:
            return f"{root} is complete, nothing to do"
        rate = self.pictures / self.seconds
        return (
            f"{self.pictures} samples in {self.seconds:.1f} s, {rate:.1f} samples/s, "
            f"{self.processes} processes: {root}"
        )


def ensure_faces(
    root: Path | str,
    *,
    layout: LayoutName = "landmarks",
    train: int,
    test: int,
    size: int,
    seed: int,
    frame: Frame = "down_right_camera",
    mask: Sequence[Masked] = MASKED,
    map_share: float | None = None,
    lights: Path | str | None = None,
    head: HeadName = "anny",
    head_path: Path | str | None = None,
    processes: int | None = None,
    on_rate: OnRate = None,
    check_only: bool = False,
) -> Path:
    """Return a folder of generated faces, making it if need be.

    Returns at once where the folder is complete; finishes a half-written one.

    Args:
        root: The folder.
        layout: ``landmarks``: lists and pictures, without maps; ``photoface``: sessions of four
            photographs with normals, two a person; ``portraits``: one photograph with normals.
        train: Faces or sessions to train on.
        test: Faces or sessions to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides every face.
        frame: Photoface, portraits: axes of the stored normals.
        mask: Portraits: what the masks hold.
        map_share: Landmarks, portraits: share of pictures lit by environment maps, see ``Order``.
        lights: Folder of the user's own maps; None for the shipped ones.
        head: ``anny`` or ``ict``.
        head_path: Where ICT-FaceKit is, for ``ict``.
        processes: Processes to share the work; None for one a core.
        on_rate: Called once with the seconds that are left, after the first few faces.
        check_only: Render nothing, only look for mistakes and missing files.

    Returns:
        ``root``.

    Raises:
        UserError: If an option is out of range, a map cannot be read, or the folder holds
            something else.
    """
    order = Order(
        train=train,
        test=test,
        size=size,
        seed=seed,
        maps=layout != "landmarks",
        layout=layout,
        head=head,
        head_path=as_path(head_path),
        frame=frame,
        map_share=map_share,
        lights=as_path(lights),
        mask=tuple(mask),
    )
    root = Path(root).expanduser()
    if check_only:
        is_complete(root, order)
        return root
    fill(root, order, processes=processes, on_rate=on_rate)
    return root


def as_path(given: Path | str | None) -> Path | None:
    """Read a path as a configuration gives it: ``~`` is the home folder, None stays."""
    return None if given is None else Path(given).expanduser()


def fill(
    root: Path,
    order: Order,
    *,
    processes: int | None = None,
    overwrite: bool = False,
    on_rate: OnRate = None,
) -> Report:
    """Make what an order asks for and the folder lacks; one process at a time, the others wait.

    Args:
        root: The folder.
        order: What it shall hold.
        processes: Processes to share the work; None for one a core.
        overwrite: First remove faces made with other options; all other files stay.
        on_rate: Called once with the seconds that are left, after the first few tasks.

    Raises:
        UserError: If an option is out of range, or the folder holds something else.
    """
    count = check_processes(processes)
    nothing = Report(0, 0, 0.0, count)
    if not (overwrite and holds_others(root, order)) and is_complete(root, order):
        return nothing
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / LOCK, wait=True):
        if overwrite and holds_others(root, order):
            remove_faces(root)
        elif is_complete(root, order):  # another process was faster
            return nothing
        return _make_missing(root, order, count, on_rate)


def remove_faces(root: Path) -> None:
    """Remove every file that a folder's manifest accounts for, but the manifest itself.

    Folders that are empty then go too; other files stay.

    Raises:
        UserError: If the manifest cannot be read.
    """
    from facegeo.rendering.folders import FOLDERS

    # Should this be killed half-way, the folder must not pass for a complete one.
    options = mark_unfinished(root)
    rmtree(root / UNFINISHED, ignore_errors=True)
    layout = FOLDERS[options["layout"]]()
    files = {root / name for name in layout.lists(dict.fromkeys(SPLITS, ()))}
    for task in tasks(options["train"], options["test"]):
        files |= {root / name for name in layout.paths(task)}
    for file in files:
        file.unlink(missing_ok=True)
    _remove_leftovers(files)
    folders = {folder for file in files for folder in file.parents if root in folder.parents}
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _remove_leftovers(files: set[Path]) -> None:
    """Remove what processes that were killed had written of files."""
    for folder in {file.parent for file in files}:
        for path in folder.glob(".*"):
            name = re.fullmatch(rf"\.(.+?){PART}", path.name)
            if name and folder / name[1] in files:
                path.unlink()


def _make_missing(root: Path, order: Order, processes: int, on_rate: OnRate) -> Report:
    from facegeo.rendering.folders import FOLDERS

    layout = FOLDERS[order.layout]()
    write_manifest(root, order, complete=False, notes=layout.notes(order))
    everything = tasks(order.train, order.test)
    todo = [task for task in everything if not _record(root, task).is_file()]
    worker = Worker(root, order) if todo else None
    start = time.perf_counter()
    counts = _timed(do_tasks(worker, todo, processes) if worker else iter(()), len(todo), on_rate)
    done = len(everything) - len(todo)
    pictures = sum(track(counts, "rendering faces", len(everything), done=done))
    records = {
        split: [_record(root, t).read_text() for t in everything if t.split == split]
        for split in SPLITS
    }
    lists = layout.lists(records)
    for name, data in lists.items():
        write_whole(root / name, data)
    write_manifest(root, order, complete=True, notes=layout.notes(order))
    rmtree(root / UNFINISHED)
    _remove_leftovers({root / name for task in todo for name in layout.paths(task)})
    _remove_leftovers({root / name for name in (*lists, FILE)})
    return Report(len(todo), pictures, time.perf_counter() - start, processes)


def _timed(counts: Iterator[int], total: int, on_rate: OnRate) -> Iterator[int]:
    """Pass the counts on; once their pace is known, call ``on_rate`` with the seconds left."""
    first = 0.0
    for done, count in enumerate(counts, start=1):
        now = time.perf_counter()
        if done == STARTED:
            first = now
        elif on_rate and done > STARTED and now - first > PACE_S:
            on_rate((total - done) * (now - first) / (done - STARTED))
            on_rate = None
        yield count


def _record(root: Path, task: Task) -> Path:
    return root / UNFINISHED / task.name


class Worker:
    """Does tasks of one order.

    Args:
        root: Folder to write to.
        order: What to make.
    """

    def __init__(self, root: Path, order: Order) -> None:
        import cv2

        from facegeo.rendering.folders import FOLDERS
        from facegeo.rendering.studio import studio_for

        cv2.setNumThreads(1)
        self.root, self.order = root, order
        self.layout = FOLDERS[order.layout]()
        self.studio = studio_for(order)

    def do(self, task: Task) -> int:
        """Make a task's files, then its record; return the number of pictures."""
        made = self.layout.make(self.studio, self.order, task)
        for path, data in made.files.items():
            write_whole(self.root / path, data, sync=False)
        write_whole(_record(self.root, task), made.record, sync=False)
        return made.pictures


_WORKER: list[Worker] = []


def _start(root: Path, order: Order) -> None:
    _WORKER[:] = [Worker(root, order)]


def _do(task: Task) -> int:
    return _WORKER[0].do(task)


def do_tasks(worker: Worker, todo: Sequence[Task], processes: int) -> Iterator[int]:
    """Do tasks in any order, yielding the number of pictures after each.

    The first task is done here, so that all kernels are compiled once and not by all processes at
    the same time.
    """
    here, rest = (todo, []) if processes == 1 else (todo[:1], todo[1:])
    for task in here:
        yield worker.do(task)
    if rest:
        yield from share(_do, rest, processes, _start, worker.root, worker.order)


def share(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    start: Callable[..., object] | None = None,
    *arguments: Any,
) -> Iterator[Result]:
    """Call a function for each item in new processes of one thread; yield its results in order.

    Args:
        work: Called once an item.
        items: What to do.
        processes: How many processes at most.
        start: Called first in each process, if given.
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
                "a worker was killed (out of memory?); run the same command again to finish, "
                "with fewer processes=N"
            ) from error
        finally:  # after Ctrl-C, do not finish what is waiting
            pool.shutdown(wait=False, cancel_futures=True)


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
