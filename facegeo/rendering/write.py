"""Fill a folder with generated faces: begin, resume, or find it done."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from facegeo.rendering.manifest import (
    LEFTOVER,
    UNFINISHED,
    holds_others,
    is_complete,
    write_atomically,
    write_manifest,
)
from facegeo.rendering.order import SPLITS, Order, Task, as_path, check_processes, tasks

OnRate = Callable[[float], object] | None
STARTED = 2
"""Tasks after which all processes are at work: one of them alone does the first."""
PACE_S = 3.0
"""How long the pace of the work is measured, s."""


@dataclass(frozen=True)
class Report:
    """What was done.

    Attributes:
        made: Samples or sessions made now.
        pictures: Photographs made now.
        seconds: Time that took, starting included.
        processes: How many shared the work.
    """

    made: int
    pictures: int
    seconds: float
    processes: int

    def text(self, root: Path) -> str:
        """Say it in one line."""
        if not self.made:
            return f"{root} is complete, nothing to do"
        rate = self.pictures / self.seconds
        return (
            f"{self.pictures} samples in {self.seconds:.1f} s, {rate:.1f} samples/s, "
            f"{self.processes} processes: {root}"
        )


def ensure_landmarks(
    root: Path | str,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    head: str = "anny",
    head_path: Path | str | None = None,
    map_share: float | None = None,
    lights: Path | str | None = None,
    processes: int | None = None,
    on_rate: OnRate = None,
) -> Path:
    """Return a folder with the lists and pictures of generated faces, making it if need be.

    Returns at once where the folder is complete; finishes a half-written one.

    Args:
        root: The folder.
        train: Faces to train on.
        test: Faces to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides every face.
        head: ``anny`` or ``ict``.
        head_path: Where ICT-FaceKit lies, for ``ict``.
        map_share: Share of pictures lit by environment maps; None for lamps only. Above 0 all
            faces are rendered and photographed as portraits are.
        lights: Folder of the user's own maps; None for the shipped ones.
        processes: Processes to share the work; None for one a core.
        on_rate: Called once with the seconds that are left, after the first few faces.

    Returns:
        ``root``.

    Raises:
        UserError: If an option is out of range, or the folder holds something else.
    """
    order = Order(
        train=train,
        test=test,
        size=size,
        seed=seed,
        maps=False,
        head=head,
        head_path=as_path(head_path),
        map_share=map_share,
        lights=as_path(lights),
    )
    root = Path(root).expanduser()
    fill(root, order, processes=processes, on_rate=on_rate)
    return root


def ensure_sessions(
    root: Path | str,
    *,
    train: int,
    test: int,
    size: int,
    seed: int,
    frame: str = "down_right_camera",
    head: str = "anny",
    head_path: Path | str | None = None,
    processes: int | None = None,
    check_only: bool = False,
) -> Path:
    """Return a folder in the layout of prepared Photoface, making it if need be.

    Args:
        root: The folder.
        train: Sessions to train on, two a person, four photographs each.
        test: Sessions to test on; other people.
        size: Side of the pictures, pixels.
        seed: Decides every session.
        frame: Axes of the stored normals.
        head: ``anny`` or ``ict``.
        head_path: Where ICT-FaceKit lies, for ``ict``.
        processes: Processes to share the work; None for one a core.
        check_only: Render nothing, only look for mistakes and missing files.

    Returns:
        ``root``.

    Raises:
        UserError: If an option is out of range, or the folder holds something else.
    """
    order = Order(
        train=train,
        test=test,
        size=size,
        seed=seed,
        maps=True,
        layout="photoface",
        head=head,
        head_path=as_path(head_path),
        frame=frame,
    )
    root = Path(root).expanduser()
    if check_only:
        order.check()
        is_complete(root, order)
        return root
    fill(root, order, processes=processes)
    return root


def fill(
    root: Path,
    order: Order,
    *,
    processes: int | None = None,
    overwrite: bool = False,
    on_rate: OnRate = None,
) -> Report:
    """Make what an order asks for and the folder lacks.

    Args:
        root: The folder.
        order: What it shall hold.
        processes: Processes to share the work; None for one a core.
        overwrite: First remove faces made otherwise; all other files stay.
        on_rate: Called once with the seconds that are left, after the first few tasks.

    Raises:
        UserError: If an option is out of range, or the folder holds something else.
    """
    order.check()
    count = check_processes(processes)
    start = time.perf_counter()
    if not overwrite and is_complete(root, order):
        return Report(0, 0, time.perf_counter() - start, count)
    with _alone(root):
        if overwrite and holds_others(root, order):
            from facegeo.rendering.clearing import remove_faces

            remove_faces(root)
        elif is_complete(root, order):  # another process was faster
            return Report(0, 0, time.perf_counter() - start, count)
        root.mkdir(parents=True, exist_ok=True)
        made, pictures = _make_missing(root, order, count, on_rate)
    return Report(made, pictures, time.perf_counter() - start, count)


def _make_missing(
    root: Path, order: Order, processes: int, on_rate: OnRate = None
) -> tuple[int, int]:
    from facegeo.rendering.workers import LAYOUT_MAKERS, do_tasks

    layout = LAYOUT_MAKERS[order.layout]()
    write_manifest(root, order, complete=False, notes=layout.notes(order))
    everything = tasks(order.train, order.test)
    todo = [task for task in everything if not _record(root, task).is_file()]
    pictures = 0
    with _progress(len(everything), len(everything) - len(todo)) as advance:
        for count in _timed(do_tasks(root, order, todo, processes), len(todo), on_rate):
            pictures += count
            advance()
    records = {
        split: [_record(root, t).read_text() for t in everything if t.split == split]
        for split in SPLITS
    }
    for name, data in layout.lists(records).items():
        write_atomically(root / name, data)
    write_manifest(root, order, complete=True, notes=layout.notes(order))
    rmtree(root / UNFINISHED)
    for leftover in root.rglob(LEFTOVER):  # of a process that was killed while writing
        leftover.unlink()
    return len(todo), pictures


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


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("rendering faces", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=total, completed=done)
        yield lambda: progress.advance(bar)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one process at a time write to a folder; the others wait."""
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"facegeo-{os.getuid()}-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
