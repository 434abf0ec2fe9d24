"""Whole-file writes, folder locks, and folders that are built once and shared."""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from facegeo.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place, then move it there; folders are made.

    Raises:
        OSError: If it can not be written; what stood there before still does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


LOCK = ".lock"
"""The lock of a run's folder."""


class TakenError(Exception):
    """Another process holds the lock; the message says which, if it is known."""


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock ``path``, a file that is made and stays.

    Args:
        path: The lock's file.
        wait: Wait until it is free.

    Raises:
        TakenError: If another process holds it and ``wait`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            file.seek(0)
            raise TakenError(file.read().strip() or "another process") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


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
        UserError: If the cache folder can not be written or is too small.
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
            f"the pixel cache {cache_dir} can not be written: {error.strerror or error}; "
            "free some space there or set data.cache_dir to another folder"
        ) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock file; the system releases it when the process ends, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process is building in %s; waiting for it", path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
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
