"""Whole-file writes, locks, and folders that are built once and shared."""

import logging
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from facegeo.errors import UserError

LOCK = ".lock"
"""Name of the lock of a folder that one process may write to."""
UNFINISHED = "unfinished-"

log = logging.getLogger(__name__)


@contextmanager
def whole_file(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to, with the same ending; folders are made.

    What was written is moved to ``path`` when the block ends without an error, so that no reader
    and no killed process ever sees half a file.

    Args:
        path: The file.
        sync: Wait until it is on the disk, so that a power cut leaves the old file or the new one.
            That takes milliseconds: too long for each of thousands of pictures.

    Raises:
        OSError: If it cannot be written; an older ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        if sync:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a file as ``whole_file`` does.

    Raises:
        OSError: If it cannot be written; an older ``path`` is left as it was.
    """
    with whole_file(path, sync=sync) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


class TakenError(Exception):
    """Another process holds the lock; the message names it where known."""


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, which is created and stays.

    It is in the folder that it protects, so that it also holds between machines that share that
    folder. The system releases it when its process ends, however it ends.

    Args:
        path: The lock file.
        wait: Wait until it is free.

    Raises:
        TakenError: If another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        holder = _holder(path)
        if not wait:
            raise TakenError(holder) from error
        log.info("waiting for %s, which holds %s", holder, path)
        lock.acquire()
    try:
        with suppress(OSError):  # Windows lets nobody write to a locked file
            path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def build_once(
    cache_dir: Path,
    name: str,
    build: Callable[[Path], object],
    complete: Callable[[Path], bool],
    size_bytes: int,
) -> Path:
    """Return the folder ``name`` of the cache, built first if it is missing.

    The folder is filled under another name and renamed when done, so a killed build leaves
    nothing that looks complete. One process builds at a time.

    Args:
        cache_dir: Folder of the cache, created if missing.
        name: Name of the wanted folder, different for different content.
        build: Fills the empty folder that it is given.
        complete: Whether a finished folder is still whole; a damaged one is rebuilt.
        size_bytes: Space that the build needs at most.

    Returns:
        Path of the complete folder.

    Raises:
        UserError: If the cache folder cannot be written or is too small.
    """
    folder, unfinished = cache_dir / name, cache_dir / f"{UNFINISHED}{name}"
    if complete(folder):
        return folder
    try:
        with locked(cache_dir / LOCK, wait=True):
            if complete(folder):  # another process built it while this one waited
                return folder
            for leftover in cache_dir.glob(f"{UNFINISHED}*"):
                shutil.rmtree(leftover)
            if folder.exists():
                log.warning("%s is damaged and is rebuilt", folder)
                shutil.rmtree(folder)
            if (free := shutil.disk_usage(cache_dir).free) < size_bytes:
                raise UserError(
                    f"the cache folder {cache_dir} needs {size_bytes / 1e6:,.0f} MB of free disk "
                    f"space, got {free / 1e6:,.0f} MB; free some or set data.cache_dir to another "
                    "folder"
                )
            log.info("building the cache, once: %s", folder)
            unfinished.mkdir()
            try:
                build(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"the cache folder {cache_dir} cannot be written: {error.strerror or error}; "
            "free some space there or set data.cache_dir to another folder"
        ) from error
    return folder
