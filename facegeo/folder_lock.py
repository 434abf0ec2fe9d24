"""One process at a time in a folder. The system lets go of a lock when its process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
