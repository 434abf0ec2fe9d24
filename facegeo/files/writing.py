"""Whole-file writes, folder locks, and folders that are built once and shared."""

import logging
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from facegeo.errors import UserError

LEFTOVER = f".*.{'[0-9a-f]' * 32}.part"
"""Files that a process was killed while writing."""


def write_whole(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a file whole or not at all; folders are made.

    Args:
        path: The file.
        content: Text (UTF-8) or bytes.
        sync: As of ``whole_file``.

    Raises:
        OSError: If it cannot be written; an earlier file is left as it was.
    """
    with whole_file(path, sync=sync) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to; the file moves to ``path`` if nothing is raised.

    Args:
        path: The file to be; its folder is made.
        sync: Wait until it is on the disk before it moves, so that a power cut leaves the old file
            or the new one. Takes some milliseconds: too long for each of thousands of pictures.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield partial
        if sync:
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


LOCK = ".lock"
"""Name of a folder's lock file."""


class TakenError(Exception):
    """Another process holds the lock; the message says which, if it is known."""


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, which is created and stays; a process that ends releases it.

    Args:
        path: The lock file, in the folder that is shared: other machines see it too.
        wait: Wait until it is free.

    Raises:
        TakenError: If another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=wait)
    except Timeout as error:
        raise TakenError(_holder(path)) from error
    try:
        if not isinstance(lock, SoftFileLock):  # which keeps notes of its own in the file
            with suppress(OSError):  # Windows lets nobody write a locked file
                path.write_text(f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    with suppress(OSError):
        if text := path.read_text().strip():
            return text
    return "another process"


log = logging.getLogger(__name__)
UNFINISHED = "unfinished-"


def build_once(
    cache_dir: Path,
    name: str,
    build: Callable[[Path], None],
    complete: Callable[[Path], bool],
    size_bytes: int,
) -> Path:
    """Return the folder ``name`` of the cache; build it first if it is not there.

    The folder is filled under another name and renamed when done, so a killed build leaves
    nothing that looks complete. One process builds at a time; the lock goes with its process.

    Args:
        cache_dir: Folder of the cache, made if need be.
        name: Name of the wanted folder, different for different content.
        build: Fills the empty folder that it is given.
        complete: Whether a finished folder is still whole; a damaged one is built anew.
        size_bytes: Space that the build needs at most.

    Returns:
        Path of the complete folder.

    Raises:
        UserError: If the cache folder cannot be written or is too small.
    """
    folder = cache_dir / name
    if complete(folder):
        return folder
    with _report(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        with _lock(cache_dir / ".lock"):
            if complete(folder):  # another process built it while this one waited
                return folder
            _sweep(cache_dir, folder)
            _check_space(cache_dir, size_bytes)
            log.info("building the cache of decoded pixels, once: %s", folder)
            unfinished = cache_dir / f"{UNFINISHED}{name}"
            unfinished.mkdir()
            try:
                build(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@contextmanager
def _report(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the pixel cache {cache_dir} cannot be written: {error.strerror or error}; "
            "free some space there or set data.cache_dir to another folder"
        ) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    try:
        with locked(path):
            yield
            return
    except TakenError as error:
        log.info("%s is building in %s; waiting for it", error, path.parent)
    with locked(path, wait=True):
        yield


def _sweep(cache_dir: Path, folder: Path) -> None:
    """Remove what killed builds left, and ``folder`` itself if it is damaged."""
    for leftover in cache_dir.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    if folder.exists():
        log.warning("%s is damaged and is built anew", folder)
        doomed = cache_dir / f"{UNFINISHED}{folder.name}"
        folder.rename(doomed)
        shutil.rmtree(doomed)


def _check_space(cache_dir: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(cache_dir).free
    if free < size_bytes:
        raise UserError(
            f"the pixel cache {cache_dir} needs {size_bytes / 1e6:,.0f} MB, wanted that much free "
            f"disk space, got {free / 1e6:,.0f} MB; free some or set data.cache_dir to another "
            "folder"
        )
